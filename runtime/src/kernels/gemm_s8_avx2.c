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

static inline __m256i load_weights(const int8_t *weights)
{
    return _mm256_cvtepi8_epi16(_mm_load_si128((const __m128i *)weights));
}

/* 32 bits from a row of int16 pairs, in all lanes. */
static inline __m256i broadcast_pair(const int16_t *pair)
{
    int32_t bits;
    memcpy(&bits, pair, sizeof bits);
    return _mm256_set1_epi32(bits);
}

/* `rows` is a constant wherever this is inlined: the loops over it unroll and the sums stay in registers. */
static inline __attribute__((always_inline)) void multiply(const qb_tile_s8 *tile, const size_t rows)
{
    const size_t pairs = tile->taps * ((tile->depth + 1) / KR);
    const int8_t *weights = tile->weights + tile->first_column * pairs * KR;
    for (size_t column = tile->first_column; column < tile->end_column; column += NR) {
        const __m256i *start = (const __m256i *)(tile->channels.start + column);
        const int16_t *wide = tile->workspace;
        __m256i low[MR], high[MR], sums[MR * 2];
        for (size_t r = 0; r < rows; r++) {
            const __m256i row_start = _mm256_set1_epi32(tile->row_start[r]);
            low[r] = _mm256_add_epi32(_mm256_load_si256(start), row_start);
            high[r] = _mm256_add_epi32(_mm256_load_si256(start + 1), row_start);
        }
        for (size_t p = 0; p < pairs; p++, weights += NR * KR, wide += KR) {
            const __m256i low_weights = load_weights(weights), high_weights = load_weights(weights + NR);
            for (size_t r = 0; r < rows; r++) {
                const __m256i x = broadcast_pair(wide + r * pairs * KR);
                low[r] = _mm256_add_epi32(low[r], _mm256_madd_epi16(x, low_weights));
                high[r] = _mm256_add_epi32(high[r], _mm256_madd_epi16(x, high_weights));
            }
        }
        for (size_t r = 0; r < rows; r++) sums[r * 2] = low[r], sums[r * 2 + 1] = high[r];
        qb_finish_avx2(tile, column, sums);
    }
}

static void pack_tile(const qb_tile_s8 *tile)
{
    const size_t wide_depth = tile->taps * ((tile->depth + 1) / KR * KR);
    for (size_t r = 0; r < tile->rows; r++) widen_row(tile, r, (int16_t *)tile->workspace + r * wide_depth);
}

static void run_tile(const qb_tile_s8 *tile)
{
    switch (tile->rows) {
    case 1: multiply(tile, 1); break;
    case 2: multiply(tile, 2); break;
    case 3: multiply(tile, 3); break;
    case 4: multiply(tile, 4); break;
    case 5: multiply(tile, 5); break;
    default: multiply(tile, MR); break;
    }
}

const qb_gemm_s8 qb_gemm_s8_avx2 = {
    .name = "gemm_s8_avx2",
    .mr = MR,
    .nr = NR,
    .kr = KR,
    .expand = sizeof(int16_t),
    .pack = pack_tile,
    .tile = run_tile,
};
