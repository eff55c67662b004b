/* How int8 averages over windows of few pixels are computed in 16 bits: sums of values less -128, whose quotient is the upper
 * part of a product.
 *
 * floor(t / n) = floor(t · m / 2^(bits + shift)) with m = ceil(2^(bits + shift) / n) and 2^shift the largest power of two
 * under n: m fits `bits` bits, and is too large by e / n with e < n, which changes nothing as long as
 * t · e < 2^(bits + shift). t < 256 · n, so that holds for n < 2^(bits - 9).
 */
#ifndef QB_AVERAGE_QUOTIENT_H
#define QB_AVERAGE_QUOTIENT_H

#include "loops.h"

/* What a window's sums start at and are divided by. */
typedef struct qb_quotient {
    int16_t start; /* 128 and a half for each pixel */
    int16_t multiplier;
    int16_t shift;
    bool ties_away; /* from zero: negative ones go down */
} qb_quotient;

static inline qb_quotient qb_quotient_of(const qb_window *w, int bits)
{
    const int n = (int)(w->rows * w->columns);
    int shift = 0;
    while (2 << shift < n) shift++;
    return (qb_quotient){
        .start = (int16_t)(128 * n + n / 2),
        .multiplier = (int16_t)(((1 << (bits + shift)) + n - 1) / n),
        .shift = (int16_t)shift,
        .ties_away = n % 2 == 0 && !w->half_up,
    };
}

#endif
