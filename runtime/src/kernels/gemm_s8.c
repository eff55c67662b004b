/* CONV_2D and FULLY_CONNECTED on int8 micro-kernels, int8 and hybrid arithmetic: tiles at run. */
#include "gemm_s8.h"

#include <string.h>

enum { CACHE_LINE = 64 };

/* What Σ x·(w − zero) has beside Σ x·w. The padding of gathered rows is 0 and adds nothing. */
static void start_rows(const qb_tile_s8 *tile, size_t mr, int32_t weight_zero, int32_t *row_start)
{
    for (size_t r = 0; r < tile->rows; r++) {
        uint32_t sum = 0; /* what overflows here is made good by the products' sums */
        for (size_t t = 0; t < tile->taps; t++) {
            const int8_t *x = tile->inputs[t * mr + r];
            for (size_t k = 0; k < tile->depth; k++) sum += (uint32_t)x[k];
        }
        row_start[r] = (int32_t)(0u - (uint32_t)weight_zero * sum);
    }
}

/* The sums of a fully connected tile, which round once, to its outputs. */
static void requantize_sums(const qb_linear *op, const qb_tile_s8 *tile, int8_t *y)
{
    const int32_t *sums = tile->out;
    for (size_t r = 0; r < tile->rows; r++, sums += tile->out_stride, y += tile->out_stride) {
        for (size_t n = tile->first_column; n < tile->end_column; n++)
            y[n] = qb_requantize(op, (int32_t)n, sums[n]);
    }
}

/* A run's input, and where its parts of scratch are. */
typedef struct gemm_run {
    const qb_packed_s8 *packed;
    qb_tile_s8 tile; /* all that does not change from tile to tile */
    const qb_image *image;
    const qb_sample_quant *samples; /* hybrid: of each sample */
    size_t sample_pixels;
    char *scratch;
} gemm_run;

static qb_sample_quant *quants_of(const gemm_run *run, size_t index)
{
    return (qb_sample_quant *)(run->scratch + run->packed->quant) + index * run->packed->kernel->mr;
}

static int32_t *row_starts_of(const gemm_run *run, size_t index)
{
    return (int32_t *)(run->scratch + run->packed->row_start) + index * run->packed->kernel->mr;
}

/* What tile number `index` is in every block. */
static void begin_tile(const gemm_run *run, size_t index, qb_tile_s8 *tile)
{
    const qb_packed_s8 *packed = run->packed;
    const size_t mr = packed->kernel->mr;
    qb_sample_quant *quant = quants_of(run, index);
    int32_t *row_start = row_starts_of(run, index);
    *tile = run->tile;
    tile->inputs = (const int8_t *const *)(run->scratch + packed->pointers);
    tile->workspace = run->scratch + packed->workspace + index * packed->workspace_bytes;
    tile->quant = quant;
    tile->row_start = row_start;
    tile->rows_start = packed->weight_zero != 0;
    tile->sums = (int32_t *)(void *)(run->scratch + packed->parted) + index * mr * packed->kernel->nr;
    memset(row_start, 0, mr * sizeof *row_start);
    for (size_t r = 0; tile->bound && r < mr; r++) quant[r] = (qb_sample_quant){1.0f, 0};
}

/* Fills in tile number `index` of a block, all but its columns and where they go: `rows` rows from pixel `first`. */
static void pack_tile(const gemm_run *run, size_t index, size_t first, size_t rows, qb_tile_s8 *tile)
{
    const qb_packed_s8 *packed = run->packed;
    const size_t mr = packed->kernel->mr;
    tile->rows = rows;
    for (size_t r = 0; run->samples != NULL && !tile->bound && r < rows; r++) {
        quants_of(run, index)[r] = run->samples[(first + r) / run->sample_pixels];
    }
    if (packed->padded) {
        const uint8_t *image = (const uint8_t *)run->scratch + packed->padded_image;
        qb_padded_point(&packed->image, image, first, rows, mr, tile->workspace);
        return;
    }
    const void **pointers = (const void **)(run->scratch + packed->pointers);
    qb_rows_fill(&packed->rows, run->image, first, rows, pointers, run->scratch + packed->gathered);
    if (tile->rows_start) start_rows(tile, mr, packed->weight_zero, row_starts_of(run, index));
    packed->kernel->pack(tile);
}

/* Works how a batch's only sample was quantized into the columns. */
static void bind_sample(gemm_run *run, size_t columns)
{
    const qb_packed_s8 *packed = run->packed;
    run->tile.channels = qb_bind_sample(&packed->tile.channels, *run->samples,
                                        (size_t)qb_round_up(columns, packed->kernel->nr),
                                        (int32_t *)(void *)(run->scratch + packed->start),
                                        (float *)(void *)(run->scratch + packed->factor));
    run->tile.bound = true;
}

/* Tiles whose rows are packed, and where their first row's column 0 goes. */
typedef struct block {
    qb_tile_s8 *tiles;
    size_t count, rows;
    char *y;
    size_t row_bytes;
} block;

/* The columns of one tile from `column` on. */
static void run_columns(const gemm_run *run, const qb_linear *op, const block *block, size_t index, size_t column)
{
    const qb_packed_s8 *packed = run->packed;
    const size_t columns = (size_t)op->shape.out_c;
    qb_tile_s8 *tile = &block->tiles[index];
    char *out = block->y + index * packed->kernel->mr * block->row_bytes;
    tile->first_column = column;
    tile->end_column = columns - column < packed->block ? columns : column + packed->block;
    tile->out = tile->tail == QB_TAIL_S32 ? run->scratch + packed->sums : out;
    packed->kernel->tile(tile);
    if (tile->tail == QB_TAIL_S32 && tile->part->last) requantize_sums(op, tile, (int8_t *)out);
}

/* Columns by packed weights. Each tile has its share of the next columns' fetched while it is computed. */
static void run_packed(const gemm_run *run, const qb_linear *op, const block *block, size_t column)
{
    const qb_packed_s8 *packed = run->packed;
    const size_t next = column + packed->block, depth = (size_t)qb_padded_depth(packed);
    const bool fetches = packed->kernel->block > 0 && next < (size_t)op->shape.out_c;
    const size_t ahead_lines = fetches ? (packed->block + block->count - 1) / block->count : 0;
    const size_t step = (depth + CACHE_LINE - 1) / CACHE_LINE * ahead_lines * CACHE_LINE;
    const int8_t *ahead = packed->tile.weights + next * depth;
    for (size_t i = 0; i < block->count; i++, ahead += step) {
        block->tiles[i].ahead_lines = ahead_lines;
        block->tiles[i].ahead = ahead;
        run_columns(run, op, block, i, column);
    }
}

/* Columns by weights that are widened, part by part. Each row has its share of the next part's fetched. */
static void run_widened(const gemm_run *run, const qb_linear *op, const block *block, size_t column)
{
    const qb_packed_s8 *packed = run->packed;
    const qb_gemm_s8 *kernel = packed->kernel;
    const int8_t *weights = packed->tile.weights + column * qb_padded_depth(packed);
    void *wide = run->scratch + packed->wide;
    for (qb_part part = qb_parts_first(&packed->parts);; part = qb_parts_next(&packed->parts, &part)) {
        const size_t bytes = part.taps * part.groups * kernel->kr * kernel->nr;
        kernel->widen(weights, bytes, wide);
        weights += bytes;
        const size_t ahead_lines = (bytes / CACHE_LINE + block->rows - 1) / block->rows;
        for (size_t i = 0; i < block->count; i++) {
            qb_tile_s8 *tile = &block->tiles[i];
            tile->wide = wide;
            tile->part = &part;
            tile->ahead_lines = ahead_lines;
            tile->ahead = weights + i * kernel->mr * ahead_lines * CACHE_LINE;
            run_columns(run, op, block, i, column);
        }
        if (part.last) return;
    }
}

/* Every tile, block by block. size: bytes of an output value. */
static void run_tiles(const qb_step *step, const qb_image *image, const qb_sample_quant *samples, size_t size)
{
    const qb_linear *op = step->state;
    const qb_packed_s8 *packed = op->fast;
    const size_t pixels = qb_linear_pixels(&op->shape), columns = (size_t)op->shape.out_c;
    const size_t mr = packed->kernel->mr, block_rows = packed->tiles * mr, row_bytes = columns * size;
    gemm_run run = {packed, packed->tile, image, samples, pixels / (size_t)op->shape.batch, step->scratch};
    if (samples != NULL && op->shape.batch == 1) bind_sample(&run, columns);
    qb_tile_s8 *tiles = (qb_tile_s8 *)(void *)((char *)step->scratch + packed->records);
    char *y = step->out[0]->data;
    if (packed->padded) qb_padded_fill(&packed->image, image, (uint8_t *)step->scratch + packed->padded_image);
    for (size_t i = 0; i < packed->tiles; i++) begin_tile(&run, i, &tiles[i]);
    for (size_t first = 0; first < pixels; first += block_rows, y += block_rows * row_bytes) {
        const size_t rows = pixels - first < block_rows ? pixels - first : block_rows;
        const block block = {tiles, (rows + mr - 1) / mr, rows, y, row_bytes};
        for (size_t i = 0; i < block.count; i++) {
            pack_tile(&run, i, first + i * mr, rows - i * mr < mr ? rows - i * mr : mr, &tiles[i]);
        }
        for (size_t column = 0; column < columns; column += packed->block) {
            if (packed->widened) run_widened(&run, op, &block, column);
            else run_packed(&run, op, &block, column);
        }
    }
}

void qb_gemm_s8_run(const qb_step *step)
{
    const qb_packed_s8 *packed = ((const qb_linear *)step->state)->fast;
    const qb_image image = {step->in[0]->data, packed->padding, 0};
    run_tiles(step, &image, NULL, sizeof(int8_t));
}

void qb_gemm_s8_run_hybrid(const qb_step *step)
{
    const qb_linear *op = step->state;
    const qb_hybrid_input input = qb_hybrid_quantize(step, &op->shape);
    const qb_image image = {input.values, input.padding, (size_t)op->shape.in_c};
    run_tiles(step, &image, input.quant, sizeof(float));
}
