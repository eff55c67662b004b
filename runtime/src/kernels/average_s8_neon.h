/* int8 averages over windows of few pixels on NEON (average_quotient.h): int16 sums stay under 2^14, and SQDMULH multiplies. */
#ifndef QB_AVERAGE_S8_NEON_H
#define QB_AVERAGE_S8_NEON_H

#include <arm_neon.h>

#include "average_quotient.h"
#include "tail_neon.h"

enum { QB_FEW_LEAST = 2, QB_FEW_MOST = 63, QB_FEW_LANES = 16, QB_FEW_VECTORS = 4 };

/* A window's quotient and range, in all lanes. */
typedef struct qb_few {
    int16x8_t start;
    int16x8_t multiplier, shift;
    bool ties_away;
    int8x16_t min, max;
} qb_few;

static inline qb_few qb_few_of(const qb_window *w)
{
    const qb_quotient q = qb_quotient_of(w, 15);
    return (qb_few){
        .start = vdupq_n_s16(q.start),
        .multiplier = vdupq_n_s16(q.multiplier),
        .shift = vdupq_n_s16((int16_t)-q.shift),
        .ties_away = q.ties_away,
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
