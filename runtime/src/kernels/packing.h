/* By-channel parameters in the form that vector kernels read: arrays padded so that whole registers can be
 * loaded. */
#ifndef QB_PACKING_H
#define QB_PACKING_H

#include "hybrid.h"
#include "linear.h"

/* int8: the requantization factor's multiplier, and its shift split in two. */
typedef struct qb_requant {
    const int32_t *multiplier; /* in [2^30, 2^31), or 0 */
    const int32_t *left;       /* in [0, 30]: shift before the product */
    const int32_t *right;      /* in [0, 31]: rounding shift after it */
    bool shifts_right;         /* every channel has left = 0 and right > 0, as factors under 1/2 do, and its multiplied
                                  sums fit int16 */
    bool from_zero;            /* and the output's zero point is -128, so that what is negative becomes -128, and the
                                  activation has no upper bound but 127 */
    int16_t zero;              /* of the output */
    int8_t min, max;           /* fused activation */
} qb_requant;

/* hybrid: out = float(sum − zero_point·weight_sum) · (scale·weight_scale) + bias, then activation. */
typedef struct qb_dequant {
    const float *weight_scale;
    const float *bias;
    const int32_t *weight_sum; /* Σ w */
    qb_range_f32 range;
} qb_dequant;

/* Everything by channel of an int8 or hybrid layer. */
typedef struct qb_channels {
    const int32_t *start; /* where the sums start; int8: bias − z_x·Σ (w − z_w), hybrid: 0; see input_offset */
    qb_requant requant;   /* int8 */
    qb_dequant dequant;   /* hybrid */
} qb_channels;

/* qb_requant.shifts_right of an int8 layer. */
bool qb_shifts_right(const qb_linear *op);

/* Fills *channels for `count` slots; slot i has the parameters of channel channel_of[i], or zeros where that
 * is negative. Which of requant and dequant is filled follows from op. input_offset: what the kernel adds to every
 * input before it multiplies it by weights whose zero point is packed_zero; start has the difference taken off. False
 * after running out of memory. */
bool qb_pack_channels(qb_builder *builder, const qb_linear *op, const int32_t *channel_of, size_t count,
                      int32_t input_offset, int32_t packed_zero, qb_channels *channels);

/* The channels of a hybrid layer for a sample that is known: `count` slots in `start` and `factor`. With them its sums
 * are those of a sample quantized as {1, 0}: the same bits, and nothing is left to do for each row. */
qb_channels qb_bind_sample(const qb_channels *channels, qb_sample_quant sample, size_t count, int32_t *start,
                           float *factor);

/* Sizes that follow from a hostile file are counted in 64 bits: on armv7 they could wrap a size_t. */
static inline uint64_t qb_round_up(uint64_t value, uint64_t unit)
{
    return (value + unit - 1) / unit * unit;
}

/* qb_alloc for `count` values of `size` bytes; refused like any lack of memory where that is over 2 GB. */
void *qb_alloc_array(qb_builder *builder, uint64_t count, size_t size);

/* qb_want_scratch; false after refusing more than 2 GB. */
bool qb_reserve_scratch(qb_builder *builder, const qb_step *step, uint64_t bytes);

#endif
