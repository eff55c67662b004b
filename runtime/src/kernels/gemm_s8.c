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

/* Fills in tile number `index` of a block, all but its columns and where they go: `rows` rows from pixel `first`. */
static void pack_tile(const gemm_run *run, size_t index, size_t first, size_t rows, qb_tile_s8 *tile)
{
    const qb_packed_s8 *packed = run->packed;
    const size_t mr = packed->kernel->mr;
    const void **pointers = (const void **)(run->scratch + packed->pointers);
    qb_sample_quant *quant = (qb_sample_quant *)(run->scratch + packed->quant) + index * mr;
    int32_t *row_start = (int32_t *)(run->scratch + packed->row_start) + index * mr;
    *tile = run->tile;
    tile->rows = rows;
    tile->inputs = (const int8_t *const *)pointers;
    tile->workspace = run->scratch + packed->workspace + index * packed->workspace_bytes;
    tile->quant = quant;
    tile->row_start = row_start;
    tile->rows_start = packed->weight_zero != 0;
    tile->sums = (int32_t *)(void *)(run->scratch + packed->parted) + index * mr * packed->kernel->nr;
    memset(row_start, 0, mr * sizeof *row_start);
    for (size_t r = 0; run->samples != NULL && r < rows; r++) {
        quant[r] = tile->bound ? (qb_sample_quant){1.0f, 0} : run->samples[(first + r) / run->sample_pixels];
    }
    if (packed->padded) {
        const uint8_t *image = (const uint8_t *)run->scratch + packed->padded_image;
        qb_padded_point(&packed->image, image, first, rows, mr, tile->workspace);
        return;
    }
    qb_rows_fill(&packed->rows, run->image, first, rows, pointers, run->scratch + packed->gathered);
    if (tile->rows_start) start_rows(tile, mr, packed->weight_zero, row_start);
    packed->kernel->pack(tile);
}

/* Each of `count` tiles has its share of the next block's weights fetched while it is computed. */
static void fetch_ahead(const qb_packed_s8 *packed, size_t column, size_t columns, size_t index, size_t count,
                        qb_tile_s8 *tile)
{
    const size_t next = column + packed->block, depth = (size_t)qb_padded_depth(packed);
    tile->ahead_lines = 0;
    if (packed->kernel->block == 0 || next >= columns) return;
    const size_t lines = (depth + CACHE_LINE - 1) / CACHE_LINE;
    tile->ahead_lines = (packed->block + count - 1) / count;
    tile->ahead = packed->tile.weights + next * depth + index * tile->ahead_lines * lines * CACHE_LINE;
}

/* The same for weights that are widened, of which the next `bytes` are wanted when all tiles are computed. */
static void fetch_share(const int8_t *next, size_t bytes, size_t index, size_t count)
{
    const size_t share = (bytes / count + CACHE_LINE) / CACHE_LINE * CACHE_LINE;
    const int8_t *from = next + index * share;
    for (size_t at = 0; at < share; at += CACHE_LINE) __builtin_prefetch(from + at, 0, 2);
}

/* The columns of a tile. out: its first row's column 0. */
static void run_columns(const gemm_run *run, const qb_linear *op, qb_tile_s8 *tile, char *out)
{
    tile->out = tile->tail == QB_TAIL_S32 ? run->scratch + run->packed->sums : out;
    run->packed->kernel->tile(tile);
    if (tile->tail == QB_TAIL_S32 && tile->part.last) requantize_sums(op, tile, (int8_t *)out);
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

/* A block's tiles in the columns from `column` on. y: its first row's column 0; row_bytes: from row to row. */
static void run_block(const gemm_run *run, const qb_linear *op, qb_tile_s8 *tiles, size_t count, size_t column, char *y,
                      size_t row_bytes)
{
    const qb_packed_s8 *packed = run->packed;
    const qb_gemm_s8 *kernel = packed->kernel;
    const size_t columns = (size_t)op->shape.out_c, left = columns - column;
    const int8_t *weights = packed->tile.weights + column * qb_padded_depth(packed);
    void *wide = packed->widened ? run->scratch + packed->wide : NULL;
    for (qb_part part = qb_parts_first(&packed->parts);; part = qb_parts_next(&packed->parts, &part)) {
        const size_t bytes = wide == NULL ? 0 : part.taps * part.groups * kernel->kr * kernel->nr;
        if (wide != NULL) {
            kernel->widen(weights, bytes, wide);
            weights += bytes;
        }
        for (size_t i = 0; i < count; i++) {
            if (wide != NULL) {
                tiles[i].wide = wide;
                tiles[i].part = part;
                fetch_share(weights, bytes, i, count);
            }
            fetch_ahead(packed, column, columns, i, count, &tiles[i]);
            tiles[i].first_column = column;
            tiles[i].end_column = left < packed->block ? columns : column + packed->block;
            run_columns(run, op, &tiles[i], y + i * kernel->mr * row_bytes);
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
    for (size_t first = 0; first < pixels; first += block_rows, y += block_rows * row_bytes) {
        const size_t rows = pixels - first < block_rows ? pixels - first : block_rows;
        const size_t count = (rows + mr - 1) / mr;
        for (size_t i = 0; i < count; i++) {
            pack_tile(&run, i, first + i * mr, rows - i * mr < mr ? rows - i * mr : mr, &tiles[i]);
        }
        for (size_t column = 0; column < columns; column += packed->block) {
            run_block(&run, op, tiles, count, column, y, row_bytes);
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
