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
    __m512i even, odd;             /* multipliers */
    __m512i even_nudge, odd_nudge; /* what both roundings add to the product */
    __m512i left;                  /* shift before the product; of all bits where the multiplier is 0 */
    __m512i right;                 /* and of its upper half */
    __m512i sign;                  /* shift of a sum that leaves 1 where it is negative and right > 0, else 0 */
} qb_requant_avx512;

/* Both roundings of qb_multiply add before they shift: 2^30 to the product, which leaves 31 bits, then 2^(right − 1)
 * to what remains. With headroom their sum is added once, to the product: 2^30 + 2^(right − 1) · 2^31. A product's upper
 * half is then all but one of the bits to shift out away from the result, and where outputs start at zero that bit goes
 * with the others. Else the multiplier is doubled, modulo 2^32, so that the upper half lacks none; it then lacks the sum
 * once. from_zero: requant.from_zero, a constant wherever these are inlined. */
static inline __attribute__((always_inline)) qb_requant_avx512 qb_requant_of_avx512(__m512i multiplier, __m512i left,
                                                                                    __m512i right, const bool from_zero)
{
    const __m512i one = _mm512_set1_epi32(1), all = _mm512_set1_epi32(32);
    const __mmask16 shifted = _mm512_test_epi32_mask(right, right);
    const __m512i half = _mm512_maskz_sllv_epi32(shifted, one, _mm512_sub_epi32(right, one));
    const __m512i low = _mm512_maskz_mov_epi32(0x5555, half), high = _mm512_srli_epi64(half, 32);
    const __m512i nudge = _mm512_set1_epi64(INT64_C(1) << 30), even = _mm512_add_epi64(nudge, _mm512_slli_epi64(low, 31)),
                  odd = _mm512_add_epi64(nudge, _mm512_slli_epi64(high, 31));
    const int doubled = from_zero ? 0 : 1;
    const __m512i factor = _mm512_slli_epi32(multiplier, doubled);
    return (qb_requant_avx512){
        .even = factor,
        .odd = _mm512_shuffle_epi32(factor, _MM_PERM_DDBB),
        .even_nudge = _mm512_slli_epi64(even, doubled),
        .odd_nudge = _mm512_slli_epi64(odd, doubled),
        .left = _mm512_mask_mov_epi32(left, _mm512_testn_epi32_mask(multiplier, multiplier), all),
        .right = from_zero ? _mm512_sub_epi32(right, one) : right,
        .sign = _mm512_mask_sub_epi32(all, shifted, all, one),
    };
}

static inline __attribute__((always_inline)) qb_requant_avx512 qb_requant_load_avx512(const qb_requant *q, size_t c,
                                                                                      const bool from_zero)
{
    return qb_requant_of_avx512(_mm512_loadu_si512(q->multiplier + c), _mm512_loadu_si512(q->left + c),
                                _mm512_loadu_si512(q->right + c), from_zero);
}

/* qb_multiply for sixteen sums; where outputs start at zero, negative sums become anything that is not positive. */
static inline __attribute__((always_inline)) __m512i qb_multiply_avx512(__m512i sum, const qb_requant_avx512 *r,
                                                                        const bool from_zero)
{
    const __m512i shifted = from_zero ? sum : _mm512_sllv_epi32(sum, r->left);
    const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(shifted, r->even), r->even_nudge);
    const __m512i odd =
        _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(shifted, 32), r->odd), r->odd_nudge);
    __m512i high = _mm512_mask_shuffle_epi32(odd, 0x5555, even, _MM_PERM_DDBB);
    if (!from_zero) {
        /* halves go away from zero: one less before the shift of a negative value */
        high = _mm512_add_epi32(high, _mm512_sub_epi32(shifted, _mm512_srlv_epi32(shifted, r->sign)));
    }
    return _mm512_srav_epi32(high, r->right);
}

/* What is the same for all channels. */
typedef struct qb_ends_avx512 {
    __m512i zero, min, max;
} qb_ends_avx512;

static inline qb_ends_avx512 qb_ends_load_avx512(const qb_requant *q)
{
    return (qb_ends_avx512){_mm512_set1_epi16(q->zero), _mm512_set1_epi8(q->min), _mm512_set1_epi8(q->max)};
}

/* Two registers of multiplied sums to words, with the zero point unless that is -128. Each quarter of the result has a
 * quarter of the first, then of the second. */
static inline __attribute__((always_inline)) __m512i qb_words_avx512(__m512i first, __m512i second,
                                                                     const qb_ends_avx512 *ends, const bool from_zero)
{
    const __m512i words = _mm512_packs_epi32(first, second);
    return from_zero ? words : _mm512_adds_epi16(words, ends->zero);
}

/* The words to bytes, by quarters again, saturated and activated. */
static inline __attribute__((always_inline)) __m512i qb_bytes_avx512(__m512i first, __m512i second,
                                                                     const qb_ends_avx512 *ends, const bool from_zero)
{
    if (from_zero) return _mm512_xor_si512(_mm512_packus_epi16(first, second), _mm512_set1_epi8(INT8_MIN));
    return _mm512_min_epi8(_mm512_max_epi8(_mm512_packs_epi16(first, second), ends->min), ends->max);
}

/* Their quarters of quarters, put in the order of the four registers that became them. */
static inline __m512i qb_in_order_avx512(__m512i bytes)
{
    return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), bytes);
}

/* v > limit ? … as the reference orders it: NaN stays. */
static inline __m512 qb_clamp_avx512(__m512 v, qb_range_f32 range)
{
    return _mm512_min_ps(_mm512_set1_ps(range.max), _mm512_max_ps(_mm512_set1_ps(range.min), v));
}

/* The dequantization of sixteen channels in registers. */
typedef struct qb_dequant_avx512 {
    __m512i weight_sum;
    __m512 weight_scale, bias;
} qb_dequant_avx512;

static inline qb_dequant_avx512 qb_dequant_load_avx512(const qb_dequant *d, size_t c)
{
    return (qb_dequant_avx512){_mm512_loadu_si512(d->weight_sum + c), _mm512_loadu_ps(d->weight_scale + c),
                               _mm512_loadu_ps(d->bias + c)};
}

/* Sixteen sums to float. */
static inline __m512 qb_dequantize_avx512(__m512i sum, const qb_dequant_avx512 *d, qb_sample_quant sample,
                                          qb_range_f32 range)
{
    const __m512i zero = _mm512_mullo_epi32(_mm512_set1_epi32(sample.zero_point), d->weight_sum);
    const __m512 factor = _mm512_mul_ps(_mm512_set1_ps(sample.scale), d->weight_scale);
    const __m512 real = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(sum, zero)), factor);
    return qb_clamp_avx512(_mm512_add_ps(real, d->bias), range);
}

#endif
