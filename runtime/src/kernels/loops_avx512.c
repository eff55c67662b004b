/* The loops of loops.h as the compiler makes them for AVX-512, but int8 sums and products, for which it multiplies values of
 * 64 bits. */
#define QB_OWN_AVERAGE_S8
#include "affine_sum.h"
#include "average_s8_avx2.h"
#include "loops_body.h"
#include "tail_avx512.h"

enum { LANES = 16, QUADS = 4, SIXTY_FOUR = QUADS * LANES };

/* The same factor for all lanes. */
static inline __attribute__((always_inline)) qb_requant_avx512 factors_of(const qb_rescale *by, const bool from_zero)
{
    return qb_requant_of_avx512(_mm512_set1_epi32(by->multiplier), _mm512_set1_epi32(by->left - 1),
                                _mm512_set1_epi32(by->right), from_zero);
}

static inline qb_ends_avx512 ends_of(const qb_binary_s8 *op)
{
    const qb_requant q = {.zero = (int16_t)op->zero, .min = (int8_t)op->range.min, .max = (int8_t)op->range.max};
    return qb_ends_load_avx512(&q);
}

/* Sixteen values less their zero point, 2^bits times as large. */
static inline __m512i load_centred(const int8_t *from, int32_t zero, int bits)
{
    const __m512i values = _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)from));
    return _mm512_sll_epi32(_mm512_sub_epi32(values, _mm512_set1_epi32(zero)), _mm_cvtsi32_si128(bits));
}

/* Sums that round four times, 64 at a time. */
static void add_rescaled(const qb_binary_s8 *op, const int8_t *a, const int8_t *b, int8_t *out, size_t count)
{
    const qb_requant_avx512 a_factors = factors_of(&op->a, false), b_factors = factors_of(&op->b, false),
                            out_factors = factors_of(&op->out, false);
    const qb_ends_avx512 ends = ends_of(op);
    for (size_t i = 0; i < count; i += SIXTY_FOUR) {
        __m512i sums[QUADS];
        for (size_t j = 0; j < QUADS; j++) {
            const __m512i x = load_centred(a + i + j * LANES, op->a_zero, op->common_bits);
            const __m512i y = load_centred(b + i + j * LANES, op->b_zero, op->common_bits);
            const __m512i sum = _mm512_add_epi32(qb_multiply_avx512(x, &a_factors, false),
                                                 qb_multiply_avx512(y, &b_factors, false));
            sums[j] = qb_multiply_avx512(sum, &out_factors, false);
        }
        const __m512i low = qb_words_avx512(sums[0], sums[1], &ends, false),
                      high = qb_words_avx512(sums[2], sums[3], &ends, false);
        _mm512_storeu_si512(out + i, qb_in_order_avx512(qb_bytes_avx512(low, high, &ends, false)));
    }
}

static inline __m512i scale_all(const int8_t *from, __m512i factor)
{
    return _mm512_mullo_epi32(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)from)), factor);
}

/* Sums that are exact with one rounding (affine_sum.h), 64 at a time. */
static void add_linear(const qb_binary_s8 *op, const int8_t *a, const int8_t *b, int8_t *out, size_t count)
{
    const __m512i a_factor = _mm512_set1_epi32(op->sum.a), b_factor = _mm512_set1_epi32(op->sum.b);
    const __m512i start = _mm512_set1_epi32(op->sum.start);
    const qb_ends_avx512 ends = ends_of(op);
    for (size_t i = 0; i < count; i += SIXTY_FOUR) {
        __m512i sums[QUADS];
        for (size_t j = 0; j < QUADS; j++) {
            const __m512i x = scale_all(a + i + j * LANES, a_factor), y = scale_all(b + i + j * LANES, b_factor);
            sums[j] = _mm512_srai_epi32(_mm512_add_epi32(_mm512_add_epi32(x, start), y), QB_SUM_BITS);
        }
        const __m512i low = _mm512_packs_epi32(sums[0], sums[1]), high = _mm512_packs_epi32(sums[2], sums[3]);
        _mm512_storeu_si512(out + i, qb_in_order_avx512(qb_bytes_avx512(low, high, &ends, false)));
    }
}

/* Some 64s of values, and what is left over in buffers of that size. */
static void run_all(void (*run)(const qb_binary_s8 *op, const int8_t *a, const int8_t *b, int8_t *out, size_t count),
                    const qb_binary_s8 *op, const int8_t *a, const int8_t *b, int8_t *out, size_t count)
{
    const size_t whole = count / SIXTY_FOUR * SIXTY_FOUR;
    run(op, a, b, out, whole);
    if (whole == count) return;
    const __mmask64 rest = (UINT64_C(1) << (count - whole)) - 1;
    int8_t x[SIXTY_FOUR], y[SIXTY_FOUR];
    _mm512_storeu_si512(x, _mm512_maskz_loadu_epi8(rest, a + whole));
    _mm512_storeu_si512(y, _mm512_maskz_loadu_epi8(rest, b + whole));
    run(op, x, y, x, SIXTY_FOUR);
    _mm512_mask_storeu_epi8(out + whole, rest, _mm512_loadu_si512(x));
}

static void add_s8_avx512(const qb_binary_s8 *op, const int8_t *a, const int8_t *b, int8_t *out, size_t count)
{
    run_all(op->sum.exact ? add_linear : add_rescaled, op, a, b, out, count);
}

static qb_affine_sum find_sum(const qb_binary_s8 *op, double a, double b)
{
    return qb_find_affine_sum(op, a, b, add_s8_avx512);
}

/* 32 values less their zero point. */
static inline __m512i load_words(const int8_t *from, __m512i zero)
{
    return _mm512_sub_epi16(_mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)from)), zero);
}

/* Products, 64 at a time. from_zero: as in qb_requant, a constant wherever this is inlined. */
static inline __attribute__((always_inline)) void multiply(const qb_binary_s8 *op, const int8_t *a, const int8_t *b,
                                                           int8_t *out, size_t count, const bool from_zero)
{
    const qb_requant_avx512 factors = factors_of(&op->out, from_zero);
    const qb_ends_avx512 ends = ends_of(op);
    const __m512i a_zero = _mm512_set1_epi16((int16_t)op->a_zero), b_zero = _mm512_set1_epi16((int16_t)op->b_zero);
    const __m512i in_order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    for (size_t i = 0; i < count; i += SIXTY_FOUR) {
        __m512i words[2];
        for (size_t half = 0, at = i; half < 2; half++, at += SIXTY_FOUR / 2) {
            const __m512i x = load_words(a + at, a_zero), y = load_words(b + at, b_zero);
            const __m512i lower = _mm512_mullo_epi16(x, y), upper = _mm512_mulhi_epi16(x, y);
            const __m512i first = qb_multiply_avx512(_mm512_unpacklo_epi16(lower, upper), &factors, from_zero);
            const __m512i second = qb_multiply_avx512(_mm512_unpackhi_epi16(lower, upper), &factors, from_zero);
            words[half] = qb_words_avx512(first, second, &ends, from_zero);
        }
        const __m512i bytes = qb_bytes_avx512(words[0], words[1], &ends, from_zero);
        _mm512_storeu_si512(out + i, _mm512_permutexvar_epi64(in_order, bytes));
    }
}

static void multiply_from_zero(const qb_binary_s8 *op, const int8_t *a, const int8_t *b, int8_t *out, size_t count)
{
    multiply(op, a, b, out, count, true);
}

static void multiply_any(const qb_binary_s8 *op, const int8_t *a, const int8_t *b, int8_t *out, size_t count)
{
    multiply(op, a, b, out, count, false);
}

static void mul_s8_avx512(const qb_binary_s8 *op, const int8_t *a, const int8_t *b, int8_t *out, size_t count)
{
    const bool from_zero = op->zero == INT8_MIN && op->range.min == INT8_MIN && op->range.max == INT8_MAX &&
                           op->out.left == 1 && op->out.right > 0;
    run_all(from_zero ? multiply_from_zero : multiply_any, op, a, b, out, count);
}

static void average_s8_avx512(const qb_window *window, const int8_t *in, int8_t *out)
{
    (qb_is_few(window) ? qb_average_channels : average_s8)(window, in, out);
}

const qb_loops qb_loops_avx512 = {
    .find_sum = find_sum,
    .add_s8 = add_s8_avx512,
    .mul_s8 = mul_s8_avx512,
    .find_range = qb_find_range,
    .quantize_sample = qb_quantize_sample,
    .average_s8 = average_s8_avx512,
    QB_LOOPS_OF_THE_COMPILER,
};
