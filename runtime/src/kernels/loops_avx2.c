/* The loops of loops.h as the compiler makes them for AVX2, but int8 sums and products, for which it multiplies values of
 * 64 bits. */
#define QB_OWN_BINARY_S8
#define QB_OWN_AVERAGE_S8
#include "affine_sum.h"
#include "average_s8_avx2.h"
#include "loops_body.h"
#include "tail_avx2.h"

enum { LANES = 16, WIDE = 2 * LANES, SUM_BITS = 20, VALUE_BITS = 24, FACTOR_BITS = 8 };

/* A factor under 1/2 for all channels. */
static inline qb_requant_avx2 factors_of(const qb_rescale *by)
{
    const __m256i multiplier = _mm256_set1_epi32(by->multiplier), nudge = _mm256_set1_epi64x(by->nudge / 2);
    const __m256i nudge_below = _mm256_sub_epi64(nudge, _mm256_set1_epi64x(INT64_C(1) << 31));
    return (qb_requant_avx2){
        .even = multiplier,
        .odd = multiplier,
        .even_nudge = nudge,
        .odd_nudge = nudge,
        .even_nudge_below = nudge_below,
        .odd_nudge_below = nudge_below,
        .right = _mm256_set1_epi32(by->right - 1),
    };
}

static inline bool shifts_right(const qb_rescale *by)
{
    return by->left == 1 && by->right > 0;
}

static inline bool halves(const qb_rescale *by)
{
    return by->left == 1 && by->right == 0 && by->multiplier == 1 << 30;
}

static inline qb_outputs_avx2 outputs_of(const qb_binary_s8 *op)
{
    const qb_requant q = {.zero = (int16_t)op->zero, .min = (int8_t)op->range.min, .max = (int8_t)op->range.max};
    return qb_outputs_load_avx2(&q);
}

/* A shuffle of sixteen values, in both halves of a register, to the eight from `first` on, 2^24 times as large; in the order
 * that qb_multiply_avx2 turns into the usual one, where it comes next. */
static inline __m256i to_words(size_t first, bool multiplied)
{
    static const int8_t orders[2][8] = {{0, 1, 2, 3, 4, 5, 6, 7}, {0, 2, 1, 3, 4, 6, 5, 7}};
    int8_t shuffle[32];
    for (size_t i = 0; i < 32; i++) shuffle[i] = (int8_t)(i % 4 == 3 ? (int)first + orders[multiplied][i / 4] : -1);
    return _mm256_loadu_si256((const __m256i *)shuffle);
}

static inline __m256i load_twice(const int8_t *from)
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)from));
}

/* As many sixteens as there are; returns how many values that is. `a` is halved, `b` too unless it shifts, which is a
 * constant wherever this is inlined. */
static inline __attribute__((always_inline)) size_t add_sixteens(const qb_binary_s8 *op, const int8_t *a, const int8_t *b,
                                                                 int8_t *out, size_t count, const bool shifts)
{
    const qb_requant_avx2 b_factors = factors_of(&op->b), out_factors = factors_of(&op->out);
    const qb_outputs_avx2 outputs = outputs_of(op);
    const __m128i order = _mm_setr_epi8(0, 2, 1, 3, 8, 10, 9, 11, 4, 6, 5, 7, 12, 14, 13, 15);
    const __m256i a_words[2] = {to_words(0, false), to_words(8, false)};
    const __m256i b_words[2] = {to_words(0, shifts), to_words(8, shifts)};
    const int b_bits = shifts ? SUM_BITS : SUM_BITS - 1;
    const __m256i a_zero = _mm256_set1_epi32(op->a_zero * (1 << (SUM_BITS - 1)));
    const __m256i b_zero = _mm256_set1_epi32(op->b_zero * (1 << b_bits));
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        const __m256i a_values = load_twice(a + i), b_values = load_twice(b + i);
        __m256i sums[2];
#pragma unroll
        for (size_t half = 0; half < 2; half++) {
            const __m256i a_high = _mm256_shuffle_epi8(a_values, a_words[half]);
            const __m256i b_high = _mm256_shuffle_epi8(b_values, b_words[half]);
            const __m256i x = _mm256_sub_epi32(_mm256_srai_epi32(a_high, VALUE_BITS - SUM_BITS + 1), a_zero);
            const __m256i y = _mm256_sub_epi32(_mm256_srai_epi32(b_high, VALUE_BITS - b_bits), b_zero);
            const __m256i sum = _mm256_add_epi32(x, shifts ? qb_multiply_avx2(y, &b_factors, QB_SHIFT_RIGHT) : y);
            sums[half] = qb_multiply_avx2(sum, &out_factors, QB_SHIFT_RIGHT);
        }
        const __m128i bytes = qb_narrow_avx2(sums[0], sums[1], &outputs, order, QB_SHIFT_RIGHT);
        _mm_storeu_si128((__m128i *)(out + i), bytes);
    }
    return i;
}

/* The operand of the larger scale is halved, and the other is shifted, or halved too. */
static size_t add_rescaled(const qb_binary_s8 *given, const int8_t *a, const int8_t *b, int8_t *out, size_t count)
{
    qb_binary_s8 op = *given;
    if (!halves(&op.a)) {
        const int8_t *first = a;
        a = b, b = first;
        op.a = given->b, op.a_zero = given->b_zero;
        op.b = given->a, op.b_zero = given->a_zero;
    }
    if (op.common_bits != SUM_BITS || !halves(&op.a) || !shifts_right(&op.out)) return 0;
    if (shifts_right(&op.b)) return add_sixteens(&op, a, b, out, count, true);
    return halves(&op.b) ? add_sixteens(&op, a, b, out, count, false) : 0;
}

/* Of the factors of a pair of values: what is left of them over whole multiples of 2^FACTOR_BITS, and these. */
static inline __m256i factor_pair(int32_t a, int32_t b)
{
    return _mm256_set1_epi32((int32_t)((uint32_t)b << 16 | (uint16_t)a));
}

static inline int32_t upper_part(int32_t factor)
{
    return (factor + (1 << (FACTOR_BITS - 1))) >> FACTOR_BITS;
}

/* Sums that are exact with one rounding (affine_sum.h), as many 32s as there are; returns how many values that is. Pairs of x
 * and y as the upper bytes of words are themselves times 2^FACTOR_BITS. */
static size_t add_linear(const qb_binary_s8 *op, const int8_t *a, const int8_t *b, int8_t *out, size_t count)
{
    const int32_t a_upper = upper_part(op->sum.a), b_upper = upper_part(op->sum.b), unit = 1 << FACTOR_BITS;
    const __m256i upper = factor_pair(a_upper, b_upper), start = _mm256_set1_epi32(op->sum.start);
    const __m256i lower = factor_pair(op->sum.a - a_upper * unit, op->sum.b - b_upper * unit);
    const __m256i min = _mm256_set1_epi8((int8_t)op->range.min), max = _mm256_set1_epi8((int8_t)op->range.max);
    const __m256i zero = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + WIDE <= count; i += WIDE) {
        const __m256i x = _mm256_loadu_si256((const __m256i *)(a + i)), y = _mm256_loadu_si256((const __m256i *)(b + i));
        const __m256i bytes[2] = {_mm256_unpacklo_epi8(x, y), _mm256_unpackhi_epi8(x, y)};
        __m256i sums[4];
#pragma unroll
        for (size_t j = 0; j < 4; j++) {
            const __m256i from = bytes[j / 2];
            const __m256i words = j % 2 == 0 ? _mm256_unpacklo_epi8(zero, from) : _mm256_unpackhi_epi8(zero, from);
            const __m256i more = _mm256_madd_epi16(_mm256_srai_epi16(words, FACTOR_BITS), lower);
            const __m256i sum = _mm256_add_epi32(_mm256_add_epi32(_mm256_madd_epi16(words, upper), start), more);
            sums[j] = _mm256_srai_epi32(sum, QB_SUM_BITS);
        }
        const __m256i low = _mm256_packs_epi32(sums[0], sums[1]), high = _mm256_packs_epi32(sums[2], sums[3]);
        const __m256i saturated = _mm256_packs_epi16(low, high);
        _mm256_storeu_si256((__m256i *)(out + i), _mm256_min_epi8(_mm256_max_epi8(saturated, min), max));
    }
    return i;
}

static void add_s8_avx2(const qb_binary_s8 *op, const int8_t *a, const int8_t *b, int8_t *out, size_t count)
{
    const size_t done = (op->sum.exact ? add_linear : add_rescaled)(op, a, b, out, count);
    add_s8(op, a + done, b + done, out + done, count - done);
}

static qb_affine_sum find_sum(const qb_binary_s8 *op, double a, double b)
{
    return qb_find_affine_sum(op, a, b, add_s8_avx2);
}

static inline __m256i load_centred(const int8_t *from, __m256i zero)
{
    return _mm256_sub_epi16(_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)from)), zero);
}

/* As many 32s of products as there are; returns how many values that is. `factors` is a constant wherever this is inlined. */
static inline __attribute__((always_inline)) size_t multiply_wide(const qb_binary_s8 *op, const int8_t *a, const int8_t *b,
                                                                  int8_t *out, size_t count, const qb_factors_avx2 factors)
{
    const qb_requant_avx2 by = factors_of(&op->out);
    const qb_outputs_avx2 outputs = outputs_of(op);
    const __m128i order = _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15);
    const __m256i a_zero = _mm256_set1_epi16((int16_t)op->a_zero), b_zero = _mm256_set1_epi16((int16_t)op->b_zero);
    size_t i = 0;
    for (; i + WIDE <= count; i += WIDE) {
        __m256i products[2][2];
#pragma unroll
        for (size_t j = 0; j < 2; j++) {
            const __m256i x = load_centred(a + i + j * LANES, a_zero), y = load_centred(b + i + j * LANES, b_zero);
            const __m256i low = _mm256_mullo_epi16(x, y), high = _mm256_mulhi_epi16(x, y);
            products[j][0] = qb_multiply_avx2(_mm256_unpacklo_epi16(low, high), &by, factors);
            products[j][1] = qb_multiply_avx2(_mm256_unpackhi_epi16(low, high), &by, factors);
        }
        const __m256i bytes = qb_narrow_two_avx2(products[0], products[1], &outputs, order, factors);
        _mm256_storeu_si256((__m256i *)(out + i), bytes);
    }
    return i;
}

static void mul_s8_avx2(const qb_binary_s8 *op, const int8_t *a, const int8_t *b, int8_t *out, size_t count)
{
    const bool from_zero = op->zero == INT8_MIN && op->range.min == INT8_MIN && op->range.max == INT8_MAX;
    const size_t done = !shifts_right(&op->out) ? 0
                        : from_zero             ? multiply_wide(op, a, b, out, count, QB_FROM_ZERO)
                                                : multiply_wide(op, a, b, out, count, QB_SHIFT_RIGHT);
    mul_s8(op, a + done, b + done, out + done, count - done);
}

static void average_s8_avx2(const qb_window *window, const int8_t *in, int8_t *out)
{
    (qb_is_few(window) ? qb_average_channels : average_s8)(window, in, out);
}

const qb_loops qb_loops_avx2 = {
    .find_sum = find_sum,
    .add_s8 = add_s8_avx2,
    .mul_s8 = mul_s8_avx2,
    .find_range = qb_find_range,
    .quantize_sample = qb_quantize_sample,
    .average_s8 = average_s8_avx2,
    QB_LOOPS_OF_THE_COMPILER,
};
