/* The ends of int8 and hybrid kernels on NEON, aarch64 and armv7: four int32 sums to requantized or real
 * values. Bit-equal to qb_requantize and to qb_reference_hybrid. */
#ifndef QB_TAIL_NEON_H
#define QB_TAIL_NEON_H

#include <arm_neon.h>
#include <string.h>

#include "packing.h"

/* Before a loop over registers, whose values stay in registers only where it is unrolled. */
#define QB_UNROLL _Pragma("GCC unroll 16")

#define QB_NEON_INLINE static inline __attribute__((always_inline))

/* How int8 sums are rounded, by what qb_requant says of a layer. */
typedef enum qb_rounding {
    QB_ROUND_ANY,
    QB_ROUND_RIGHT,     /* shifts_right */
    QB_ROUND_FROM_ZERO, /* from_zero */
} qb_rounding;

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

/* The same where negative values become the lowest output anyway (qb_requant.from_zero): how their ties are rounded
 * does not matter. */
static inline int32x4_t qb_multiply_from_zero_neon(int32x4_t sum, qb_factors_neon factors)
{
    return vrshlq_s32(vqrdmulhq_s32(sum, factors.multiplier), factors.right);
}

#if defined(__aarch64__)
/* Eight values that fit int16. */
static inline int16x8_t qb_join_neon(int32x4_t a, int32x4_t b)
{
    return vuzp1q_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b));
}
#else
static inline int16x8_t qb_join_neon(int32x4_t a, int32x4_t b)
{
    return vcombine_s16(vmovn_s32(a), vmovn_s32(b));
}
#endif

/* Zero point, saturation and activation for sixteen multiplied sums in order. fits: they fit int16. */
QB_NEON_INLINE int8x16_t qb_narrow_neon(int32x4_t a, int32x4_t b, int32x4_t c, int32x4_t d, const qb_requant *q,
                                        const bool fits)
{
    const int16x8_t zero = vdupq_n_s16(q->zero);
    const int16x8_t low =
        vqaddq_s16(fits ? qb_join_neon(a, b) : vcombine_s16(vqmovn_s32(a), vqmovn_s32(b)), zero);
    const int16x8_t high =
        vqaddq_s16(fits ? qb_join_neon(c, d) : vcombine_s16(vqmovn_s32(c), vqmovn_s32(d)), zero);
    const int8x16_t bytes = vcombine_s8(vqmovn_s16(low), vqmovn_s16(high));
    return vminq_s8(vmaxq_s8(bytes, vdupq_n_s8(q->min)), vdupq_n_s8(q->max));
}

/* The same for qb_requant.from_zero: saturation to uint8 leaves what is above the zero point. */
static inline int8x16_t qb_narrow_from_zero_neon(int32x4_t a, int32x4_t b, int32x4_t c, int32x4_t d)
{
    const uint8x16_t above = vcombine_u8(vqmovun_s16(qb_join_neon(a, b)), vqmovun_s16(qb_join_neon(c, d)));
    return vreinterpretq_s8_u8(veorq_u8(above, vdupq_n_u8(0x80)));
}

/* Sums to bytes. `rows` rows of `vectors` registers; an int8x16_t for each four registers of sums, the last filled up
 * with what it has where they are two. rows, vectors and rounding are constants wherever this is inlined. */
QB_NEON_INLINE void qb_requantize_neon(const qb_requant *q, const qb_factors_neon *factors, const size_t rows,
                                       const size_t vectors, const qb_rounding rounding, int32x4_t *sums,
                                       int8x16_t *bytes)
{
    QB_UNROLL
    for (size_t i = 0; i < rows * vectors; i++) {
        const qb_factors_neon factor = factors[i % vectors];
        sums[i] = rounding == QB_ROUND_FROM_ZERO ? qb_multiply_from_zero_neon(sums[i], factor)
                  : rounding == QB_ROUND_RIGHT   ? qb_multiply_right_neon(sums[i], factor)
                                                 : qb_multiply_neon(sums[i], factor);
    }
    QB_UNROLL
    for (size_t i = 0; i < rows * vectors; i += 4) {
        const size_t j = i + 2 < rows * vectors ? i + 2 : i;
        bytes[i / 4] = rounding == QB_ROUND_FROM_ZERO
                           ? qb_narrow_from_zero_neon(sums[i], sums[i + 1], sums[j], sums[j + 1])
                           : qb_narrow_neon(sums[i], sums[i + 1], sums[j], sums[j + 1], q, rounding == QB_ROUND_RIGHT);
    }
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
