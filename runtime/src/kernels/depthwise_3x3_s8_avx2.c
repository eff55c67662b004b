/* int8 3×3 depthwise convolution on AVX2: sixteen channels at a time, the three taps of a column in two VPMADDWD for
 * each eight.
 *
 * A column's values are widened to int16 and interleaved, the upper two rows with each other and the lowest with
 * zeros: once for every window of the row that the column lies in. Interleaving keeps to halves of a register, so
 * the first sums are of channels 0-3 and 8-11 and the second of the others; packing them to bytes puts them in
 * order again.
 */
#include "depthwise.h"
#include "tail_avx2.h"

enum { BLOCK = QB_DEPTHWISE_3X3_BLOCK, FILTER = 3, PARTS = 4, LANES = 8 };

static const uint8_t order[BLOCK] = {0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15};

/* A column of the input, or of the weights: pairs of int16. */
typedef struct column {
    __m256i upper[2], lowest[2];
} column;

/* [column][upper, lowest][half][channel][2] int16 */
static void pack(const int8_t *weights, void *to)
{
    int16_t *pair = to;
    for (size_t x = 0; x < FILTER; x++) {
        for (size_t i = 0; i < 2 * BLOCK; i++, pair += 2) {
            const int8_t *from = weights + x * BLOCK + order[i % BLOCK];
            pair[0] = from[i < BLOCK ? 0 : 2 * FILTER * BLOCK];
            pair[1] = i < BLOCK ? from[FILTER * BLOCK] : 0;
        }
    }
}

static inline __m256i load(const int8_t *from)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)from));
}

static inline column load_column(const int8_t *const *rows, size_t channel)
{
    const __m256i top = load(rows[0] + channel), middle = load(rows[1] + channel), bottom = load(rows[2] + channel);
    const __m256i zero = _mm256_setzero_si256();
    return (column){
        {_mm256_unpacklo_epi16(top, middle), _mm256_unpackhi_epi16(top, middle)},
        {_mm256_unpacklo_epi16(bottom, zero), _mm256_unpackhi_epi16(bottom, zero)},
    };
}

/* One half of the sums with one column's products added. */
static inline __m256i add_column(__m256i sum, const column *x, const __m256i *weights, size_t half)
{
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(x->upper[half], _mm256_load_si256(weights + half)));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(x->lowest[half], _mm256_load_si256(weights + 2 + half)));
}

static inline __m256i sum_half(const qb_depthwise_row_s8 *row, size_t block, const column *window, size_t half)
{
    const __m256i *weights = (const __m256i *)row->weights + block * FILTER * PARTS;
    const int32_t *start = row->by_channel.start + block * BLOCK + half * LANES;
    __m256i sum = _mm256_load_si256((const __m256i *)start);
    for (size_t x = 0; x < FILTER; x++) sum = add_column(sum, window + x, weights + x * PARTS, half);
    return sum;
}

static inline void finish_f32(const qb_depthwise_row_s8 *row, size_t block, __m256i low, __m256i high, float *out)
{
    const qb_dequant *d = &row->by_channel.dequant;
    const __m256 a = qb_dequantize_avx2(low, d, *row->quant, block * BLOCK);
    const __m256 b = qb_dequantize_avx2(high, d, *row->quant, block * BLOCK + LANES);
    _mm_storeu_ps(out, _mm256_castps256_ps128(a));
    _mm_storeu_ps(out + 4, _mm256_castps256_ps128(b));
    _mm_storeu_ps(out + 8, _mm256_extractf128_ps(a, 1));
    _mm_storeu_ps(out + 12, _mm256_extractf128_ps(b, 1));
}

/* `stride`, 1 or 2, `hybrid` and `factors` are constants wherever this is inlined. */
static inline __attribute__((always_inline)) void run_block(const qb_depthwise_row_s8 *row, size_t block,
                                                            const size_t stride, const bool hybrid,
                                                            const qb_factors_avx2 factors)
{
    const size_t first = qb_depthwise_3x3_first(block, row->channels);
    const qb_requant *q = &row->by_channel.requant;
    const __m128i order = _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15);
    const qb_outputs_avx2 outputs = qb_outputs_load_avx2(q);
    qb_requant_avx2 requant[2];
    for (size_t half = 0; !hybrid && half < 2; half++) {
        requant[half] = qb_requant_load_avx2(q, block * BLOCK + half * LANES, factors);
    }
    const int8_t *const *x = row->columns;
    column window[FILTER] = {load_column(x, first), load_column(x + FILTER, first)};
    for (size_t p = 0; p < row->pixels; p++) {
        window[2] = load_column(x + 2 * FILTER, first);
        __m256i low = sum_half(row, block, window, 0), high = sum_half(row, block, window, 1);
        const size_t at = p * row->channels + first;
        if (hybrid) {
            finish_f32(row, block, low, high, (float *)row->out + at);
        } else {
            low = qb_multiply_avx2(low, requant, factors);
            high = qb_multiply_avx2(high, requant + 1, factors);
            const __m128i bytes = qb_narrow_avx2(low, high, &outputs, order, factors);
            _mm_storeu_si128((__m128i *)((int8_t *)row->out + at), bytes);
        }
        x += stride * FILTER;
        window[0] = window[stride];
        window[1] = stride == 1 || p + 1 == row->pixels ? window[2] : load_column(x + FILTER, first);
    }
}

static inline __attribute__((always_inline)) void run_blocks(const qb_depthwise_row_s8 *row, const bool hybrid,
                                                             const qb_factors_avx2 factors)
{
    const size_t blocks = (row->channels + BLOCK - 1) / BLOCK;
    for (size_t block = 0; block < blocks; block++) {
        if (row->pixel_step == FILTER) run_block(row, block, 1, hybrid, factors);
        else run_block(row, block, 2, hybrid, factors);
    }
}

static void run_row(const qb_depthwise_row_s8 *row)
{
    if (row->quant != NULL) return run_blocks(row, true, QB_ANY_FACTORS);
    switch (qb_factors_of_avx2(&row->by_channel.requant)) {
    case QB_FROM_ZERO: run_blocks(row, false, QB_FROM_ZERO); break;
    case QB_SHIFT_RIGHT: run_blocks(row, false, QB_SHIFT_RIGHT); break;
    case QB_ANY_FACTORS: run_blocks(row, false, QB_ANY_FACTORS); break;
    }
}

const qb_depthwise_3x3_s8 qb_depthwise_3x3_s8_avx2 = {
    .name = "depthwise_3x3_s8_avx2",
    .row = run_row,
    .pack = pack,
    .block_bytes = FILTER * PARTS * sizeof(__m256i),
    .block = BLOCK,
    .order = (const uint8_t[]){0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15},
};
