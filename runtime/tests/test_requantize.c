/* requantize.h against plain reasoning in 64-bit integers and long double: exit code 0, or a line on the first
 * difference. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "requantize.h"

#define EXPECT(condition, ...)                                                                               \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            printf("%s:%d: ", __FILE__, __LINE__);                                                           \
            printf(__VA_ARGS__);                                                                             \
            printf("\n");                                                                                    \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

enum { DRAWS = 2000000 };

static uint64_t state = 88172645463325252u;

/* Marsaglia's xorshift64. */
static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Values of every magnitude, and the ends of the range. */
static int32_t random_s32(void)
{
    static const int32_t ends[] = {INT32_MIN, INT32_MIN + 1, -1, 0, 1, INT32_MAX - 1, INT32_MAX};
    const uint64_t bits = next_random();
    if (bits % 16 == 0) return ends[(bits >> 8) % 7];
    return (int32_t)(uint32_t)(bits >> 32) / (1 << (bits % 31));
}

/* floor(2·a·b / 2^32 + 1/2), saturated: to nearest, and a tie up. */
static void test_doubling_high_mul(void)
{
    for (int i = 0; i < DRAWS; i++) {
        const int32_t a = random_s32(), b = random_s32();
        const long double exact = (long double)a * b / 2147483648.0L;
        long double expected = floorl(exact + 0.5L);
        if (expected > INT32_MAX) expected = INT32_MAX;
        const int32_t actual = qb_doubling_high_mul(a, b);
        EXPECT(actual == (int32_t)expected, "doubling_high_mul(%d, %d) = %d", a, b, actual);
    }
}

/* To nearest, ties away from zero: what roundl does. */
static void test_rounding_shift_right(void)
{
    for (int i = 0; i < DRAWS; i++) {
        const int32_t value = random_s32();
        const int exponent = (int)(next_random() % 32);
        const long double expected = roundl(ldexpl(value, -exponent));
        const int32_t actual = qb_rounding_shift_right(value, exponent);
        EXPECT(actual == (int32_t)expected, "rounding_shift_right(%d, %d) = %d", value, exponent, actual);
    }
}

/* multiplier · 2^(shift − 31) is the factor to within half a unit of the multiplier's last place. */
static void test_quantize_multiplier(void)
{
    for (int i = 0; i < DRAWS; i++) {
        const double real = ldexp(0.5 + (double)(next_random() >> 12) / (1ull << 53), (int)(next_random() % 60) - 30);
        const qb_multiplier fixed = qb_quantize_multiplier(real);
        const double back = ldexp(fixed.multiplier, fixed.shift - 31);
        EXPECT(fixed.multiplier >= 1 << 30, "multiplier of %g is %d", real, fixed.multiplier);
        EXPECT(fabs(back - real) <= ldexp(0.5, fixed.shift - 31), "%.17g becomes %.17g", real, back);
    }
}

static void expect_multiplier(double real, int32_t multiplier, int32_t shift)
{
    const qb_multiplier fixed = qb_quantize_multiplier(real);
    EXPECT(fixed.multiplier == multiplier && fixed.shift == shift, "%g becomes %d, %d", real, fixed.multiplier,
           fixed.shift);
}

static void test_edges_of_quantize_multiplier(void)
{
    expect_multiplier(0.0, 0, 0);
    expect_multiplier(-1.0, 0, 0);
    expect_multiplier((double)NAN, 0, 0);
    expect_multiplier(1.0, 1 << 30, 1);
    expect_multiplier(0.5, 1 << 30, 0);
    expect_multiplier(1.0 - ldexp(1.0, -40), 1 << 30, 1); /* rounds up to the next power of two */
    expect_multiplier(ldexp(1.0, -32), 1 << 30, -31);
    expect_multiplier(ldexp(0.99, -32), 0, 0); /* too small for the shift */
    expect_multiplier(2147483647.0, INT32_MAX, 31);
    expect_multiplier(2147483647.9999998, INT32_MAX, 31);
    expect_multiplier((double)INFINITY, INT32_MAX, 31);
}

/* Both roundings together stay within one unit of the exact product. */
static void test_multiply(void)
{
    for (int i = 0; i < DRAWS; i++) {
        const int32_t value = random_s32() / 4;
        const double real = ldexp(0.5 + (double)(next_random() >> 12) / (1ull << 53), -(int)(next_random() % 31));
        const long double exact = (long double)value * (long double)real;
        const int32_t actual = qb_multiply(value, qb_quantize_multiplier(real));
        EXPECT(fabsl(actual - exact) <= 1.001L, "multiply(%d, %g) = %d", value, real, actual);
    }
}

static void test_quantize_s8(void)
{
    EXPECT(qb_quantize_s8(0.5f, 1.0f, 0) == 1 && qb_quantize_s8(-0.5f, 1.0f, 0) == -1, "ties go away from zero");
    EXPECT(qb_quantize_s8(1e30f, 1e-30f, 5) == 127 && qb_quantize_s8(-INFINITY, 1.0f, 5) == -128, "saturates");
    EXPECT(qb_quantize_s8(NAN, 1.0f, 5) == -128, "not a number");
    EXPECT(qb_quantize_s8(2.0f, 0.5f, -3) == 1, "scale and zero point");
}

int main(void)
{
    test_doubling_high_mul();
    test_rounding_shift_right();
    test_quantize_multiplier();
    test_edges_of_quantize_multiplier();
    test_multiply();
    test_quantize_s8();
    return 0;
}
