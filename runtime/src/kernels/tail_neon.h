/* The ends of int8 and hybrid kernels on NEON, aarch64 and armv7: four int32 sums to requantized or real
 * values. Bit-equal to qb_requantize and to qb_reference_hybrid. */
#ifndef QB_TAIL_NEON_H
#define QB_TAIL_NEON_H

#include <arm_neon.h>
#include <string.h>

#include "packing.h"

/* Before a loop over registers, whose values stay in registers only where it is unrolled. */
#define QB_UNROLL _Pragma("GCC unroll 16")

/* The factors of four channels. */
typedef struct qb_factors_neon {
    int32x4_t multiplier, left, right; /* right: negative or 0, as NEON shifts right */
} qb_factors_neon;

static inline qb_factors_neon qb_load_factors_neon(const qb_requant *q, size_t c)
{
    return (qb_factors_neon){vld1q_s32(q->multiplier + c), vld1q_s32(q->left + c),
                             vnegq_s32(vld1q_s32(q->right + c))};
}

/* qb_multiply for four channels. SQRDMULH is its doubling high product: the multiplier is never negative, so
 * its rounding differs nowhere. SRSHL rounds ties up; taking one from negative values first makes them go
 * away from zero. */
static inline int32x4_t qb_multiply_neon(int32x4_t sum, qb_factors_neon factors)
{
    const int32x4_t high = vqrdmulhq_s32(vshlq_s32(sum, factors.left), factors.multiplier);
    const int32x4_t fixup = vshrq_n_s32(vandq_s32(high, factors.right), 31);
    return vrshlq_s32(vqaddq_s32(high, fixup), factors.right);
}

/* The same where every channel shifts right (qb_requant.shifts_right): no left shift, and each negative value
 * gives one away. The product of two numbers of which one is not negative is never INT32_MIN. */
static inline int32x4_t qb_multiply_right_neon(int32x4_t sum, qb_factors_neon factors)
{
    const int32x4_t high = vqrdmulhq_s32(sum, factors.multiplier);
    return vrshlq_s32(vsraq_n_s32(high, high, 31), factors.right);
}

/* Zero point, saturation and activation for sixteen multiplied sums in order. */
static inline int8x16_t qb_narrow_neon(int32x4_t a, int32x4_t b, int32x4_t c, int32x4_t d, const qb_requant *q)
{
    const int16x8_t zero = vdupq_n_s16(q->zero);
    const int16x8_t low = vqaddq_s16(vcombine_s16(vqmovn_s32(a), vqmovn_s32(b)), zero);
    const int16x8_t high = vqaddq_s16(vcombine_s16(vqmovn_s32(c), vqmovn_s32(d)), zero);
    const int8x16_t bytes = vcombine_s8(vqmovn_s16(low), vqmovn_s16(high));
    return vminq_s8(vmaxq_s8(bytes, vdupq_n_s8(q->min)), vdupq_n_s8(q->max));
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
