#include "inverse_sqrt.h"

/* value · 2^bits, saturated. */
static int32_t saturating_shift_left(int32_t value, int bits)
{
    const int64_t shifted = (int64_t)value * (INT64_C(1) << bits);
    return shifted > INT32_MAX ? INT32_MAX : shifted < INT32_MIN ? INT32_MIN : (int32_t)shifted;
}

/* Five steps of Newton's iteration y ← 3/2·y − x/2·y³ from 1, all in Q3.28; a product of k of them has 3k integer bits
 * and is brought back by saturating shifts. */
static int32_t newton(int32_t x)
{
    const int32_t half_x = qb_rounding_shift_right(x, 1), three_halves = (1 << 28) + (1 << 27);
    int32_t y = 1 << 28;
    for (int i = 0; i < 5; i++) {
        const int32_t cube = saturating_shift_left(qb_doubling_high_mul(qb_doubling_high_mul(y, y), y), 6);
        const int32_t difference = qb_doubling_high_mul(three_halves, y) - qb_doubling_high_mul(half_x, cube);
        y = saturating_shift_left(difference, 3);
    }
    return y;
}

qb_multiplier qb_inverse_sqrt(int32_t x)
{
    const int32_t half_sqrt_2 = 1518500250; /* Q0.31 */
    if (x <= 1) return (qb_multiplier){INT32_MAX, 0};
    int right = 11;
    for (; x >= 1 << 29; x /= 4) right++;
    const int pairs = (__builtin_clz((uint32_t)x) - 1) / 2 - 1; /* x · 4^pairs is in [2^27, 2^29) */
    const int32_t y = qb_doubling_high_mul(newton((x << (2 * pairs)) >> 1), half_sqrt_2);
    right -= pairs;
    return right < 0 ? (qb_multiplier){qb_shift_left(y, -right), 0} : (qb_multiplier){y, -right};
}
