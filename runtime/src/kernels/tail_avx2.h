/* The ends of int8 and hybrid kernels on AVX2: eight int32 sums to requantized or real values. Bit-equal to
 * qb_requantize for sums with headroom (linear.h) and to qb_reference_hybrid. */
#ifndef QB_TAIL_AVX2_H
#define QB_TAIL_AVX2_H

#include <immintrin.h>
#include <string.h>

#include "packing.h"

/* The requantization of eight channels in registers. Odd lanes of 64-bit products are apart from even ones. */
typedef struct qb_requant_avx2 {
    __m256i even, odd;             /* multipliers */
    __m256i even_nudge, odd_nudge; /* what both roundings add to the product */
    __m256i left;                  /* shift before the product */
    __m256i right;
    __m256i right_of_upper; /* right − 1: of the product's upper half */
    __m256i shifted;        /* all ones where right > 0 */
} qb_requant_avx2;

/* Odd lanes in the places of even ones, as a shuffle: behind a shift, compilers take VPMULDQ for a product of 64-bit values
 * and multiply three times. */
static inline __m256i qb_odd_lanes_avx2(__m256i x)
{
    return _mm256_shuffle_epi32(x, 0xF5);
}

/* Both roundings of qb_multiply add before they shift: 2^30 to the product, which leaves 31 bits, then 2^(right − 1)
 * to what remains. With headroom their sum is added once, to the product: 2^30 + 2^(right − 1) · 2^31. */
static inline qb_requant_avx2 qb_requant_load_avx2(const qb_requant *q, size_t c)
{
    const __m256i one = _mm256_set1_epi32(1), zero = _mm256_setzero_si256();
    const __m256i right = _mm256_loadu_si256((const __m256i *)(q->right + c));
    const __m256i half = _mm256_srli_epi32(_mm256_sllv_epi32(one, right), 1);
    const __m256i nudge = _mm256_set1_epi64x(INT64_C(1) << 30), low = _mm256_set1_epi64x(UINT32_MAX);
    const __m256i even = _mm256_loadu_si256((const __m256i *)(q->multiplier + c));
    return (qb_requant_avx2){
        .even = even,
        .odd = qb_odd_lanes_avx2(even),
        .even_nudge = _mm256_add_epi64(nudge, _mm256_slli_epi64(_mm256_and_si256(half, low), 31)),
        .odd_nudge = _mm256_add_epi64(nudge, _mm256_slli_epi64(_mm256_srli_epi64(half, 32), 31)),
        .left = _mm256_loadu_si256((const __m256i *)(q->left + c)),
        .right = right,
        .right_of_upper = _mm256_sub_epi32(right, one),
        .shifted = _mm256_cmpgt_epi32(right, zero),
    };
}

/* qb_multiply for eight sums. */
static inline __m256i qb_multiply_avx2(__m256i sum, const qb_requant_avx2 *r)
{
    const __m256i shifted = _mm256_sllv_epi32(sum, r->left);
    const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(shifted, r->even), r->even_nudge);
    const __m256i odd =
        _mm256_add_epi64(_mm256_mul_epi32(qb_odd_lanes_avx2(shifted), r->odd), r->odd_nudge);
    const __m256i high = _mm256_blend_epi32(_mm256_srli_epi64(even, 31), _mm256_slli_epi64(odd, 1), 0xAA);
    /* halves go away from zero: one less before the shift of a negative value */
    const __m256i away = _mm256_add_epi32(high, _mm256_and_si256(_mm256_srai_epi32(sum, 31), r->shifted));
    return _mm256_srav_epi32(away, r->right);
}

/* The same where the outputs start at zero (requant.from_zero): what a negative sum becomes does not matter, as long as it
 * is not positive. */
static inline __m256i qb_multiply_from_zero_avx2(__m256i sum, const qb_requant_avx2 *r)
{
    const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(sum, r->even), r->even_nudge);
    const __m256i odd = _mm256_add_epi64(_mm256_mul_epi32(qb_odd_lanes_avx2(sum), r->odd), r->odd_nudge);
    return _mm256_srav_epi32(_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA), r->right_of_upper);
}

/* Zero point, saturation and activation for sixteen multiplied sums in order. */
static inline __m128i qb_narrow_avx2(__m256i low, __m256i high, const qb_requant *q)
{
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xD8);
    const __m256i moved = _mm256_adds_epi16(words, _mm256_set1_epi16(q->zero));
    const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(moved), _mm256_extracti128_si256(moved, 1));
    return _mm_min_epi8(_mm_max_epi8(bytes, _mm_set1_epi8(q->min)), _mm_set1_epi8(q->max));
}

/* v > limit ? … as the reference orders it: NaN stays. */
static inline __m256 qb_clamp_avx2(__m256 v, qb_range_f32 range)
{
    return _mm256_min_ps(_mm256_set1_ps(range.max), _mm256_max_ps(_mm256_set1_ps(range.min), v));
}

/* Eight sums to float. */
static inline __m256 qb_dequantize_avx2(__m256i sum, const qb_dequant *d, qb_sample_quant sample, size_t c)
{
    const __m256i weight_sum = _mm256_loadu_si256((const __m256i *)(d->weight_sum + c));
    const __m256i zero = _mm256_mullo_epi32(_mm256_set1_epi32(sample.zero_point), weight_sum);
    const __m256 factor = _mm256_mul_ps(_mm256_set1_ps(sample.scale), _mm256_loadu_ps(d->weight_scale + c));
    const __m256 real = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_sub_epi32(sum, zero)), factor);
    return qb_clamp_avx2(_mm256_add_ps(real, _mm256_loadu_ps(d->bias + c)), d->range);
}

#endif
