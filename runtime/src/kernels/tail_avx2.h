/* The ends of int8 and hybrid kernels on AVX2: eight int32 sums to requantized or real values. Bit-equal to
 * qb_requantize and to qb_reference_hybrid. */
#ifndef QB_TAIL_AVX2_H
#define QB_TAIL_AVX2_H

#include <immintrin.h>
#include <string.h>

#include "packing.h"

/* qb_multiply for eight channels from index c on. */
static inline __m256i qb_multiply_avx2(__m256i sum, const qb_requant *q, size_t c)
{
    const __m256i factor = _mm256_loadu_si256((const __m256i *)(q->multiplier + c));
    const __m256i left = _mm256_loadu_si256((const __m256i *)(q->left + c));
    const __m256i right = _mm256_loadu_si256((const __m256i *)(q->right + c));
    const __m256i half = _mm256_set1_epi64x(INT64_C(1) << 30);

    /* (x·factor + 2^30) >> 31, even and odd lanes apart as 64-bit products */
    const __m256i x = _mm256_sllv_epi32(sum, left);
    const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(x, factor), half);
    const __m256i odd =
        _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(x, 32), _mm256_srli_epi64(factor, 32)), half);
    const __m256i high = _mm256_blend_epi32(_mm256_srli_epi64(even, 31), _mm256_slli_epi64(odd, 1), 0xAA);

    /* rounding shift right, ties away from zero */
    const __m256i ones = _mm256_set1_epi32(-1);
    const __m256i mask = _mm256_xor_si256(_mm256_sllv_epi32(ones, right), ones);
    const __m256i remainder = _mm256_and_si256(high, mask);
    const __m256i threshold = _mm256_sub_epi32(_mm256_srli_epi32(mask, 1), _mm256_srai_epi32(high, 31));
    return _mm256_sub_epi32(_mm256_srav_epi32(high, right), _mm256_cmpgt_epi32(remainder, threshold));
}

/* Zero point, saturation and activation for sixteen multiplied sums in order. */
static inline __m128i qb_narrow_avx2(__m256i low, __m256i high, const qb_requant *q)
{
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xD8);
    const __m256i moved = _mm256_adds_epi16(words, _mm256_set1_epi16(q->zero));
    const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(moved), _mm256_extracti128_si256(moved, 1));
    return _mm_min_epi8(_mm_max_epi8(bytes, _mm_set1_epi8(q->min)), _mm_set1_epi8(q->max));
}

/* Sixteen sums to int8. */
static inline __m128i qb_requantize_avx2(__m256i low, __m256i high, const qb_requant *q, size_t c)
{
    return qb_narrow_avx2(qb_multiply_avx2(low, q, c), qb_multiply_avx2(high, q, c + 8), q);
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
