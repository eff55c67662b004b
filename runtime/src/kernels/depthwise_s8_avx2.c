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
        const __m256i scaled = qb_multiply_avx2(sum, q, block * BLOCK);
        const __m128i bytes = qb_narrow_avx2(scaled, scaled, q);
        memcpy((int8_t *)row->out + at, &bytes, valid);
    }
}

/* Every pixel of the row. Where `taps` is a constant and `x` an array of that length, the loops over taps
 * unroll and the pointers stay in registers. */
static inline __attribute__((always_inline)) void run_pixels(const qb_depthwise_row_s8 *row,
                                                             const size_t taps, const int8_t **x)
{
    const size_t blocks = qb_depthwise_blocks(row->channels);
    for (size_t p = 0; p < row->pixels; p++) {
        for (size_t t = 0; t < taps; t++) x[t] = row->columns[p * row->pixel_step + row->tap_offset[t]];
        if (row->channels < BLOCK) {
            finish(row, p, 0, 0, row->channels, sum_taps(row, x, taps, 0, 0, row->channels));
            continue;
        }
        for (size_t block = 0; block < blocks; block++) {
            const size_t first = qb_depthwise_first(block, row->channels);
            finish(row, p, block, first, BLOCK, sum_taps(row, x, taps, block, first, BLOCK));
        }
    }
}

static void run_row(const qb_depthwise_row_s8 *row)
{
    const int8_t *x[TAPS_3X3];
    if (row->taps == TAPS_3X3) {
        run_pixels(row, TAPS_3X3, x);
    } else {
        run_pixels(row, row->taps, row->window);
    }
}

const qb_depthwise_s8 qb_depthwise_s8_avx2 = {.name = "depthwise_s8_avx2", .row = run_row};
