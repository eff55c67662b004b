/* TFLite's fixed-point arithmetic, exactly as its reference kernels do it (tensorflow/lite/kernels/internal/common.h
 * and quantization_util.cc, which follow gemmlowp's fixedpoint.h): a real factor becomes an int32 multiplier in
 * [2^30, 2^31) and a power of two, and products are rounded twice, once by each.
 *
 * Everything here is defined for every input: products are 64-bit, and left shifts are done on unsigned values.
 * Right shifts of negative values are arithmetic, as on every compiler this builds with.
 */
#ifndef QB_REQUANTIZE_H
#define QB_REQUANTIZE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

/* A real factor: multiplier · 2^(shift − 31). shift > 0 shifts left before, shift < 0 right after. */
typedef struct qb_multiplier {
    int32_t multiplier;
    int32_t shift; /* in [-31, 31] */
} qb_multiplier;

/* QuantizeMultiplier: the fixed-point form of a real factor >= 0. A factor under 2^-32 becomes 0; one of 2^31 and
 * above, for which TFLite leaves the shift undefined, saturates. */
static inline qb_multiplier qb_quantize_multiplier(double real)
{
    if (!(real > 0.0)) return (qb_multiplier){0, 0};
    if (real >= 2147483648.0) return (qb_multiplier){INT32_MAX, 31};
    int exponent;
    int64_t fixed = (int64_t)round(frexp(real, &exponent) * 2147483648.0);
    if (fixed == INT64_C(1) << 31) {
        fixed /= 2;
        exponent++;
    }
    if (exponent < -31) return (qb_multiplier){0, 0};
    if (exponent > 31) return (qb_multiplier){INT32_MAX, 31};
    return (qb_multiplier){(int32_t)fixed, exponent};
}

static inline int32_t qb_clamp(int32_t value, int32_t low, int32_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* value · 2^shift modulo 2^32, shift in [0, 31]: what a two's complement machine's left shift gives. */
static inline int32_t qb_shift_left(int32_t value, int shift)
{
    return (int32_t)((uint32_t)value << shift);
}

/* a + b modulo 2^32: a requantized value and a zero point, where a hostile scale may have filled all 32 bits. */
static inline int32_t qb_add_wrapping(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

/* SaturatingRoundingDoublingHighMul: the high half of 2·a·b, rounded to nearest with ties away from zero; the one
 * overflow, both INT32_MIN, saturates. Division, not a shift: it truncates toward zero. */
static inline int32_t qb_doubling_high_mul(int32_t a, int32_t b)
{
    if (a == INT32_MIN && b == INT32_MIN) return INT32_MAX;
    const int64_t product = (int64_t)a * b;
    const int64_t nudge = product >= 0 ? INT64_C(1) << 30 : 1 - (INT64_C(1) << 30);
    return (int32_t)((product + nudge) / (INT64_C(1) << 31));
}

/* RoundingDivideByPOT: value / 2^exponent, rounded to nearest with ties away from zero; exponent in [0, 31]. */
static inline int32_t qb_rounding_shift_right(int32_t value, int exponent)
{
    const int32_t mask = (int32_t)((UINT32_C(1) << exponent) - 1);
    const int32_t remainder = value & mask;
    const int32_t threshold = (mask >> 1) + (value < 0 ? 1 : 0);
    return (value >> exponent) + (remainder > threshold ? 1 : 0);
}

/* MultiplyByQuantizedMultiplier, in its double-rounding form: value · factor. */
static inline int32_t qb_multiply(int32_t value, qb_multiplier factor)
{
    const int left = factor.shift > 0 ? factor.shift : 0;
    const int right = factor.shift > 0 ? 0 : -factor.shift;
    return qb_rounding_shift_right(qb_doubling_high_mul(qb_shift_left(value, left), factor.multiplier), right);
}

/* MultiplyByQuantizedMultiplier for sums of 64 bits: the multiplier rounded to 16 bits, the product once. The value
 * has a magnitude under 2^47 and the factor a shift under 8. */
static inline int64_t qb_multiply_s64(int64_t value, qb_multiplier factor)
{
    const int32_t reduced = factor.multiplier < 0x7FFF0000 ? (factor.multiplier + (1 << 15)) >> 16 : 0x7FFF;
    const int total_shift = 15 - factor.shift;
    return (value * reduced + (INT64_C(1) << (total_shift - 1))) >> total_shift;
}

/* AffineQuantize: real / scale + zero_point, rounded half away from zero and saturated to [low, high]. */
static inline int32_t qb_quantize(float real, float scale, int32_t zero_point, int32_t low, int32_t high)
{
    const double q = (double)zero_point + (double)roundf(real / scale);
    return q >= (double)high ? high : q > (double)low ? (int32_t)q : low; /* NaN too becomes `low` */
}

static inline int32_t qb_quantize_s8(float real, float scale, int32_t zero_point)
{
    return qb_quantize(real, scale, zero_point, INT8_MIN, INT8_MAX);
}

#endif
