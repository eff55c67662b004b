/* int8 GEMM on AVX2: tiles of 6 × 16, exact for inputs and weights of [-128, 127].
 *
 * The tile's input rows are widened to int16 once, into the workspace, and serve every block of columns. Two
 * neighbouring values of a row are then broadcast as one 32-bit lane, and VPMADDWD multiplies them with the
 * two matching weights of eight columns (kr = 2) and adds the pair: 16 products in one instruction, exact in
 * int32.
 */
#include "gemm.h"
#include "tail_avx2.h"

enum { MR = 6, NR = 16, KR = 2 };

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

static void finish_s8(const qb_tile_s8 *tile, size_t column, size_t width, const __m256i *sums)
{
    int8_t *out = (int8_t *)tile->out + column;
    for (size_t r = 0; r < tile->rows; r++, sums += 2, out += tile->out_stride) {
        const __m128i bytes = qb_requantize_avx2(sums[0], sums[1], &tile->channels.requant, column);
        if (width == NR) {
            _mm_storeu_si128((__m128i *)out, bytes);
        } else {
            memcpy(out, &bytes, width);
        }
    }
}

static void finish_f32(const qb_tile_s8 *tile, size_t column, size_t width, const __m256i *sums)
{
    const qb_dequant *d = &tile->channels.dequant;
    float *out = (float *)tile->out + column;
    for (size_t r = 0; r < tile->rows; r++, sums += 2, out += tile->out_stride) {
        __m256 real[2];
        real[0] = qb_dequantize_avx2(sums[0], d, tile->quant[r], column);
        real[1] = qb_dequantize_avx2(sums[1], d, tile->quant[r], column + 8);
        memcpy(out, real, width * sizeof *out);
    }
}

static void finish_s32(const qb_tile_s8 *tile, size_t column, size_t width, const __m256i *sums)
{
    int32_t *out = (int32_t *)tile->out + column;
    for (size_t r = 0; r < tile->rows; r++, sums += 2, out += tile->out_stride) {
        memcpy(out, sums, width * sizeof *out);
    }
}

/* The tail of `width` columns; sums is [rows][2]. */
static void finish(const qb_tile_s8 *tile, size_t column, size_t width, const __m256i *sums)
{
    switch (tile->tail) {
    case QB_TAIL_S8: finish_s8(tile, column, width, sums); break;
    case QB_TAIL_F32: finish_f32(tile, column, width, sums); break;
    case QB_TAIL_S32: finish_s32(tile, column, width, sums); break;
    }
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
        const size_t left = tile->end_column - column;
        finish(tile, column, left < NR ? left : NR, sums);
    }
}

static void run_tile(const qb_tile_s8 *tile)
{
    const size_t wide_depth = tile->taps * ((tile->depth + 1) / KR * KR);
    for (size_t r = 0; r < tile->rows; r++) widen_row(tile, r, (int16_t *)tile->workspace + r * wide_depth);
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
    .tile = run_tile,
};
