/* The passes over a sample of hybrid.c, apart so that ISA variants compile them too (loops_body.h). */
#ifndef QB_HYBRID_LOOPS_H
#define QB_HYBRID_LOOPS_H

#include <string.h>

#include "hybrid.h"

/* Nearest integer to a value of magnitude under 2^22, ties to even: adding 1.5·2^23 leaves it in the low
 * bits. */
static inline int32_t qb_round_to_even(float value)
{
    const float shifted = value + 12582912.0f;
    int32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    return bits - 0x4B400000;
}

/* The smallest and largest value, 0 included. Lanes, so that compilers can use vector minimum and maximum: a
 * plain loop would fix the order of comparisons, which only NaN could tell, and NaN never wins one. */
static inline void qb_find_range(const float *x, size_t count, float *smallest, float *largest)
{
    enum { LANES = 32 };
    float low[LANES] = {0}, high[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        for (size_t lane = 0; lane < LANES; lane++) {
            const float value = x[i + lane];
            low[lane] = value < low[lane] ? value : low[lane];
            high[lane] = value > high[lane] ? value : high[lane];
        }
    }
    for (; i < count; i++) {
        low[0] = x[i] < low[0] ? x[i] : low[0];
        high[0] = x[i] > high[0] ? x[i] : high[0];
    }
    for (size_t lane = 1; lane < LANES; lane++) {
        low[0] = low[lane] < low[0] ? low[lane] : low[0];
        high[0] = high[lane] > high[0] ? high[lane] : high[0];
    }
    *smallest = low[0];
    *largest = high[0];
}

/* The bounds are whole numbers, so that clamping before rounding is clamping after it. */
static inline void qb_quantize_sample(const float *x, size_t count, qb_sample_quant quant, int8_t *q)
{
    const float inverse = 1.0f / quant.scale;
    const float low = (float)(-128 - quant.zero_point), high = (float)(127 - quant.zero_point);
    for (size_t i = 0; i < count; i++) {
        const float scaled = x[i] * inverse;
        const float not_low = scaled > low ? scaled : low; /* NaN too becomes the lowest value */
        const float bounded = not_low < high ? not_low : high;
        q[i] = (int8_t)(qb_round_to_even(bounded) + quant.zero_point);
    }
}

#endif
