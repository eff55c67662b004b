/* CONV_2D and FULLY_CONNECTED on float32 micro-kernels: packing at load, tiles at run. */
#include <string.h>

#include "../isa.h"
#include "gemm.h"
#include "gemm_rows.h"
#include "interleave.h"

enum { GRANULE = 1, GATHER_BELOW = 4, MAX_NR = 64, STRIP = 64 };

/* What prepare leaves: op->fast. Offsets are bytes into scratch. */
typedef struct packed_f32 {
    const qb_gemm_f32 *kernel;
    qb_rows rows;
    size_t step;  /* columns that the kernel computes at a time */
    size_t block; /* columns computed for all rows before the next ones: their weights stay in the cache */
    qb_tile_f32 tile;     /* all that does not change from tile to tile */
    const float *padding; /* in_c zeros */
    size_t gathered;
} packed_f32;

/* A kernel's columns from `first` on, OHWI, to the layout of gemm.h: strips of the depth, so that float16 weights are
 * expanded in the cache. */
static void pack_columns(const qb_linear *op, size_t first, size_t count, size_t nr, float *to)
{
    const size_t depth = qb_linear_depth(&op->shape);
    float expanded[MAX_NR * STRIP];
    for (size_t start = 0; start < depth; start += STRIP, to += STRIP * nr) {
        const size_t length = depth - start < STRIP ? depth - start : STRIP;
        qb_columns columns = {.stride = depth * sizeof *to, .columns = count, .nr = nr, .to = to};
        columns.from = qb_linear_weights_f32(op, first * depth + start, length, expanded);
        for (size_t n = 1; op->stored != NULL && n < count; n++) {
            qb_linear_weights_f32(op, (first + n) * depth + start, length, expanded + n * STRIP);
        }
        if (op->stored != NULL) columns.stride = STRIP * sizeof *to;
        qb_interleave_32(&columns, length);
    }
}

/* The sums start at the bias. */
static bool pack(qb_builder *builder, packed_f32 *packed, const qb_linear *op)
{
    const size_t nr = packed->kernel->nr, columns = (size_t)op->shape.out_c,
                 depth = qb_linear_depth(&op->shape);
    float *weights = qb_alloc_array(builder, qb_round_up(columns, nr) * depth, sizeof *weights);
    float *bias = qb_alloc_array(builder, qb_round_up(columns, nr), sizeof *bias);
    if (weights == NULL || bias == NULL) return false;
    for (size_t first = 0; first < columns; first += nr) {
        pack_columns(op, first, columns - first < nr ? columns - first : nr, nr, weights + first * depth);
    }
    if (op->bias != NULL) memcpy(bias, op->bias, columns * sizeof *bias);
    packed->tile.weights = weights;
    packed->tile.bias = bias;
    return true;
}

/* While a block of columns is computed, as many weights come into the cache from behind its own: those of the next block, or
 * where it is the last what lies behind, which most times are the next layer's. No more than that, or they would take the
 * block's own place. touches: of a tile. Returns their end. */
static const char *look_ahead(const packed_f32 *packed, qb_tile_f32 *tile, size_t touches, size_t tiles)
{
    enum { LEAST = 16, LINE = 64 };
    const size_t depth = tile->taps * tile->depth, bytes = (tile->end_column - tile->first_column) * depth * sizeof(float);
    const size_t step = bytes / (tiles * touches);
    tile->ahead = (const char *)(tile->weights + (size_t)qb_round_up(tile->end_column, packed->kernel->nr) * depth);
    tile->ahead_step = step < LEAST ? LEAST : step < LINE ? step : LINE;
    return tile->ahead + bytes;
}

static void run_f32(const qb_step *step)
{
    const qb_linear *op = step->state;
    const packed_f32 *packed = op->fast;
    const size_t pixels = qb_linear_pixels(&op->shape), columns = (size_t)op->shape.out_c, mr = packed->kernel->mr;
    const qb_image image = {step->in[0]->data, packed->padding, 0};
    const void **pointers = step->scratch;
    void *gathered = (char *)step->scratch + packed->gathered;
    qb_tile_f32 tile = packed->tile;
    tile.inputs = (const float *const *)pointers;
    for (size_t column = 0; column < columns; column = tile.end_column) {
        tile.first_column = column;
        tile.end_column = columns - column < packed->block ? columns : column + packed->block;
        const size_t touches = (tile.end_column - column + packed->step - 1) / packed->step * tile.taps * tile.depth;
        const char *end = look_ahead(packed, &tile, touches, (pixels + mr - 1) / mr);
        for (size_t first = 0; first < pixels; first += tile.rows, tile.ahead += touches * tile.ahead_step) {
            if (tile.ahead >= end) tile.ahead_step = 0;
            tile.rows = qb_gemm_rows(pixels - first, mr);
            qb_rows_fill(&packed->rows, &image, first, tile.rows, pointers, gathered);
            tile.out = (float *)step->out[0]->data + first * columns;
            packed->kernel->tile(&tile);
        }
    }
}

bool qb_gemm_f32_prepare(qb_builder *builder, qb_step *step, qb_linear *op)
{
    const qb_gemm_f32 *kernel = qb_builder_isa(builder)->gemm_f32;
    if (kernel == NULL) return true;
    packed_f32 *packed = qb_alloc(builder, sizeof *packed);
    float *padding = qb_alloc_array(builder, (uint64_t)op->shape.in_c, sizeof *padding);
    if (packed == NULL || padding == NULL) return false;
    packed->kernel = kernel;
    packed->padding = padding;
    packed->rows = qb_rows_plan(&op->shape, sizeof(float), kernel->mr, GRANULE, GATHER_BELOW, true);
    packed->step = kernel->least_block > 0 ? kernel->least_block : kernel->nr;
    packed->block = qb_gemm_block(qb_linear_depth(&op->shape) * sizeof(float), packed->step);
    const uint64_t gathered = qb_round_up(packed->rows.pointers_bytes, QB_ALIGNMENT);
    packed->gathered = (size_t)gathered;
    if (!qb_reserve_scratch(builder, step, gathered + packed->rows.gathered_bytes)) return false;
    if (!pack(builder, packed, op)) return false;
    packed->tile.taps = packed->rows.taps;
    packed->tile.depth = packed->rows.depth;
    packed->tile.range = op->range;
    packed->tile.out_stride = (size_t)op->shape.out_c;
    op->fast = packed;
    step->run = run_f32;
    step->kernel = kernel->name;
    return true;
}
