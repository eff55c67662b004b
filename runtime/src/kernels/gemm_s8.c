/* CONV_2D and FULLY_CONNECTED on int8 micro-kernels, int8 and hybrid arithmetic: planned at load, tiles at run. */
#include <string.h>

#include "../isa.h"
#include "gemm.h"
#include "gemm_image.h"
#include "gemm_parts.h"
#include "gemm_rows.h"
#include "gemm_weights.h"

enum { GRANULE = 16, GATHER_BELOW = 16 }; /* int8 values in a vector register */
enum { QB_CACHE_LINE = 64, BLOCK_BYTES = 16 * 1024 };
enum { LEAST_WIDENED = 3 /* tiles */, PART_DEPTH = 512 };
enum { PACKED_BYTES = 128 * 1024, MAX_TILES = 64 }; /* of a block of tiles */

/* What prepare leaves: op->fast. Offsets are bytes into scratch. */
typedef struct packed_s8 {
    const qb_gemm_s8 *kernel;
    qb_rows rows;
    bool padded; /* windows are read in `image` instead */
    qb_padded image;
    bool widened;
    qb_parts parts;
    size_t tiles;    /* in a block, whose rows are packed before any of its columns is computed */
    size_t block;    /* columns computed for a block of tiles before the next ones: their weights stay in the cache */
    qb_tile_s8 tile; /* all that does not change from tile to tile */
    const int8_t *padding; /* int8: in_c times the input's zero point */
    int32_t weight_zero;   /* what the packed weights have as their zero point */
    size_t workspace_bytes; /* of a tile */
    size_t records, pointers, gathered, padded_image, workspace, sums, quant, row_start, wide, parted, start, factor;
} packed_s8;

/* Input values that the micro-kernel multiplies by one column's weights, zeros included. */
static uint64_t padded_depth(const packed_s8 *packed)
{
    return (uint64_t)packed->rows.taps * qb_round_up(packed->rows.depth, packed->kernel->kr);
}

static bool pack_columns(qb_builder *builder, packed_s8 *packed, const qb_linear *op)
{
    const size_t columns = (size_t)op->shape.out_c, slots = (size_t)qb_round_up(columns, packed->kernel->nr);
    int32_t *channel_of = qb_alloc_array(builder, slots, sizeof *channel_of);
    if (channel_of == NULL) return false;
    for (size_t n = 0; n < slots; n++) channel_of[n] = n < columns ? (int32_t)n : -1;
    return qb_pack_channels(builder, op, channel_of, slots, packed->kernel->input_offset, packed->weight_zero,
                            &packed->tile.channels);
}

/* Takes the next `bytes` of scratch; returns where they start. */
static size_t take(uint64_t *used, uint64_t bytes)
{
    const uint64_t start = *used;
    *used += qb_round_up(bytes, QB_ALIGNMENT);
    return (size_t)start;
}

static uint64_t lay_out_scratch(packed_s8 *packed, const qb_linear *op, bool hybrid)
{
    const qb_gemm_s8 *kernel = packed->kernel;
    const size_t rows = packed->tiles * kernel->mr;
    uint64_t used = hybrid ? qb_hybrid_scratch(&op->shape) : 0;
    packed->records = take(&used, packed->tiles * sizeof(qb_tile_s8));
    packed->pointers = take(&used, packed->rows.pointers_bytes);
    packed->gathered = take(&used, packed->rows.gathered_bytes);
    packed->padded_image = take(&used, packed->padded ? packed->image.bytes : 0);
    packed->workspace = take(&used, (uint64_t)packed->tiles * packed->workspace_bytes);
    packed->sums =
        take(&used, op->rounds_once ? (uint64_t)kernel->mr * (uint64_t)op->shape.out_c * sizeof(int32_t) : 0);
    packed->quant = take(&used, rows * sizeof(qb_sample_quant));
    packed->row_start = take(&used, rows * sizeof(int32_t));
    const uint64_t wide_column = packed->parts.taps * packed->parts.groups * kernel->kr * 2 + sizeof(int32_t);
    packed->wide = take(&used, packed->widened ? kernel->nr * wide_column : 0);
    packed->parted = take(&used, rows * kernel->nr * sizeof(int32_t));
    const uint64_t slots = hybrid ? qb_round_up((uint64_t)op->shape.out_c, kernel->nr) : 0;
    packed->start = take(&used, slots * sizeof(int32_t));
    packed->factor = take(&used, slots * sizeof(float));
    return used;
}

/* How many tiles make a block: as many as leave room in the cache for weights. */
static bool size_block(qb_builder *builder, const qb_step *step, packed_s8 *packed)
{
    const qb_gemm_s8 *kernel = packed->kernel;
    const uint64_t depth = padded_depth(packed), unit = kernel->unit;
    const uint64_t row = packed->padded ? 0 : unit > 0 ? ((depth + unit - 1) / unit | 1) * unit : depth;
    const uint64_t pointers = kernel->reads_images ? qb_round_up(kernel->mr * sizeof(void *), QB_ALIGNMENT) : 0;
    const uint64_t bytes = qb_round_up(pointers + kernel->expand * kernel->mr * row + QB_GEMM_SLACK, QB_ALIGNMENT);
    if (bytes > INT32_MAX) return qb_refuse(builder, step, "needs more than 2 GB of scratch memory");
    const size_t all = (qb_linear_pixels(packed->rows.shape) + kernel->mr - 1) / kernel->mr;
    const size_t room = kernel->block > 0 ? 2 * PACKED_BYTES : PACKED_BYTES; /* few columns leave more of the cache */
    const size_t fitting = (size_t)(room / bytes), most = fitting < MAX_TILES ? fitting : MAX_TILES;
    packed->workspace_bytes = (size_t)bytes;
    packed->tiles = most < 1 ? 1 : all < most ? all : most;
    return true;
}

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
    const packed_s8 *packed;
    qb_tile_s8 tile; /* all that does not change from tile to tile */
    const qb_image *image;
    const qb_sample_quant *samples; /* hybrid: of each sample */
    size_t sample_pixels;
    char *scratch;
} gemm_run;

/* Fills in tile number `index` of a block, all but its columns and where they go: `rows` rows from pixel `first`. */
static void pack_tile(const gemm_run *run, size_t index, size_t first, size_t rows, qb_tile_s8 *tile)
{
    const packed_s8 *packed = run->packed;
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
static void fetch_ahead(const packed_s8 *packed, size_t column, size_t columns, size_t index, size_t count,
                        qb_tile_s8 *tile)
{
    const size_t next = column + packed->block, depth = (size_t)padded_depth(packed);
    tile->ahead_lines = 0;
    if (packed->kernel->block == 0 || next >= columns) return;
    const size_t lines = (depth + QB_CACHE_LINE - 1) / QB_CACHE_LINE;
    tile->ahead_lines = (packed->block + count - 1) / count;
    tile->ahead = packed->tile.weights + next * depth + index * tile->ahead_lines * lines * QB_CACHE_LINE;
}

/* The same for weights that are widened, of which the next `bytes` are wanted when all tiles are computed. */
static void fetch_share(const int8_t *next, size_t bytes, size_t index, size_t count)
{
    const size_t share = (bytes / count + QB_CACHE_LINE) / QB_CACHE_LINE * QB_CACHE_LINE;
    const int8_t *from = next + index * share;
    for (size_t at = 0; at < share; at += QB_CACHE_LINE) __builtin_prefetch(from + at, 0, 2);
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
    const packed_s8 *packed = run->packed;
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
    const packed_s8 *packed = run->packed;
    const qb_gemm_s8 *kernel = packed->kernel;
    const size_t columns = (size_t)op->shape.out_c, left = columns - column;
    const int8_t *weights = packed->tile.weights + column * padded_depth(packed);
    void *wide = packed->widened ? run->scratch + packed->wide : NULL;
    for (qb_part part = qb_parts_first(&packed->parts);; part = qb_parts_next(&packed->parts, &part)) {
        const size_t bytes = wide == NULL ? 0 : part.taps * part.groups * kernel->kr * kernel->nr;
        if (wide != NULL) {
            kernel->widen(weights, bytes, wide);
            weights += bytes;
        }
        for (size_t i = 0; i < count; i++) {
            tiles[i].wide = wide;
            tiles[i].part = part;
            if (wide != NULL) fetch_share(weights, bytes, i, count);
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
    const packed_s8 *packed = op->fast;
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

static void run_s8(const qb_step *step)
{
    const packed_s8 *packed = ((const qb_linear *)step->state)->fast;
    const qb_image image = {step->in[0]->data, packed->padding, 0};
    run_tiles(step, &image, NULL, sizeof(int8_t));
}

static void run_hybrid(const qb_step *step)
{
    const qb_linear *op = step->state;
    const qb_hybrid_input input = qb_hybrid_quantize(step, &op->shape);
    const qb_image image = {input.values, input.padding, (size_t)op->shape.in_c};
    run_tiles(step, &image, input.quant, sizeof(float));
}

/* Columns computed for a block of tiles before the next ones. */
static size_t choose_block(const packed_s8 *packed)
{
    const size_t least = packed->kernel->block, depth = (size_t)padded_depth(packed);
    if (least == 0) return qb_gemm_block(depth, packed->kernel->nr);
    const size_t fitting = BLOCK_BYTES / depth / least * least; /* few depths: not to start a tile for each column */
    return fitting > least ? fitting : least;
}

/* Windows are read in a padded image: a filter row counts as one tap. Not single pixels in steps, or in whole units,
 * which are packed as fast. */
static void plan_image(packed_s8 *packed, const qb_linear_shape *s)
{
    const bool window = s->filter_h * s->filter_w > 1 && s->dilation_w == 1;
    const bool ragged = packed->rows.kind == QB_ROWS_DIRECT && packed->rows.depth % packed->kernel->unit != 0;
    packed->padded = window || ragged;
    if (!packed->padded) return;
    packed->image = qb_padded_plan(s);
    packed->rows.taps = (size_t)s->filter_h;
    packed->rows.depth = (size_t)s->filter_w * (size_t)s->in_c;
    packed->rows.pointers_bytes = packed->rows.gathered_bytes = 0;
}

bool qb_gemm_s8_prepare(qb_builder *builder, qb_step *step, qb_linear *op)
{
    const qb_gemm_s8 *kernel = qb_builder_isa(builder)->gemm_s8;
    if (kernel == NULL || !qb_linear_has_headroom(op)) return true;
    /* Where a kernel cannot have -128, weights up to 126 are moved up by one, and their zero point with them. */
    const int moved = op->lowest_weight == -128 && !kernel->full_range ? 1 : 0;
    if (op->highest_weight + moved > 127) return true;
    const bool hybrid = step->node->arithmetic == QB_ARITH_HYBRID;
    packed_s8 *packed = qb_alloc(builder, sizeof *packed);
    int8_t *padding = qb_alloc(builder, (size_t)op->shape.in_c);
    if (packed == NULL || padding == NULL) return false;
    memset(padding, op->input_zero, (size_t)op->shape.in_c);
    packed->kernel = kernel;
    packed->padding = padding;
    packed->weight_zero = op->weight_zero + moved;
    packed->rows = qb_rows_plan(&op->shape, sizeof(int8_t), kernel->mr, GRANULE, GATHER_BELOW, kernel->takes_lines);
    if (kernel->reads_images && packed->weight_zero == 0) plan_image(packed, &op->shape);
    packed->block = choose_block(packed);
    if (!size_block(builder, step, packed)) return false;
    packed->widened = kernel->widen != NULL && packed->tiles >= LEAST_WIDENED && op->lowest_weight > -128;
    if (packed->widened) packed->block = kernel->nr;
    packed->tile.tap_step = packed->padded ? packed->image.tap_step : 0;
    packed->parts = qb_parts_plan(packed->rows.taps, packed->rows.depth, packed->tile.tap_step, kernel->kr,
                                  packed->widened ? PART_DEPTH / kernel->kr : INT32_MAX);
    if (!qb_reserve_scratch(builder, step, lay_out_scratch(packed, op, hybrid))) return false;
    const int8_t *weights = qb_gemm_s8_weights(builder, kernel, op, &packed->rows, moved);
    if (weights == NULL || !pack_columns(builder, packed, op)) return false;
    packed->tile.taps = packed->rows.taps;
    packed->tile.depth = packed->rows.depth;
    packed->tile.readable = packed->rows.readable;
    packed->tile.weights = weights;
    packed->tile.tail = hybrid ? QB_TAIL_F32 : op->rounds_once ? QB_TAIL_S32 : QB_TAIL_S8;
    packed->tile.out_stride = (size_t)op->shape.out_c;
    op->fast = packed;
    step->run = hybrid ? run_hybrid : run_s8;
    step->kernel = kernel->name;
    return true;
}
