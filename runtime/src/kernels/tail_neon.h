/* The ends of int8 and hybrid kernels on NEON, aarch64 and armv7: four int32 sums to requantized or real
 * values. Bit-equal to qb_requantize and to qb_reference_hybrid. */
#ifndef QB_TAIL_NEON_H
#define QB_TAIL_NEON_H

#include <arm_neon.h>
#include <string.h>

#include "packing.h"

/* qb_multiply for four channels from index c on. SQRDMULH is its doubling high product: the multiplier is
 * never negative, so its rounding differs nowhere. SRSHL rounds ties up; taking one from negative values
 * first makes them go away from zero. */
static inline int32x4_t qb_multiply_neon(int32x4_t sum, const qb_requant *q, size_t c)
{
    const int32x4_t right = vnegq_s32(vld1q_s32(q->right + c));
    const int32x4_t shifted = vshlq_s32(sum, vld1q_s32(q->left + c));
    const int32x4_t high = vqrdmulhq_s32(shifted, vld1q_s32(q->multiplier + c));
    const int32x4_t fixup = vshrq_n_s32(vandq_s32(high, right), 31);
    return vrshlq_s32(vqaddq_s32(high, fixup), right);
}

/* Zero point, saturation and activation for eight multiplied sums in order. */
static inline int8x8_t qb_narrow_neon(int32x4_t low, int32x4_t high, const qb_requant *q)
{
    const int16x8_t words = vcombine_s16(vqmovn_s32(low), vqmovn_s32(high));
    const int8x8_t bytes = vqmovn_s16(vqaddq_s16(words, vdupq_n_s16(q->zero)));
    return vmin_s8(vmax_s8(bytes, vdup_n_s8(q->min)), vdup_n_s8(q->max));
}

/* Eight sums to int8. */
static inline int8x8_t qb_requantize_neon(int32x4_t low, int32x4_t high, const qb_requant *q, size_t c)
{
    return qb_narrow_neon(qb_multiply_neon(low, q, c), qb_multiply_neon(high, q, c + 4), q);
}

static inline float32x4_t qb_clamp_neon(float32x4_t v, qb_range_f32 range)
{
    return vminq_f32(vmaxq_f32(v, vdupq_n_f32(range.min)), vdupq_n_f32(range.max));
}

/* Four sums to float. */
static inline float32x4_t qb_dequantize_neon(int32x4_t sum, const qb_dequant *d, qb_sample_quant sample,
                                             size_t c)
{
    const int32x4_t corrected = vmlsq_n_s32(sum, vld1q_s32(d->weight_sum + c), sample.zero_point);
    const float32x4_t factor = vmulq_n_f32(vld1q_f32(d->weight_scale + c), sample.scale);
    const float32x4_t real = vmulq_f32(vcvtq_f32_s32(corrected), factor);
    return qb_clamp_neon(vaddq_f32(real, vld1q_f32(d->bias + c)), d->range);
}

#endif
