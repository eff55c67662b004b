#include "fixed_exp.h"

static int32_t mul(int32_t a, int32_t b)
{
    return qb_doubling_high_mul(a, b);
}

/* exp(x) in Q0.31 for x in [-1/4, 0) in Q0.31: e^(-1/8) times Taylor's polynomial of degree 4 around -1/8. */
static int32_t exp_of_last_quarter(int32_t x)
{
    const int32_t exp_minus_eighth = 1895147668;
    const int32_t third = 715827883;
    const int32_t t = x + (1 << 28); /* x + 1/8 */
    const int32_t t2 = mul(t, t);
    const int32_t t3 = mul(t2, t);
    const int32_t t4 = mul(t2, t2);
    const int32_t t4_over_4 = qb_rounding_shift_right(t4, 2);
    const int32_t higher = qb_rounding_shift_right(mul(t4_over_4 + t3, third) + t2, 1); /* t⁴/24 + t³/6 + t²/2 */
    return exp_minus_eighth + mul(exp_minus_eighth, t + higher);
}

int32_t qb_exp_of_negative(int32_t x)
{
    /* e^(-2^k) in Q0.31 for k = -2 … 4: one factor for each bit of −x above the quarter. */
    static const int32_t factors[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    const int fraction_bits = 31 - QB_EXP_INTEGER_BITS;
    const int32_t quarter = 1 << (fraction_bits - 2);
    if (x == 0) return INT32_MAX;
    const int32_t in_quarter = (x & (quarter - 1)) - quarter; /* in [-1/4, 0) */
    const int32_t rest = in_quarter - x;                      /* a multiple of 1/4 */
    int32_t result = exp_of_last_quarter(in_quarter * (1 << QB_EXP_INTEGER_BITS));
    for (int k = -2; k < QB_EXP_INTEGER_BITS; k++) {
        if ((rest & (1 << (fraction_bits + k))) != 0) result = mul(result, factors[k + 2]);
    }
    return result;
}

/* value · 2^exponent, saturated. */
static int32_t saturating_shift_left(int32_t value, int exponent)
{
    const int64_t shifted = (int64_t)value * (INT64_C(1) << exponent);
    return shifted > INT32_MAX ? INT32_MAX : shifted < INT32_MIN ? INT32_MIN : (int32_t)shifted;
}

/* 1 / (1 + x) in Q0.31 for x in [0, 1) in Q0.31: three steps of Newton's iteration on d = (1 + x) / 2, in Q2.29,
 * starting from 48/17 − 32/17·d. */
static int32_t one_over_one_plus(int32_t x)
{
    const int32_t one = 1 << 29;
    const int32_t half_denominator = (int32_t)(((int64_t)x + INT32_MAX + 1) / 2);
    int32_t y = 1515870810 + mul(half_denominator, -1010580540);
    for (int i = 0; i < 3; i++) {
        const int32_t error = one - mul(half_denominator, y);
        y += saturating_shift_left(mul(y, error), 2); /* Q4.27 to Q2.29 */
    }
    return saturating_shift_left(y, 1); /* y / 2 in Q1.30, to Q0.31 */
}

qb_reciprocal qb_reciprocal_of_sum(int32_t sum)
{
    const int leading_zeros = __builtin_clz((uint32_t)sum);
    const int32_t fraction = (int32_t)(((uint32_t)sum << leading_zeros) - (UINT32_C(1) << 31));
    return (qb_reciprocal){
        .value = one_over_one_plus(fraction),
        .bits_over_unit = QB_EXP_SUM_INTEGER_BITS - leading_zeros,
    };
}

/* sum = r · 2^e with r near √½ from both sides: r in Q0.31, e as Q6.25 less what r stands for. */
typedef struct normalized {
    int32_t fraction, exponent;
} normalized;

static normalized normalize(int32_t sum)
{
    const int32_t sqrt_half = 1518500250, quarter = 1 << 23; /* Q0.31, Q6.25 */
    const int zeros = __builtin_clz((uint32_t)sum);
    const int32_t high = saturating_shift_left(mul(saturating_shift_left(sum, zeros - 1), sqrt_half), 1);
    const int32_t high_exponent = saturating_shift_left(QB_EXP_SUM_INTEGER_BITS - zeros, 25) + quarter;
    const int headroom = __builtin_clz((uint32_t)mul(sum, sqrt_half)) - 1;
    const int32_t low = saturating_shift_left(sum, headroom);
    const int32_t low_exponent = saturating_shift_left(QB_EXP_SUM_INTEGER_BITS - headroom, 25) - quarter;
    return (normalized){
        .fraction = high < low ? high : low,
        .exponent = high_exponent > low_exponent ? high_exponent : low_exponent,
    };
}

/* log(r) is a rational function of r around 2^-¼, log(2^e) is e · log(2). Constants in Q0.31. */
int32_t qb_log_of_sum(int32_t sum)
{
    const int32_t log_2 = 1488522236, fourth_root_of_half = 1805811301;
    const int32_t alpha_n = 117049297, alpha_d = 127690142, alpha_i = 1057819769, alpha_f = 638450708;
    const normalized z = normalize(sum);
    const int32_t r = z.fraction;
    const int32_t mean = (int32_t)(((int64_t)r + fourth_root_of_half + 1) / 2);
    const int32_t q = 2 * (r - fourth_root_of_half);
    const int32_t square = mul(q, q);
    const int32_t numerator = mul(q, r) + mul(mul(q, square), alpha_n);
    const int32_t denominator = mul(mean, alpha_i + q + mul(alpha_d, square)) + mul(alpha_f, q); /* less 1 */
    const int32_t log_r = mul(qb_rounding_shift_right(numerator, 6), one_over_one_plus(denominator));
    return saturating_shift_left(mul(z.exponent, log_2) + log_r, 1); /* Q6.25 to Q5.26 */
}
