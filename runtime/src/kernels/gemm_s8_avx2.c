/* int8 GEMM on AVX2: tiles of 6 × 16, exact for inputs and weights of [-128, 127].
 *
 * The tile's input rows are widened to int16 once, into the workspace, and serve every block of columns. Two
 * neighbouring values of a row are then broadcast as one 32-bit lane, and VPMADDWD multiplies them with the
 * two matching weights of eight columns (kr = 2) and adds the pair: 16 products in one instruction, exact in
 * int32.
 */
#include "gemm_finish_avx2.h"

enum { MR = 6, NR = QB_FINISH_COLUMNS, KR = 2 };

/* One row's taps to int16, each padded with a zero to an even depth. */
static void widen_row(const qb_tile_s8 *tile, size_t row, int16_t *to)
{
    for (size_t t = 0; t < tile->taps; t++) {
        const int8_t *from = tile->inputs[t * MR + row];
        size_t k = 0;
        for (; k + 16 <= tile->depth; k += 16) {
            const __m128i bytes = _mm_loadu_si128((const __m128i *)(from + k));
            _mm256_storeu_si256((__m256i *)(to + k), _mm256_cvtepi8_epi16(bytes));
        }
        for (; k < tile->depth; k++) to[k] = from[k];
        if (k % KR != 0) to[k++] = 0;
        to += k;
    }
}

static inline __m256i widen_weights(const int8_t *weights)
{
    return _mm256_cvtepi8_epi16(_mm_load_si128((const __m128i *)weights));
}

static void widen(const int8_t *weights, size_t count, int16_t *wide)
{
    for (size_t i = 0; i < count; i += NR) {
        _mm256_store_si256((__m256i *)(wide + i), widen_weights(weights + i));
    }
}

/* 32 bits from a row of int16 pairs, in all lanes. */
static inline __m256i broadcast_pair(const int16_t *pair)
{
    int32_t bits;
    memcpy(&bits, pair, sizeof bits);
    return _mm256_set1_epi32(bits);
}

/* One panel of columns. `rows` and `widened` are constants wherever this is inlined: the loops over rows unroll and the
 * sums stay in registers. */
static inline __attribute__((always_inline)) void multiply(const qb_tile_s8 *tile, size_t column, const size_t rows,
                                                           const bool widened)
{
    const size_t pairs = tile->taps * ((tile->depth + 1) / KR);
    const int8_t *weights = tile->weights + column * pairs * KR;
    const __m256i *start = (const __m256i *)(tile->channels.start + column);
    const int16_t *x = tile->workspace;
    __m256i low[MR], high[MR], sums[MR * 2];
    for (size_t r = 0; r < rows; r++) {
        const __m256i row_start = _mm256_set1_epi32(tile->row_start[r]);
        low[r] = _mm256_add_epi32(_mm256_load_si256(start), row_start);
        high[r] = _mm256_add_epi32(_mm256_load_si256(start + 1), row_start);
    }
    for (size_t at = 0; at < pairs * NR * KR; at += NR * KR, x += KR) {
        const __m256i *wide = (const __m256i *)(tile->wide + at);
        const __m256i low_weights = widened ? _mm256_load_si256(wide) : widen_weights(weights + at);
        const __m256i high_weights = widened ? _mm256_load_si256(wide + 1) : widen_weights(weights + at + NR);
        for (size_t r = 0; r < rows; r++) {
            const __m256i pair = broadcast_pair(x + r * pairs * KR);
            low[r] = _mm256_add_epi32(low[r], _mm256_madd_epi16(pair, low_weights));
            high[r] = _mm256_add_epi32(high[r], _mm256_madd_epi16(pair, high_weights));
        }
    }
    for (size_t r = 0; r < rows; r++) sums[r * 2] = low[r], sums[r * 2 + 1] = high[r];
    qb_finish_avx2(tile, column, sums);
}

/* Odd tiles but single rows compute a row too many, which is not stored. */
static void multiply_narrow(const qb_tile_s8 *tile, size_t column)
{
    switch (tile->rows) {
    case 1: multiply(tile, column, 1, false); break;
    case 2: multiply(tile, column, 2, false); break;
    case 3:
    case 4: multiply(tile, column, 4, false); break;
    default: multiply(tile, column, MR, false); break;
    }
}

static void multiply_wide(const qb_tile_s8 *tile, size_t column)
{
    switch ((tile->rows + 1) / 2) {
    case 1: multiply(tile, column, 2, true); break;
    case 2: multiply(tile, column, 4, true); break;
    default: multiply(tile, column, MR, true); break;
    }
}

static void pack_tile(const qb_tile_s8 *tile)
{
    const size_t wide_depth = tile->taps * ((tile->depth + 1) / KR * KR);
    for (size_t r = 0; r < tile->rows; r++) widen_row(tile, r, (int16_t *)tile->workspace + r * wide_depth);
}

static void run_tile(const qb_tile_s8 *tile)
{
    for (size_t column = tile->first_column; column < tile->end_column; column += NR) {
        (tile->wide != NULL ? multiply_wide : multiply_narrow)(tile, column);
    }
}

const qb_gemm_s8 qb_gemm_s8_avx2 = {
    .name = "gemm_s8_avx2",
    .mr = MR,
    .nr = NR,
    .kr = KR,
    .expand = sizeof(int16_t),
    .widen = widen,
    .pack = pack_tile,
    .tile = run_tile,
};
