/* The loops of loops.h as the compiler makes them for AVX-512, but int8 sums and products, for which it multiplies values of
 * 64 bits. */
#include <immintrin.h>

#define QB_OWN_BINARY_S8
#include "affine_sum.h"
#include "loops_body.h"

enum { LANES = 16, QUADS = 4, EVEN_LANES = 0x5555 };

/* Sixteen values less their zero point. */
static inline __m512i load_centred(const int8_t *from, int32_t zero)
{
    const __m512i values = _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)from));
    return _mm512_sub_epi32(values, _mm512_set1_epi32(zero));
}

/* `rescale` for sixteen values that are 2^bits times as large. */
static inline __m512i rescale_all(__m512i values, int bits, const qb_rescale *by)
{
    const __m512i shifted = _mm512_sll_epi32(values, _mm_cvtsi32_si128(bits + by->left));
    const __m512i multiplier = _mm512_set1_epi32(by->multiplier), nudge = _mm512_set1_epi64(by->nudge);
    const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(shifted, multiplier), nudge);
    const __m512i odd = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(shifted, 32), multiplier), nudge);
    const __m512i high = _mm512_mask_shuffle_epi32(odd, EVEN_LANES, even, _MM_PERM_DDBB);
    const __m512i away = _mm512_mask_add_epi32(high, _mm512_movepi32_mask(shifted), high, _mm512_set1_epi32(by->away));
    return _mm512_sra_epi32(away, _mm_cvtsi32_si128(by->right));
}

static inline void store_all(const qb_binary_s8 *op, __m512i values, int8_t *out)
{
    const __m128i bytes = _mm512_cvtsepi32_epi8(_mm512_add_epi32(values, _mm512_set1_epi32(op->zero)));
    const __m128i least = _mm_set1_epi8((int8_t)op->range.min), most = _mm_set1_epi8((int8_t)op->range.max);
    _mm_storeu_si128((__m128i *)out, _mm_min_epi8(_mm_max_epi8(bytes, least), most));
}

static inline __m512i scale_all(const int8_t *from, int32_t factor)
{
    const __m512i values = _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)from));
    return _mm512_mullo_epi32(values, _mm512_set1_epi32(factor));
}

/* Sums that are exact with one rounding (affine_sum.h), 64 at a time; returns how many. */
static size_t add_linear(const qb_binary_s8 *op, const int8_t *a, const int8_t *b, int8_t *out, size_t count)
{
    const __m512i start = _mm512_set1_epi32(op->sum.start);
    const __m512i least = _mm512_set1_epi8((char)op->range.min), most = _mm512_set1_epi8((char)op->range.max);
    const __m512i in_order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    size_t i = 0;
    for (; i + QUADS * LANES <= count; i += QUADS * LANES) {
        __m512i sums[QUADS];
        for (size_t j = 0; j < QUADS; j++) {
            const __m512i x = scale_all(a + i + j * LANES, op->sum.a), y = scale_all(b + i + j * LANES, op->sum.b);
            sums[j] = _mm512_srai_epi32(_mm512_add_epi32(_mm512_add_epi32(x, start), y), QB_SUM_BITS);
        }
        const __m512i bytes =
            _mm512_packs_epi16(_mm512_packs_epi32(sums[0], sums[1]), _mm512_packs_epi32(sums[2], sums[3]));
        const __m512i clamped = _mm512_min_epi8(_mm512_max_epi8(bytes, least), most);
        _mm512_storeu_si512(out + i, _mm512_permutexvar_epi32(in_order, clamped));
    }
    return i;
}

static void add_s8_avx512(const qb_binary_s8 *given, const int8_t *a, const int8_t *b, int8_t *out, size_t count)
{
    const qb_binary_s8 op = *given;
    size_t i = op.sum.exact ? add_linear(&op, a, b, out, count) : 0;
    for (; i + LANES <= count; i += LANES) {
        const __m512i x = rescale_all(load_centred(a + i, op.a_zero), op.common_bits, &op.a);
        const __m512i y = rescale_all(load_centred(b + i, op.b_zero), op.common_bits, &op.b);
        store_all(&op, rescale_all(_mm512_add_epi32(x, y), 0, &op.out), out + i);
    }
    add_s8(&op, a + i, b + i, out + i, count - i);
}

static qb_affine_sum find_sum(const qb_binary_s8 *op, double a, double b)
{
    return qb_find_affine_sum(op, a, b, add_s8_avx512);
}

static void mul_s8_avx512(const qb_binary_s8 *given, const int8_t *a, const int8_t *b, int8_t *out, size_t count)
{
    const qb_binary_s8 op = *given;
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        const __m512i x = load_centred(a + i, op.a_zero), y = load_centred(b + i, op.b_zero);
        store_all(&op, rescale_all(_mm512_mullo_epi32(x, y), 0, &op.out), out + i);
    }
    mul_s8(&op, a + i, b + i, out + i, count - i);
}

const qb_loops qb_loops_avx512 = {
    .find_sum = find_sum,
    .add_s8 = add_s8_avx512,
    .mul_s8 = mul_s8_avx512,
    .find_range = qb_find_range,
    .quantize_sample = qb_quantize_sample,
    .average_s8 = average_s8,
    QB_LOOPS_OF_THE_COMPILER,
};
