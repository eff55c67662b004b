/* int8 depthwise convolution on AVX2: eight channels at a time, two taps in each VPMADDWD.
 *
 * The two taps' inputs are interleaved byte by byte, as their weights are, and widened to int16. Exact over
 * the whole int8 range.
 */
#include "depthwise.h"
#include "tail_avx2.h"

enum { BLOCK = QB_DEPTHWISE_BLOCK, TAPS_3X3 = 10 };

/* The sums of one block, from channel `first` of the pixels under its taps on, of which `valid` may be
 * read. */
static inline __attribute__((always_inline)) __m256i sum_taps(const qb_depthwise_row_s8 *row,
                                                              const int8_t *const *x, const size_t taps,
                                                              size_t block, size_t first, size_t valid)
{
    const int8_t *weights = row->weights + block * BLOCK * taps;
    __m256i sum = _mm256_load_si256((const __m256i *)(row->by_channel.start + block * BLOCK));
    for (size_t t = 0; t < taps; t += 2, weights += 2 * BLOCK) {
        __m128i a = _mm_setzero_si128(), b = a;
        memcpy(&a, x[t] + first, valid);
        memcpy(&b, x[t + 1] + first, valid);
        const __m256i pairs = _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(a, b));
        const __m256i w = _mm256_cvtepi8_epi16(_mm_load_si128((const __m128i *)weights));
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, w));
    }
    return sum;
}

/* The tail of a block; `valid` of its channels are written to pixel p. */
static inline __attribute__((always_inline)) void
finish(const qb_depthwise_row_s8 *row, size_t p, size_t block, size_t first, size_t valid, __m256i sum)
{
    const size_t at = p * row->channels + first;
    if (row->quant != NULL) {
        const __m256 real = qb_dequantize_avx2(sum, &row->by_channel.dequant, *row->quant, block * BLOCK);
        memcpy((float *)row->out + at, &real, valid * sizeof(float));
    } else {
        const qb_requant *q = &row->by_channel.requant;
        const qb_outputs_avx2 outputs = qb_outputs_load_avx2(q);
        const qb_requant_avx2 requant = qb_requant_load_avx2(q, block * BLOCK, QB_ANY_FACTORS);
        const __m256i scaled = qb_multiply_avx2(sum, &requant, QB_ANY_FACTORS);
        const __m128i order = _mm_setr_epi8(0, 2, 1, 3, 8, 10, 9, 11, 4, 6, 5, 7, 12, 14, 13, 15);
        const __m128i bytes = qb_narrow_avx2(scaled, scaled, &outputs, order, QB_ANY_FACTORS);
        memcpy((int8_t *)row->out + at, &bytes, valid);
    }
}

static inline __attribute__((always_inline)) void run_block(const qb_depthwise_row_s8 *row,
                                                            const int8_t *const *x, const size_t taps,
                                                            size_t p, size_t block, size_t first,
                                                            size_t valid)
{
    finish(row, p, block, first, valid, sum_taps(row, x, taps, block, first, valid));
}

#define ROW qb_depthwise_row_s8
#define INPUT int8_t
#include "depthwise_pixels.h"

const qb_depthwise_s8 qb_depthwise_s8_avx2 = {.name = "depthwise_s8_avx2", .row = run_row};
