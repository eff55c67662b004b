/* The ends of int8 and hybrid kernels on AVX2: eight int32 sums to requantized or real values. Bit-equal to
 * qb_requantize for sums with headroom (linear.h) and to qb_reference_hybrid. */
#ifndef QB_TAIL_AVX2_H
#define QB_TAIL_AVX2_H

#include <immintrin.h>
#include <string.h>

#include "packing.h"

/* What an int8 layer's factors allow (qb_requant), each all that the next does. Constants wherever these functions are
 * inlined. */
typedef enum qb_factors_avx2 {
    QB_ANY_FACTORS,
    QB_SHIFT_RIGHT,
    QB_FROM_ZERO, /* what a negative sum becomes does not matter, as long as it is not positive */
} qb_factors_avx2;

/* The requantization of eight channels in registers. Odd lanes of 64-bit products are apart from even ones. */
typedef struct qb_requant_avx2 {
    __m256i even, odd;                         /* multipliers */
    __m256i even_nudge, odd_nudge;             /* what both roundings add to a product */
    __m256i even_nudge_below, odd_nudge_below; /* and to a negative one */
    __m256i left;                              /* shift before the product */
    __m256i right;                             /* and behind it, in the order of qb_multiply_avx2 */
} qb_requant_avx2;

/* Odd lanes in the places of even ones, as a shuffle: behind a shift, compilers take VPMULDQ for a product of 64-bit values
 * and multiply three times. */
static inline __m256i qb_odd_lanes_avx2(__m256i x)
{
    return _mm256_shuffle_epi32(x, 0xF5);
}

/* The upper half of each product, as 0, 2, 1, 3, 4, 6, 5, 7. */
static inline __m256i qb_upper_halves_avx2(__m256i even, __m256i odd)
{
    return _mm256_castps_si256(_mm256_shuffle_ps(_mm256_castsi256_ps(even), _mm256_castsi256_ps(odd), 0xDD));
}

/* Both roundings of qb_multiply add before they shift: 2^30 to the product, which leaves 31 bits, then 2^(right − 1)
 * to what remains, less one if that is negative and right > 0, as halves go away from zero. With headroom their sum is added
 * once, to the product: 2^30 + 2^(right − 1) · 2^31, less 2^31. */
static inline qb_requant_avx2 qb_requant_load_avx2(const qb_requant *q, size_t c, const qb_factors_avx2 factors)
{
    const __m256i one = _mm256_set1_epi32(1), zero = _mm256_setzero_si256();
    const __m256i right = _mm256_loadu_si256((const __m256i *)(q->right + c));
    const __m256i half = _mm256_sllv_epi32(one, _mm256_sub_epi32(right, one)); /* 0 where right = 0 */
    const __m256i away = _mm256_and_si256(_mm256_cmpgt_epi32(right, zero), one);
    const __m256i nudge = _mm256_set1_epi64x(INT64_C(1) << 30), low = _mm256_set1_epi64x(UINT32_MAX);
    const __m256i even = _mm256_loadu_si256((const __m256i *)(q->multiplier + c));
    const __m256i even_nudge = _mm256_add_epi64(nudge, _mm256_slli_epi64(_mm256_and_si256(half, low), 31));
    const __m256i odd_nudge = _mm256_add_epi64(nudge, _mm256_slli_epi64(_mm256_srli_epi64(half, 32), 31));
    return (qb_requant_avx2){
        .even = even,
        .odd = qb_odd_lanes_avx2(even),
        .even_nudge = even_nudge,
        .odd_nudge = odd_nudge,
        .even_nudge_below = _mm256_sub_epi64(even_nudge, _mm256_slli_epi64(_mm256_and_si256(away, low), 31)),
        .odd_nudge_below = _mm256_sub_epi64(odd_nudge, _mm256_slli_epi64(_mm256_srli_epi64(away, 32), 31)),
        .left = _mm256_loadu_si256((const __m256i *)(q->left + c)),
        .right = _mm256_shuffle_epi32(factors == QB_ANY_FACTORS ? right : _mm256_sub_epi32(right, one), 0xD8),
    };
}

static inline __m256i qb_add_nudge_avx2(__m256i product, __m256i nudge, __m256i nudge_below, const qb_factors_avx2 factors)
{
    if (factors == QB_FROM_ZERO) return _mm256_add_epi64(product, nudge);
    const __m256d signs = _mm256_castsi256_pd(product);
    const __m256d chosen = _mm256_blendv_pd(_mm256_castsi256_pd(nudge), _mm256_castsi256_pd(nudge_below), signs);
    return _mm256_add_epi64(product, _mm256_castpd_si256(chosen));
}

/* qb_multiply for eight sums, which come out as 0, 2, 1, 3, 4, 6, 5, 7. */
static inline __m256i qb_multiply_avx2(__m256i sum, const qb_requant_avx2 *r, const qb_factors_avx2 factors)
{
    const __m256i shifted = factors == QB_ANY_FACTORS ? _mm256_sllv_epi32(sum, r->left) : sum;
    const __m256i even_product = _mm256_mul_epi32(shifted, r->even);
    const __m256i odd_product = _mm256_mul_epi32(qb_odd_lanes_avx2(shifted), r->odd);
    __m256i even = qb_add_nudge_avx2(even_product, r->even_nudge, r->even_nudge_below, factors);
    __m256i odd = qb_add_nudge_avx2(odd_product, r->odd_nudge, r->odd_nudge_below, factors);
    if (factors == QB_ANY_FACTORS) even = _mm256_add_epi64(even, even), odd = _mm256_add_epi64(odd, odd);
    return _mm256_srav_epi32(qb_upper_halves_avx2(even, odd), r->right);
}

/* What comes behind the multiplication, in registers. */
typedef struct qb_outputs_avx2 {
    __m256i zero;
    __m128i min, max;
} qb_outputs_avx2;

static inline qb_outputs_avx2 qb_outputs_load_avx2(const qb_requant *q)
{
    return (qb_outputs_avx2){_mm256_set1_epi16(q->zero), _mm_set1_epi8(q->min), _mm_set1_epi8(q->max)};
}

/* Zero point, saturation and activation for sixteen multiplied sums, whose bytes `order` puts in order. */
static inline __m128i qb_narrow_avx2(__m256i first, __m256i second, const qb_outputs_avx2 *o, __m128i order,
                                     const qb_factors_avx2 factors)
{
    const __m256i words = _mm256_adds_epi16(_mm256_packs_epi32(first, second), o->zero);
    const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    const __m128i ordered = _mm_shuffle_epi8(bytes, order);
    return factors == QB_FROM_ZERO ? ordered : _mm_min_epi8(_mm_max_epi8(ordered, o->min), o->max);
}

/* The same for two times sixteen, which come one behind the other: fewer instructions than twice. */
static inline __attribute__((always_inline)) __m256i qb_narrow_two_avx2(const __m256i first[2], const __m256i second[2],
                                                                        const qb_outputs_avx2 *o, __m128i order,
                                                                        const qb_factors_avx2 factors)
{
    const __m256i a = _mm256_packs_epi32(first[0], first[1]), b = _mm256_packs_epi32(second[0], second[1]);
    __m256i bytes;
    if (factors == QB_FROM_ZERO) {
        bytes = _mm256_xor_si256(_mm256_packus_epi16(a, b), _mm256_set1_epi8(INT8_MIN));
    } else {
        bytes = _mm256_packs_epi16(_mm256_adds_epi16(a, o->zero), _mm256_adds_epi16(b, o->zero));
        bytes = _mm256_max_epi8(bytes, _mm256_broadcastsi128_si256(o->min));
        bytes = _mm256_min_epi8(bytes, _mm256_broadcastsi128_si256(o->max));
    }
    return _mm256_shuffle_epi8(_mm256_permute4x64_epi64(bytes, 0xD8), _mm256_broadcastsi128_si256(order));
}

static inline qb_factors_avx2 qb_factors_of_avx2(const qb_requant *q)
{
    return q->from_zero ? QB_FROM_ZERO : q->shifts_right ? QB_SHIFT_RIGHT : QB_ANY_FACTORS;
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
