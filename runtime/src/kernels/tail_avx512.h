/* The ends of int8 and hybrid kernels on AVX-512: sixteen int32 sums to requantized or real values. Bit-equal
 * to qb_requantize for sums with headroom (linear.h) and to qb_reference_hybrid. */
#ifndef QB_TAIL_AVX512_H
#define QB_TAIL_AVX512_H

#include <immintrin.h>
#include <string.h>

#include "packing.h"

/* The first `width` of sixteen lanes. */
static inline __mmask16 qb_lanes_avx512(size_t width)
{
    return (__mmask16)((1u << width) - 1);
}

/* The requantization of sixteen channels in registers. Odd lanes of 64-bit products are apart from even ones. */
typedef struct qb_requant_avx512 {
    __m512i even, odd;               /* multipliers */
    __m512i even_nudge, odd_nudge;   /* what both roundings add to the product */
    __m512i left;                    /* shift before the product */
    __m512i right;
    __mmask16 shifted;               /* right > 0 */
    __m512i zero;
    __m128i min, max;
} qb_requant_avx512;

/* Both roundings of qb_multiply add before they shift: 2^30 to the product, which leaves 31 bits, then 2^(right − 1)
 * to what remains. With headroom their sum is added once, to the product: 2^30 + 2^(right − 1) · 2^31. */
static inline qb_requant_avx512 qb_requant_load_avx512(const qb_requant *q, size_t c)
{
    const __m512i one = _mm512_set1_epi32(1), right = _mm512_loadu_si512(q->right + c);
    const __mmask16 shifted = _mm512_test_epi32_mask(right, right);
    const __m512i half = _mm512_maskz_sllv_epi32(shifted, one, _mm512_sub_epi32(right, one));
    const __m512i nudge = _mm512_set1_epi64(INT64_C(1) << 30), even = _mm512_loadu_si512(q->multiplier + c);
    const __m512i low = _mm512_maskz_mov_epi32(0x5555, half), odd = _mm512_srli_epi64(half, 32);
    return (qb_requant_avx512){
        .even = even,
        .odd = _mm512_srli_epi64(even, 32),
        .even_nudge = _mm512_add_epi64(nudge, _mm512_slli_epi64(low, 31)),
        .odd_nudge = _mm512_add_epi64(nudge, _mm512_slli_epi64(odd, 31)),
        .left = _mm512_loadu_si512(q->left + c),
        .right = right,
        .shifted = shifted,
        .zero = _mm512_set1_epi32(q->zero),
        .min = _mm_set1_epi8(q->min),
        .max = _mm_set1_epi8(q->max),
    };
}

/* Sixteen sums to int8. */
static inline __m128i qb_requantize_avx512(__m512i sum, const qb_requant_avx512 *r)
{
    const __m512i shifted = _mm512_sllv_epi32(sum, r->left);
    const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(shifted, r->even), r->even_nudge);
    const __m512i odd =
        _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(shifted, 32), r->odd), r->odd_nudge);
    const __m512i high =
        _mm512_mask_mov_epi32(_mm512_slli_epi64(odd, 1), 0x5555, _mm512_srli_epi64(even, 31));
    /* halves go away from zero: one less before the shift of a negative value */
    const __m512i away = _mm512_mask_add_epi32(high, r->shifted, high, _mm512_srai_epi32(sum, 31));
    const __m512i scaled = _mm512_add_epi32(_mm512_srav_epi32(away, r->right), r->zero);
    const __m128i bytes = _mm512_cvtsepi32_epi8(scaled);
    return _mm_min_epi8(_mm_max_epi8(bytes, r->min), r->max);
}

/* v > limit ? … as the reference orders it: NaN stays. */
static inline __m512 qb_clamp_avx512(__m512 v, qb_range_f32 range)
{
    return _mm512_min_ps(_mm512_set1_ps(range.max), _mm512_max_ps(_mm512_set1_ps(range.min), v));
}

/* Sixteen sums to float. */
static inline __m512 qb_dequantize_avx512(__m512i sum, const qb_dequant *d, qb_sample_quant sample, size_t c)
{
    const __m512i weight_sum = _mm512_loadu_si512(d->weight_sum + c);
    const __m512i zero = _mm512_mullo_epi32(_mm512_set1_epi32(sample.zero_point), weight_sum);
    const __m512 factor = _mm512_mul_ps(_mm512_set1_ps(sample.scale), _mm512_loadu_ps(d->weight_scale + c));
    const __m512 real = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(sum, zero)), factor);
    return qb_clamp_avx512(_mm512_add_ps(real, _mm512_loadu_ps(d->bias + c)), d->range);
}

#endif
