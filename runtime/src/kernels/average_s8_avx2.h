/* int8 averages over windows of few pixels on AVX2 (average_quotient.h): sums stay under 2^15, and VPMULHUW multiplies. */
#ifndef QB_AVERAGE_S8_AVX2_H
#define QB_AVERAGE_S8_AVX2_H

#include <immintrin.h>

#include "average_quotient.h"

enum { QB_FEW_LEAST = 2, QB_FEW_MOST = 127, QB_FEW_LANES = 16, QB_FEW_VECTORS = 4 };

/* A window's quotient and range, in all lanes. */
typedef struct qb_few {
    __m256i start;
    __m256i multiplier;
    __m128i shift;
    bool ties_away;
    __m256i min, max;
} qb_few;

static inline qb_few qb_few_of(const qb_window *w)
{
    const qb_quotient q = qb_quotient_of(w, 16);
    return (qb_few){
        .start = _mm256_set1_epi16(q.start),
        .multiplier = _mm256_set1_epi16(q.multiplier),
        .shift = _mm_cvtsi32_si128(q.shift),
        .ties_away = q.ties_away,
        .min = _mm256_set1_epi8((int8_t)w->range_s8.min),
        .max = _mm256_set1_epi8((int8_t)w->range_s8.max),
    };
}

static inline __m256i qb_divide_few(__m256i sum, const qb_few *few)
{
    if (few->ties_away) sum = _mm256_add_epi16(sum, _mm256_cmpgt_epi16(few->start, sum));
    return _mm256_srl_epi16(_mm256_mulhi_epu16(sum, few->multiplier), few->shift);
}

/* Two vectors of averages, above -128, as bytes. */
static inline __m256i qb_few_bytes(__m256i low, __m256i high, const qb_few *few)
{
    const __m256i packed = _mm256_packus_epi16(qb_divide_few(low, few), qb_divide_few(high, few));
    const __m256i bytes = _mm256_xor_si256(_mm256_permute4x64_epi64(packed, 0xD8), _mm256_set1_epi8(INT8_MIN));
    return _mm256_min_epi8(_mm256_max_epi8(bytes, few->min), few->max);
}

/* Sixteen channels `vectors` times, which is a constant wherever this is inlined. */
static inline __attribute__((always_inline)) void qb_average_few(const qb_window *w, const qb_few *few,
                                                                 const int8_t *in, int8_t *out, const size_t vectors)
{
    __m256i sums[QB_FEW_VECTORS];
    for (size_t v = 0; v < vectors; v++) sums[v] = few->start;
    for (size_t y = 0; y < w->rows; y++) {
        const int8_t *pixel = in + y * w->row_step;
        for (size_t x = 0; x < w->columns; x++, pixel += w->channels) {
            for (size_t v = 0; v < vectors; v++) {
                const __m128i values = _mm_loadu_si128((const __m128i *)(pixel + QB_FEW_LANES * v));
                sums[v] = _mm256_add_epi16(sums[v], _mm256_cvtepi8_epi16(values));
            }
        }
    }
    if (vectors == 1) {
        _mm_storeu_si128((__m128i *)out, _mm256_castsi256_si128(qb_few_bytes(sums[0], sums[0], few)));
    }
    for (size_t v = 0; v + 1 < vectors; v += 2) {
        const __m256i bytes = qb_few_bytes(sums[v], sums[v + 1], few);
        _mm256_storeu_si256((__m256i *)(out + QB_FEW_LANES * v), bytes);
    }
}

#include "average_few.h"

#endif
