#include "fixed_s16.h"

#include <stdbool.h>

#include "../requantize.h"

enum { ONE = INT16_MAX, ONE_Q2 = 1 << 13 }; /* 1 in Q0.15, as near as that comes, and in Q2.13 */

/* The high half of 2·a·b, rounded to nearest with ties away from zero. */
static int16_t mul(int16_t a, int16_t b)
{
    if (a == INT16_MIN && b == INT16_MIN) return INT16_MAX;
    const int32_t product = (int32_t)a * b;
    return (int16_t)((product + (product >= 0 ? 1 << 14 : 1 - (1 << 14))) / (1 << 15));
}

static int16_t saturate(int32_t value)
{
    return (int16_t)qb_clamp(value, INT16_MIN, INT16_MAX);
}

static int16_t half(int16_t value, int exponent)
{
    return (int16_t)qb_rounding_shift_right(value, exponent);
}

/* exp(x) in Q0.15 for x in [-1/4, 0) in Q0.15, see fixed_exp.c. */
static int16_t exp_of_last_quarter(int16_t a)
{
    const int16_t exp_minus_eighth = 28918, third = 10923;
    const int16_t x = (int16_t)(a + (1 << 12)), x2 = mul(x, x), x3 = mul(x2, x), x4 = mul(x2, x2);
    const int16_t higher = half((int16_t)(mul((int16_t)(half(x4, 2) + x3), third) + x2), 1);
    return saturate(exp_minus_eighth + mul(exp_minus_eighth, (int16_t)(x + higher)));
}

/* exp(x) in Q0.15 for x <= 0 with this many integer bits, at most 7. */
static int16_t exp_of_negative(int16_t x, int integer_bits)
{
    /* e^(-2^k) in Q0.15 for k = -2 … 4 */
    static const int16_t factors[] = {25520, 19875, 12055, 4435, 600, 11, 0};
    const int fraction_bits = 15 - integer_bits;
    const int32_t quarter = 1 << (fraction_bits - 2);
    if (x == 0) return ONE;
    if (integer_bits > 5 && x < -(32 << fraction_bits)) return 0;
    const int32_t in_quarter = (x & (quarter - 1)) - quarter, rest = in_quarter - x;
    int16_t result = exp_of_last_quarter(saturate(in_quarter * (1 << integer_bits)));
    for (int k = -2; k < integer_bits && k <= 4; k++) {
        if ((rest & (1 << (fraction_bits + k))) != 0) result = mul(result, factors[k + 2]);
    }
    return result;
}

/* 2 / (1 + x) in Q2.13 for x in [0, 1) in Q0.15, by Newton's iteration, see fixed_exp.c. */
static int16_t two_over_one_plus(int16_t x)
{
    const int16_t half_denominator = (int16_t)((x + ONE + 1) / 2);
    int16_t y = (int16_t)(23130 + mul(half_denominator, -15420));
    for (int i = 0; i < 3; i++) {
        const int16_t error = (int16_t)(ONE_Q2 - mul(half_denominator, y));
        y = (int16_t)(y + saturate(mul(y, error) * 4));
    }
    return y;
}

static int16_t negate(int16_t x)
{
    return (int16_t)-x; /* wraps at the smallest */
}

int16_t qb_logistic_s16(int16_t x)
{
    if (x == 0) return 1 << 14;
    const int16_t below = x > 0 ? negate(x) : x;
    const int16_t result = saturate(two_over_one_plus(exp_of_negative(below, 3)) * 2); /* half of it, from Q1 to Q0 */
    return x > 0 ? result : (int16_t)(ONE - result);
}

int16_t qb_tanh_s16(int16_t x, int integer_bits)
{
    if (x == 0) return 0;
    const int16_t below = x < 0 ? x : negate(x);
    const int16_t y = two_over_one_plus(exp_of_negative(below, integer_bits + 1)); /* of 2x */
    const int16_t result = saturate((y - ONE_Q2) * 4);
    return x < 0 ? negate(result) : result;
}
