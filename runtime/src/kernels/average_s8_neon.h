/* int8 averages over windows of few pixels on NEON, in int16: sums of values less -128 stay under 2^14, and their
 * quotient is a product's upper half.
 *
 * floor(t / n) = floor(t · m / 2^(15 + shift)) with m = ceil(2^(15 + shift) / n) and 2^shift the largest power of two
 * under n: m fits SQDMULH, and is too large by e / n with e < n, which changes nothing as long as t · e < 2^(15 + shift).
 * t < 256 · n, so that holds for n < 64.
 */
#ifndef QB_AVERAGE_S8_NEON_H
#define QB_AVERAGE_S8_NEON_H

#include <arm_neon.h>

#include "loops.h"
#include "tail_neon.h"

enum { QB_FEW_LEAST = 2, QB_FEW_MOST = 63, QB_FEW_LANES = 16, QB_FEW_VECTORS = 4 };

/* What a window's sums start at and are divided by. */
typedef struct qb_few {
    int16x8_t start; /* 128 and a half for each pixel */
    int16x8_t multiplier, shift;
    bool ties_away; /* from zero: negative ones go down */
    int8x16_t min, max;
} qb_few;

static inline qb_few qb_few_of(const qb_window *w)
{
    const int n = (int)(w->rows * w->columns);
    int shift = 0;
    while (2 << shift < n) shift++;
    return (qb_few){
        .start = vdupq_n_s16((int16_t)(128 * n + n / 2)),
        .multiplier = vdupq_n_s16((int16_t)(((1 << (15 + shift)) + n - 1) / n)),
        .shift = vdupq_n_s16((int16_t)-shift),
        .ties_away = n % 2 == 0 && !w->half_up,
        .min = vdupq_n_s8((int8_t)w->range_s8.min),
        .max = vdupq_n_s8((int8_t)w->range_s8.max),
    };
}

static inline uint8x8_t qb_divide_few(int16x8_t sum, const qb_few *few)
{
    if (few->ties_away) sum = vaddq_s16(sum, vreinterpretq_s16_u16(vcltq_s16(sum, few->start)));
    return vmovn_u16(vreinterpretq_u16_s16(vshlq_s16(vqdmulhq_s16(sum, few->multiplier), few->shift)));
}

/* Sixteen channels `vectors` times, which is a constant wherever this is inlined. */
QB_NEON_INLINE void qb_average_few(const qb_window *w, const qb_few *few, const int8_t *in, int8_t *out,
                                   const size_t vectors)
{
    int16x8_t low[QB_FEW_VECTORS], high[QB_FEW_VECTORS];
    QB_UNROLL
    for (size_t v = 0; v < vectors; v++) low[v] = high[v] = few->start;
    for (size_t y = 0; y < w->rows; y++) {
        const int8_t *pixel = in + y * w->row_step;
        for (size_t x = 0; x < w->columns; x++, pixel += w->channels) {
            QB_UNROLL
            for (size_t v = 0; v < vectors; v++) {
                const int8x16_t values = vld1q_s8(pixel + QB_FEW_LANES * v);
                low[v] = vaddw_s8(low[v], vget_low_s8(values));
                high[v] = vaddw_s8(high[v], vget_high_s8(values));
            }
        }
    }
    QB_UNROLL
    for (size_t v = 0; v < vectors; v++) {
        const uint8x16_t above = vcombine_u8(qb_divide_few(low[v], few), qb_divide_few(high[v], few));
        const int8x16_t bytes = vreinterpretq_s8_u8(veorq_u8(above, vdupq_n_u8(0x80)));
        vst1q_s8(out + QB_FEW_LANES * v, vminq_s8(vmaxq_s8(bytes, few->min), few->max));
    }
}

#include "average_few.h"

#endif
