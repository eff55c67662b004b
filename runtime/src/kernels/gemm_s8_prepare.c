/* CONV_2D and FULLY_CONNECTED on int8 micro-kernels, int8 and hybrid arithmetic: what is planned and packed at load. */
#include <string.h>

#include "../isa.h"
#include "gemm_s8.h"
#include "gemm_weights.h"

enum { GRANULE = 16, GATHER_BELOW = 16 }; /* int8 values in a vector register */
enum { BLOCK_BYTES = 16 * 1024 };
enum { LEAST_WIDENED = 16 /* rows */, PART_DEPTH = 512 };
enum { PACKED_BYTES = 128 * 1024, MAX_TILES = 64 }; /* of a block of tiles */

static bool pack_columns(qb_builder *builder, qb_packed_s8 *packed, const qb_linear *op)
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

static uint64_t lay_out_scratch(qb_packed_s8 *packed, const qb_linear *op, bool hybrid)
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
    packed->parted = take(&used, kernel->widen != NULL ? rows * kernel->nr * sizeof(int32_t) : 0);
    const uint64_t slots = hybrid ? qb_round_up((uint64_t)op->shape.out_c, kernel->nr) : 0;
    packed->start = take(&used, slots * sizeof(int32_t));
    packed->factor = take(&used, slots * sizeof(float));
    return used;
}

/* How many tiles make a block: as many as leave room in the cache for weights. */
static bool size_block(qb_builder *builder, const qb_step *step, qb_packed_s8 *packed)
{
    const qb_gemm_s8 *kernel = packed->kernel;
    const uint64_t depth = qb_padded_depth(packed);
    const size_t unit = kernel->unit;
    const uint64_t row = packed->padded ? 0 : unit > 0 ? qb_gemm_row_step(depth, unit) : depth;
    const uint64_t pointers = kernel->reads_images ? qb_gemm_pointers(kernel->mr) : 0;
    const uint64_t bytes = qb_round_up(pointers + kernel->expand * kernel->mr * row + QB_GEMM_SLACK, QB_ALIGNMENT);
    if (bytes > INT32_MAX) return qb_refuse(builder, step, "needs more than 2 GB of scratch memory");
    const size_t all = (qb_linear_pixels(packed->rows.shape) + kernel->mr - 1) / kernel->mr;
    const bool few = kernel->block > 0 || kernel->widen != NULL; /* columns, which leave more of the cache */
    const size_t room = few ? 2 * PACKED_BYTES : PACKED_BYTES;
    const size_t fitting = (size_t)(room / bytes), most = fitting < MAX_TILES ? fitting : MAX_TILES;
    packed->workspace_bytes = (size_t)bytes;
    packed->tiles = most < 1 ? 1 : all < most ? all : most;
    return true;
}

/* Columns computed for a block of tiles before the next ones. */
static size_t choose_block(const qb_packed_s8 *packed)
{
    const size_t least = packed->kernel->block, depth = (size_t)qb_padded_depth(packed);
    if (least == 0) return qb_gemm_block(depth, packed->kernel->nr);
    const size_t fitting = BLOCK_BYTES / depth / least * least; /* few depths: not to start a tile for each column */
    return fitting > least ? fitting : least;
}

/* Windows are read in a padded image: a filter row counts as one tap. Not single pixels in steps, or in whole units,
 * which are packed as fast. */
static void plan_image(qb_packed_s8 *packed, const qb_linear_shape *s, const qb_loops *loops)
{
    const bool window = s->filter_h * s->filter_w > 1 && s->dilation_w == 1;
    const bool ragged = packed->rows.kind == QB_ROWS_DIRECT && packed->rows.depth % packed->kernel->unit != 0;
    packed->padded = window || ragged;
    if (!packed->padded) return;
    packed->image = qb_padded_plan(s, loops);
    packed->rows.taps = (size_t)s->filter_h;
    packed->rows.depth = (size_t)s->filter_w * (size_t)s->in_c;
    packed->rows.pointers_bytes = packed->rows.gathered_bytes = 0;
}

/* Weights are widened where enough rows share them. */
static void plan_parts(qb_packed_s8 *packed, const qb_linear *op)
{
    const qb_gemm_s8 *kernel = packed->kernel;
    const bool shared = qb_linear_pixels(&op->shape) >= LEAST_WIDENED;
    packed->widened = kernel->widen != NULL && shared && op->lowest_weight > -128;
    if (packed->widened) packed->block = kernel->nr;
    packed->tile.tap_step = packed->padded ? packed->image.tap_step : 0;
    packed->parts = qb_parts_plan(packed->rows.taps, packed->rows.depth, packed->tile.tap_step, kernel->kr,
                                  packed->widened ? PART_DEPTH / kernel->kr : INT32_MAX);
    packed->whole = qb_parts_first(&packed->parts);
    packed->tile.part = &packed->whole;
}

bool qb_gemm_s8_prepare(qb_builder *builder, qb_step *step, qb_linear *op)
{
    const qb_gemm_s8 *kernel = qb_builder_isa(builder)->gemm_s8;
    if (kernel == NULL || !qb_linear_has_headroom(op)) return true;
    /* Where a kernel cannot have -128, weights up to 126 are moved up by one, and their zero point with them. */
    const int moved = op->lowest_weight == -128 && !kernel->full_range ? 1 : 0;
    if (op->highest_weight + moved > 127) return true;
    const bool hybrid = step->node->arithmetic == QB_ARITH_HYBRID;
    qb_packed_s8 *packed = qb_alloc(builder, sizeof *packed);
    int8_t *padding = qb_alloc(builder, (size_t)op->shape.in_c);
    if (packed == NULL || padding == NULL) return false;
    memset(padding, op->input_zero, (size_t)op->shape.in_c);
    packed->kernel = kernel;
    packed->padding = padding;
    packed->weight_zero = op->weight_zero + moved;
    packed->rows = qb_rows_plan(&op->shape, sizeof(int8_t), kernel->mr, GRANULE, GATHER_BELOW, kernel->takes_lines);
    if (kernel->reads_images && packed->weight_zero == 0) plan_image(packed, &op->shape, qb_builder_isa(builder)->loops);
    packed->block = choose_block(packed);
    if (!size_block(builder, step, packed)) return false;
    plan_parts(packed, op);
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
    step->run = hybrid ? qb_gemm_s8_run_hybrid : qb_gemm_s8_run;
    step->kernel = kernel->name;
    return true;
}
