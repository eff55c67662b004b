/* DEPTHWISE_CONV_2D on micro-kernels: packing at load, a row of output pixels at a time at run. */
#include "depthwise.h"

#include <stdlib.h>
#include <string.h>

#include "../isa.h"
#include "gemm_rows.h"

/* What prepare leaves: op->fast. One of the two kernels is set. */
typedef struct packed_depthwise {
    const qb_depthwise_s8 *s8;
    const qb_depthwise_3x3_s8 *s8_3x3; /* in its place, or NULL */
    const qb_depthwise_f32 *f32;
    qb_depthwise_row_s8 row_s8; /* all that does not change from row to row */
    qb_depthwise_row_f32 row_f32;
    const void *padding; /* in_c zero points, or zeros */
    size_t columns;      /* input columns that the kernel reads for an output row, padding included */
    size_t pointers;     /* their place in scratch, bytes */
} packed_depthwise;

/* The pointers for one output row. size: bytes of an input value. */
static void point_at_columns(const qb_linear_shape *s, const packed_depthwise *packed, const qb_image *image,
                             size_t size, int32_t sample, int32_t out_y, const void **pointers)
{
    const size_t pixel = (size_t)s->in_c * size, line = (size_t)s->in_w * pixel;
    const char *values = (const char *)image->values + (size_t)sample * qb_linear_sample(s) * size;
    const char *padding = (const char *)image->padding + (size_t)sample * image->padding_stride;
    const size_t left = (size_t)s->pad_left < packed->columns ? (size_t)s->pad_left : packed->columns;
    for (int32_t ky = 0; ky < s->filter_h; ky++) {
        const int32_t y = out_y * s->stride_h + ky * s->dilation_h - s->pad_top;
        const size_t inside = y < 0 || y >= s->in_h                           ? 0
                              : packed->columns - left < (size_t)s->in_w ? packed->columns - left
                                                                         : (size_t)s->in_w;
        const char *from = values + (inside > 0 ? (size_t)y * line : 0);
        const void **to = pointers + ky;
        size_t column = 0;
        for (; inside > 0 && column < left; column++, to += s->filter_h) *to = padding;
        for (size_t i = 0; i < inside; i++, to += s->filter_h, from += pixel) *to = from;
        for (column += inside; column < packed->columns; column++, to += s->filter_h) *to = padding;
    }
}

static void run_s8_rows(const qb_step *step, const qb_image *image, const qb_sample_quant *samples,
                        size_t size)
{
    const qb_linear *op = step->state;
    const qb_linear_shape *s = &op->shape;
    const packed_depthwise *packed = op->fast;
    const void **pointers = (const void **)((char *)step->scratch + packed->pointers);
    void (*run_row)(const qb_depthwise_row_s8 *) = packed->s8_3x3 != NULL ? packed->s8_3x3->row : packed->s8->row;
    char *out = step->out[0]->data;
    qb_depthwise_row_s8 row = packed->row_s8;
    row.columns = (const int8_t *const *)pointers;
    row.window = (const int8_t **)pointers + packed->columns * (size_t)s->filter_h;
    for (int32_t sample = 0; sample < s->batch; sample++) {
        row.quant = samples == NULL ? NULL : samples + sample;
        for (int32_t y = 0; y < s->out_h; y++, out += row.pixels * row.channels * size) {
            point_at_columns(s, packed, image, sizeof(int8_t), sample, y, pointers);
            row.out = out;
            run_row(&row);
        }
    }
}

static void run_s8(const qb_step *step)
{
    const packed_depthwise *packed = ((const qb_linear *)step->state)->fast;
    const qb_image image = {step->in[0]->data, packed->padding, 0};
    run_s8_rows(step, &image, NULL, sizeof(int8_t));
}

static void run_hybrid(const qb_step *step)
{
    const qb_linear *op = step->state;
    const qb_hybrid_input input = qb_hybrid_quantize(step, &op->shape);
    const qb_image image = {input.values, input.padding, (size_t)op->shape.in_c};
    run_s8_rows(step, &image, input.quant, sizeof(float));
}

static void run_f32(const qb_step *step)
{
    const qb_linear *op = step->state;
    const qb_linear_shape *s = &op->shape;
    const packed_depthwise *packed = op->fast;
    const qb_image image = {step->in[0]->data, packed->padding, 0};
    const void **pointers = step->scratch;
    qb_depthwise_row_f32 row = packed->row_f32;
    row.columns = (const float *const *)pointers;
    row.window = (const float **)pointers + packed->columns * (size_t)s->filter_h;
    row.out = step->out[0]->data;
    for (int32_t sample = 0; sample < s->batch; sample++) {
        for (int32_t y = 0; y < s->out_h; y++, row.out += row.pixels * row.channels) {
            point_at_columns(s, packed, &image, sizeof(float), sample, y, pointers);
            packed->f32->row(&row);
        }
    }
}

/* Input columns, padding included, that the windows of an output row touch. */
static size_t columns_touched(const qb_linear_shape *s)
{
    const size_t last = (size_t)(s->out_w - 1) * (size_t)s->stride_w;
    return last + (size_t)(s->filter_w - 1) * (size_t)s->dilation_w + 1;
}

/* Where each tap lies from its window's first pointer; a tap past the last is the first again. */
static uint32_t *tap_offsets(qb_builder *builder, const qb_linear_shape *s, size_t taps)
{
    uint32_t *offsets = qb_alloc_array(builder, taps, sizeof *offsets);
    if (offsets == NULL) return NULL;
    for (int32_t ky = 0; ky < s->filter_h; ky++) {
        for (int32_t kx = 0; kx < s->filter_w; kx++) {
            offsets[ky * s->filter_w + kx] = (uint32_t)(kx * s->dilation_w * s->filter_h + ky);
        }
    }
    return offsets;
}

enum { MOST = 127 }; /* the largest int8 weight in magnitude */

/* Into how many int8 weights each tap's are split: what its largest in magnitude, less the zero point, needs.
 * Returns their sum. */
static size_t split_taps(const qb_linear *op, size_t taps, uint8_t *parts)
{
    const size_t channels = (size_t)op->shape.out_c;
    const int8_t *w = op->weights;
    size_t total = 0;
    for (size_t t = 0; t < taps; t++, total += parts[t - 1]) {
        int largest = 1;
        for (size_t c = 0; c < channels; c++, w++) {
            const int value = abs(*w - op->weight_zero);
            if (value > largest) largest = value;
        }
        parts[t] = (uint8_t)((largest + MOST - 1) / MOST);
    }
    return total;
}

/* The taps in order, then those that others were split into. Fills of[i], the tap that i is or belongs to, and
 * done[i], how many parts of it come before. */
static void order_parts(const uint8_t *parts, size_t taps, uint32_t *of, uint8_t *done)
{
    size_t next = taps;
    for (size_t t = 0; t < taps; t++) {
        of[t] = (uint32_t)t;
        for (uint8_t part = 1; part < parts[t]; part++, next++) {
            of[next] = (uint32_t)t;
            done[next] = part;
        }
    }
}

/* Part number `part` of a weight: as much of it as an int8 holds, after the parts before have taken theirs. */
static int8_t weight_part(int weight, int part)
{
    const int left = abs(weight) - part * MOST;
    const int magnitude = left < 0 ? 0 : left > MOST ? MOST : left;
    return (int8_t)(weight < 0 ? -magnitude : magnitude);
}

static bool pack_s8(qb_builder *builder, packed_depthwise *packed, const qb_linear *op)
{
    if (packed->s8_3x3 != NULL) return qb_depthwise_3x3_pack(builder, packed->s8_3x3, op, &packed->row_s8);
    const size_t filter = qb_linear_depth(&op->shape), channels = (size_t)op->shape.out_c;
    uint8_t *parts = qb_alloc_array(builder, filter, sizeof *parts);
    if (parts == NULL) return false;
    const size_t taps = split_taps(op, filter, parts), even = (size_t)qb_round_up(taps, 2);
    const size_t slots = qb_depthwise_blocks(channels) * QB_DEPTHWISE_BLOCK;
    int8_t *weights = qb_alloc_array(builder, (uint64_t)slots * even, sizeof *weights);
    int32_t *channel_of = qb_alloc_array(builder, slots, sizeof *channel_of);
    uint32_t *tap_of = qb_alloc_array(builder, even, sizeof *tap_of);
    uint8_t *done = qb_alloc_array(builder, even, sizeof *done);
    if (weights == NULL || channel_of == NULL || tap_of == NULL || done == NULL) return false;
    order_parts(parts, filter, tap_of, done);
    const int8_t *from = op->weights;
    for (size_t i = 0; i < slots; i++) {
        const size_t block = i / QB_DEPTHWISE_BLOCK, lane = i % QB_DEPTHWISE_BLOCK;
        const size_t c = qb_depthwise_first(block, channels) + lane;
        channel_of[i] = c < channels ? (int32_t)c : -1;
        int8_t *to = weights + (block * even * QB_DEPTHWISE_BLOCK) + lane * 2;
        for (size_t t = 0; c < channels && t < taps; t++) {
            const int weight = from[tap_of[t] * channels + c] - op->weight_zero;
            to[t / 2 * 2 * QB_DEPTHWISE_BLOCK + t % 2] = weight_part(weight, done[t]);
        }
    }
    packed->row_s8.weights = weights;
    uint32_t *offsets = tap_offsets(builder, &op->shape, even);
    if (offsets == NULL) return false;
    for (size_t t = filter; t < taps; t++) offsets[t] = offsets[tap_of[t]];
    packed->row_s8.tap_offset = offsets;
    packed->row_s8.taps = even;
    return qb_pack_channels(builder, op, channel_of, slots, 0, 0, &packed->row_s8.by_channel);
}

static bool pack_f32(qb_builder *builder, packed_depthwise *packed, const qb_linear *op)
{
    const size_t taps = qb_linear_depth(&op->shape), channels = (size_t)op->shape.out_c;
    const size_t slots = qb_depthwise_blocks(channels) * QB_DEPTHWISE_BLOCK;
    float *weights = qb_alloc_array(builder, (uint64_t)slots * taps, sizeof *weights);
    float *bias = qb_alloc_array(builder, slots, sizeof *bias);
    if (weights == NULL || bias == NULL) return false;
    const size_t width = channels < QB_DEPTHWISE_BLOCK ? channels : QB_DEPTHWISE_BLOCK;
    float *to = weights;
    for (size_t i = 0; i < slots; i += QB_DEPTHWISE_BLOCK) {
        const size_t first = qb_depthwise_first(i / QB_DEPTHWISE_BLOCK, channels);
        for (size_t t = 0; t < taps; t++, to += QB_DEPTHWISE_BLOCK) {
            float expanded[QB_DEPTHWISE_BLOCK];
            memcpy(to, qb_linear_weights_f32(op, t * channels + first, width, expanded), width * sizeof *to);
        }
        if (op->bias != NULL) memcpy(bias + i, (const float *)op->bias + first, width * sizeof *bias);
    }
    packed->row_f32.weights = weights;
    packed->row_f32.bias = bias;
    packed->row_f32.range = op->range;
    packed->row_f32.filter_3x3 =
        op->shape.filter_h == 3 && op->shape.filter_w == 3 && op->shape.dilation_h == 1 && op->shape.dilation_w == 1;
    packed->row_f32.tap_offset = tap_offsets(builder, &op->shape, taps);
    packed->row_f32.taps = taps;
    return packed->row_f32.tap_offset != NULL;
}

static void choose_run(qb_step *step, const packed_depthwise *packed)
{
    const bool hybrid = step->node->arithmetic == QB_ARITH_HYBRID;
    step->kernel = packed->s8_3x3 != NULL ? packed->s8_3x3->name
                   : packed->s8 != NULL   ? packed->s8->name
                                          : packed->f32->name;
    step->run = packed->s8 == NULL ? run_f32 : hybrid ? run_hybrid : run_s8;
}

bool qb_depthwise_prepare(qb_builder *builder, qb_step *step, qb_linear *op)
{
    const struct qb_isa *isa = qb_builder_isa(builder);
    const qb_linear_shape *s = &op->shape;
    const bool f32 = qb_sums_floats(step);
    if (f32 ? isa->depthwise_f32 == NULL : isa->depthwise_s8 == NULL || !qb_linear_has_headroom(op)) return true;
    if (s->multiplier != 1) return true;
    packed_depthwise *packed = qb_alloc(builder, sizeof *packed);
    const size_t channels = (size_t)s->in_c, size = f32 ? sizeof(float) : sizeof(int8_t);
    void *padding = qb_alloc_array(builder, channels, size);
    if (packed == NULL || padding == NULL) return false;
    if (!f32) memset(padding, op->input_zero, channels);
    packed->s8 = f32 ? NULL : isa->depthwise_s8;
    packed->f32 = f32 ? isa->depthwise_f32 : NULL;
    packed->s8_3x3 = f32 ? NULL : qb_depthwise_3x3_for(isa->depthwise_3x3_s8, op);
    packed->padding = padding;
    const uint64_t before = step->node->arithmetic == QB_ARITH_HYBRID ? qb_hybrid_scratch(s) : 0;
    packed->pointers = (size_t)before;
    packed->columns = columns_touched(s) + (packed->s8_3x3 == NULL ? 0 : packed->s8_3x3->ahead);
    const size_t pixel_step = (size_t)s->stride_w * (size_t)s->filter_h;
    packed->row_s8.pixels = packed->row_f32.pixels = (size_t)s->out_w;
    packed->row_s8.channels = packed->row_f32.channels = channels;
    packed->row_s8.pixel_step = packed->row_f32.pixel_step = pixel_step;
    if (!(f32 ? pack_f32 : pack_s8)(builder, packed, op)) return false;
    const size_t taps = f32 ? packed->row_f32.taps : packed->row_s8.taps;
    const uint64_t pointers = (uint64_t)packed->columns * (uint64_t)s->filter_h + taps;
    if (!qb_reserve_scratch(builder, step, before + pointers * sizeof(void *))) return false;
    op->fast = packed;
    choose_run(step, packed);
    return true;
}
