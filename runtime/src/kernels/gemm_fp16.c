/* CONV_2D and FULLY_CONNECTED in float16 arithmetic: packing at load, tiles at run. */
#include "gemm_fp16.h"

#include <math.h>
#include <string.h>

#include "gemm_rows.h"

enum { MR = QB_FP16_ROWS, NR = QB_FP16_COLUMNS, STEP = QB_FP16_STEP, GRANULE = 1, GATHER_BELOW = 4 };
enum { PACKED_BYTES = 128 * 1024 }; /* of a block of tiles */
enum { MIN_EXPONENT = -14, EXPONENT_BIAS = 15, DIGITS = 10 }; /* of float16 */

/* What prepare leaves: op->fast. Offsets are bytes into scratch. */
typedef struct packed_fp16 {
    qb_rows rows;
    size_t tiles;         /* in a block, whose rows are packed before any of its columns is computed */
    size_t block;         /* columns computed for a block of tiles before the next ones */
    qb_tile_fp16 tile;    /* all that does not change from tile to tile */
    float weight_scale;   /* what the packed weights are to be multiplied by */
    const float *padding; /* in_c zeros */
    size_t tile_values;   /* of a tile's packed rows */
    size_t gathered, scales, inputs;
} packed_fp16;

/* The exponent of the power of two that brings the largest weight to [1, 2), as far as float16 reaches. */
static int raise_by(const uint16_t *weights, size_t count)
{
    int largest = 0;
    for (size_t i = 0; i < count; i++) {
        const int magnitude = weights[i] & 0x7FFF;
        if (magnitude > largest) largest = magnitude;
    }
    const int exponent = EXPONENT_BIAS - (largest >> DIGITS);
    return exponent < MIN_EXPONENT ? MIN_EXPONENT : exponent;
}

/* OHWI to the layout of gemm_fp16.h. */
static bool pack_columns(qb_builder *builder, packed_fp16 *packed, const qb_linear *op)
{
    const size_t columns = (size_t)op->shape.out_c, slots = (size_t)qb_round_up(columns, NR);
    const size_t used = qb_linear_depth(&op->shape), depth = packed->tile.depth;
    float16_t *weights = qb_alloc_array(builder, (uint64_t)slots * depth, sizeof *weights);
    float *bias = qb_alloc_array(builder, slots, sizeof *bias);
    if (weights == NULL || bias == NULL) return false;
    const int exponent = raise_by(op->weights, columns * used);
    const float16_t factor = (float16_t)ldexpf(1.0f, exponent);
    const float16_t *from = op->weights;
    for (size_t n = 0; n < columns; n++, from += used) {
        float16_t *to = weights + n / NR * NR * depth + n % NR;
        for (size_t k = 0; k < used; k++) to[k * NR] = from[k] * factor;
    }
    if (op->bias != NULL) memcpy(bias, op->bias, columns * sizeof *bias);
    packed->weight_scale = ldexpf(1.0f, -exponent);
    packed->tile.weights = weights;
    packed->tile.bias = bias;
    return true;
}

/* A run's input, and where its packed rows go. */
typedef struct gemm_run {
    const packed_fp16 *packed;
    qb_image image;
    const void **pointers;
    void *gathered;
    float *scales;
    float16_t *inputs;
} gemm_run;

/* Packs tile number `index` of a block: `rows` rows from pixel `first`. */
static void pack_tile(const gemm_run *run, size_t index, size_t first, size_t rows)
{
    const packed_fp16 *packed = run->packed;
    const size_t depth = packed->tile.depth;
    float16_t *inputs = run->inputs + index * packed->tile_values;
    qb_rows_fill(&packed->rows, &run->image, first, rows, run->pointers, run->gathered);
    for (size_t r = 0; r < rows; r++) {
        const float *const *row = (const float *const *)run->pointers + r;
        const float scale = qb_pack_row_fp16(row, packed->rows.taps, packed->rows.depth, depth, inputs + r * depth);
        run->scales[index * MR + r] = scale * packed->weight_scale;
    }
}

/* All columns of a block of `rows` rows, some columns at a time: their weights stay in the cache. out: its first
 * value. */
static void run_block(const gemm_run *run, size_t rows, size_t columns, float *out)
{
    const packed_fp16 *packed = run->packed;
    qb_tile_fp16 tile = packed->tile;
    for (size_t column = 0; column < columns; column = tile.end_column) {
        tile.first_column = column;
        tile.end_column = columns - column < packed->block ? columns : column + packed->block;
        for (size_t first = 0, i = 0; first < rows; first += MR, i++) {
            tile.rows = rows - first < MR ? rows - first : MR;
            tile.inputs = run->inputs + i * packed->tile_values;
            tile.scale = run->scales + i * MR;
            tile.out = out + first * columns;
            qb_run_tile_fp16(&tile);
        }
    }
}

static void run_f16(const qb_step *step)
{
    const qb_linear *op = step->state;
    const packed_fp16 *packed = op->fast;
    const size_t pixels = qb_linear_pixels(&op->shape), columns = (size_t)op->shape.out_c;
    const size_t most = packed->tiles * MR;
    char *scratch = step->scratch;
    const gemm_run run = {
        .packed = packed,
        .image = {step->in[0]->data, packed->padding, 0},
        .pointers = step->scratch,
        .gathered = scratch + packed->gathered,
        .scales = (float *)(void *)(scratch + packed->scales),
        .inputs = (float16_t *)(void *)(scratch + packed->inputs),
    };
    float *out = step->out[0]->data;
    for (size_t first = 0; first < pixels; first += most, out += most * columns) {
        const size_t rows = pixels - first < most ? pixels - first : most;
        for (size_t r = 0, i = 0; r < rows; r += MR, i++) pack_tile(&run, i, first + r, rows - r < MR ? rows - r : MR);
        run_block(&run, rows, columns, out);
    }
}

/* Chooses how many tiles make a block and lays out scratch; returns its size, more than any session may have where a
 * row is too long. */
static uint64_t lay_out_scratch(packed_fp16 *packed)
{
    const uint64_t bytes = qb_round_up((MR * (uint64_t)packed->tile.depth + STEP) * sizeof(float16_t), QB_ALIGNMENT);
    if (bytes > INT32_MAX) return bytes;
    const size_t all = (qb_linear_pixels(packed->rows.shape) + MR - 1) / MR, fitting = PACKED_BYTES / (size_t)bytes;
    packed->tiles = fitting < 1 ? 1 : all < fitting ? all : fitting;
    packed->tile_values = (size_t)bytes / sizeof(float16_t);
    uint64_t used = qb_round_up(packed->rows.pointers_bytes, QB_ALIGNMENT);
    packed->gathered = (size_t)used;
    used += qb_round_up(packed->rows.gathered_bytes, QB_ALIGNMENT);
    packed->scales = (size_t)used;
    used += qb_round_up(packed->tiles * MR * sizeof(float), QB_ALIGNMENT);
    packed->inputs = (size_t)used;
    return used + packed->tiles * bytes;
}

bool qb_gemm_fp16_prepare(qb_builder *builder, qb_step *step, qb_linear *op)
{
    packed_fp16 *packed = qb_alloc(builder, sizeof *packed);
    float *padding = qb_alloc_array(builder, (uint64_t)op->shape.in_c, sizeof *padding);
    if (packed == NULL || padding == NULL) return false;
    packed->padding = padding;
    packed->rows = qb_rows_plan(&op->shape, sizeof(float), MR, GRANULE, GATHER_BELOW, false);
    packed->tile.depth = (size_t)qb_round_up(qb_linear_depth(&op->shape), STEP);
    packed->tile.range = op->range;
    packed->tile.out_stride = (size_t)op->shape.out_c;
    packed->block = qb_gemm_block(packed->tile.depth * sizeof(float16_t), NR);
    if (!qb_reserve_scratch(builder, step, lay_out_scratch(packed)) || !pack_columns(builder, packed, op)) return false;
    op->fast = packed;
    step->run = run_f16;
    step->kernel = "gemm_f16_fp16";
    return true;
}
