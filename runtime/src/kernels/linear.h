/* What CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED have in common: every output is a sum of products of
 * inputs and constant weights, plus a bias, then a fused activation.
 *
 *     f32     y = clamp(b + Σ x·w), the sum in the order (filter row, filter column, input channel), each
 *             step one fused multiply-add
 *     f16     the same, w and b being float16 in the file; where the ISA has float16 arithmetic: gemm_f16_fp16.c
 *     int8    y = clamp(requantize(b + Σ (x − z_x)·(w − z_w)) + z_y), x and w in [-128, 127], int32 sums
 *     int16   y = clamp(requantize(b + Σ x·w)), x in [-32768, 32767], int64 sums
 *     hybrid  x is quantized per sample at run time (hybrid.h), then
 *             y = clamp(float(Σ (q − z_x)·w) · (s_x·s_w[c]) + b[c]), each float operation rounded by itself
 *
 * Layouts: x and y NHWC; CONV_2D weights OHWI, I being the channels of a group; DEPTHWISE_CONV_2D weights 1HWC;
 * FULLY_CONNECTED weights (out, in).
 */
#ifndef QB_LINEAR_H
#define QB_LINEAR_H

#include "../requantize.h"
#include "checks.h"
#include "kernel.h"

/* Geometry. A fully connected layer is a 1×1 convolution of `batch` images of one pixel. */
typedef struct qb_linear_shape {
    int32_t batch;
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t filter_h, filter_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t multiplier; /* depthwise: output channels per input channel; else 0 */
    int32_t group_c;    /* input channels that an output channel sums over; depthwise: 1 */
} qb_linear_shape;

/* What prepare leaves for run (step->state). Arrays have one entry for each output channel. */
typedef struct qb_linear {
    qb_linear_shape shape;
    const struct qb_linear_reference *reference; /* the op's sums (reference.h) */
    const void *weights;             /* as in the file: float, float16 or int8 */
    const qb_tensor *stored;         /* f32, f16: NULL, or the int8 or float16 that the weights are expanded from */
    const void *bias;                /* float, int32 for int8, int32 or int64 for int16; NULL: none */
    bool wide_bias;                  /* int16: the bias is int64 */
    qb_range_f32 range;              /* f32, hybrid: the fused activation */
    const int32_t *weight_sums;      /* int8, hybrid: Σ (w − z_w) */
    int32_t largest_magnitude;       /* int8, hybrid: of a channel's Σ |w| */
    int32_t *sum_bounds;             /* int8, hybrid: of the sums' magnitudes, bias included */
    int32_t largest_sum;             /* the largest of them */
    const float *weight_scales;      /* hybrid */
    const struct qb_loops *loops;    /* hybrid: the ISA variant's, or NULL */
    qb_multiplier *factors;          /* int8, int16: s_x·s_w / s_y */
    bool rounds_once;                /* int8: a fully connected layer, see qb_requantize */
    int32_t input_zero, output_zero; /* int8 */
    int32_t weight_zero;             /* int8: not 0 in files that were uint8 */
    int lowest_weight, highest_weight; /* int8, hybrid: as in the file */
    qb_range_s8 output_range;        /* int8, int16: the fused activation, quantized */
    const void *fast;                /* what a fast path packed; NULL where the reference runs */
} qb_linear;

/* value · factor, rounded once to nearest, ties up: where qb_multiply rounds twice. The sums of these layers
 * stay under 2^31 in magnitude, so the product fits; the result is saturated. */
static inline int32_t qb_multiply_rounding_once(int32_t value, qb_multiplier factor)
{
    const int right = 31 - factor.shift;
    const int64_t rounded = ((int64_t)value * factor.multiplier + (INT64_C(1) << right >> 1)) >> right;
    return rounded > INT32_MAX ? INT32_MAX : rounded < INT32_MIN ? INT32_MIN : (int32_t)rounded;
}

/* A sum at the output's scale. LiteRT's reference kernels round twice in convolutions and once in fully connected layers. */
static inline int32_t qb_scale_sum(const qb_linear *op, int32_t channel, int32_t sum)
{
    const qb_multiplier factor = op->factors[channel];
    return op->rounds_once ? qb_multiply_rounding_once(sum, factor) : qb_multiply(sum, factor);
}

/* The int8 tail: a sum, bias included, to an output value. */
static inline int8_t qb_requantize(const qb_linear *op, int32_t channel, int32_t sum)
{
    const int32_t scaled = qb_scale_sum(op, channel, sum);
    return qb_clamp_s8(qb_clamp(scaled, -32768, 32767) + op->output_zero, op->output_range);
}

/* value · factor, rounded once to nearest, ties up, for a magnitude under 2^47 and a shift under 8. The product has up
 * to 78 bits: its upper and lower part are computed apart. */
static inline int64_t qb_multiply_s64_rounding_once(int64_t value, qb_multiplier factor)
{
    const int right = 31 - factor.shift;
    const int64_t upper = (value >> 16) * factor.multiplier, lower = (value & 0xFFFF) * factor.multiplier;
    return (upper + ((lower + (INT64_C(1) << (right - 1))) >> 16)) >> (right - 16);
}

/* The int16 tail: LiteRT's reference kernels round the multiplier to 16 bits in convolutions, and have all of it in
 * fully connected layers. */
static inline int16_t qb_requantize_s16(const qb_linear *op, int32_t channel, int64_t sum)
{
    const qb_multiplier factor = op->factors[channel];
    const int64_t scaled = op->rounds_once ? qb_multiply_s64_rounding_once(sum, factor) : qb_multiply_s64(sum, factor);
    return (int16_t)(scaled < op->output_range.min   ? op->output_range.min
                     : scaled > op->output_range.max ? op->output_range.max
                                                     : scaled);
}

/* Input values one output sums over. */
static inline size_t qb_linear_depth(const qb_linear_shape *s)
{
    return (size_t)s->filter_h * (size_t)s->filter_w * (size_t)s->group_c;
}

/* Values of one sample of the input. */
static inline size_t qb_linear_sample(const qb_linear_shape *s)
{
    return (size_t)s->in_h * (size_t)s->in_w * (size_t)s->in_c;
}

/* Output pixels of the whole batch. */
static inline size_t qb_linear_pixels(const qb_linear_shape *s)
{
    return (size_t)s->batch * (size_t)s->out_h * (size_t)s->out_w;
}

/* Whether the node computes float sums: f32 or f16. */
static inline bool qb_sums_floats(const qb_step *step)
{
    return step->node->arithmetic == QB_ARITH_F32 || step->node->arithmetic == QB_ARITH_F16;
}

/* `count` of a float layer's weights from `first` on: in place, or in `buffer` where they are stored as int8 or float16. */
const float *qb_linear_weights_f32(const qb_linear *op, size_t first, size_t count, float *buffer);

/* Stored weights that no fast path has packed become float32, for the reference loops. False after running out of memory. */
bool qb_linear_expand(qb_builder *builder, qb_linear *op);

/* Checks tensors, dtypes and quantization against op->shape, fills the rest of *op, and sets the step to run
 * the reference kernel. channel_axis is the weights' dimension of the output channels. False after
 * qb_refuse. */
bool qb_linear_prepare(qb_builder *builder, qb_step *step, qb_linear *op, int channel_axis,
                       const struct qb_linear_reference *reference);

/* Checks rank, stride, dilation, padding and output size of a convolution and fills *shape, all but
 * `multiplier` and the channels' relation, from the step's tensors. False after qb_refuse. */
bool qb_linear_window(qb_builder *builder, const qb_step *step, qb_linear_shape *shape);

/* Gives an int8 layer's channels without weights the bias and the factor that lead to their one output with headroom: four times
 * what this is before its zero point, and 1/4. False after running out of memory. */
bool qb_shrink_constant_channels(qb_builder *builder, qb_linear *op);

/* Whether every sum of an int8 layer, shifted left as its factor asks for, stays under 2^31 with half of the last digit
 * that is shifted out: vector tails then add both roundings at once. Channels with next to no weights come close: TFLite's
 * converter and ours let their bias reach 2^30; those with none are no hindrance. */
bool qb_linear_has_headroom(const qb_linear *op);

#endif
