/* int8 GEMM on AVX2: tiles of 6 × 16, exact for inputs and weights of [-128, 127].
 *
 * The tile's input rows are widened to int16 once, into the workspace, and serve every block of columns. Two
 * neighbouring values of a row are then broadcast as one 32-bit lane, and VPMADDWD multiplies them with the two
 * matching weights of eight columns (kr = 2) and adds the pair: 16 products in one instruction, exact in int32.
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

static inline void store_s8(const qb_tile_s8 *tile, size_t rows, size_t column, size_t width, __m256i sums[][2])
{
    for (size_t r = 0; r < rows; r++) {
        const __m128i bytes = qb_requantize_avx2(sums[r][0], sums[r][1], &tile->channels.requant, column);
        int8_t *out = (int8_t *)tile->out + r * tile->out_stride + column;
        if (width == NR) {
            _mm_storeu_si128((__m128i *)out, bytes);
        } else {
            int8_t values[NR];
            _mm_storeu_si128((__m128i *)values, bytes);
            memcpy(out, values, width);
        }
    }
}

/* Two vectors of 32-bit values, of which `width` count. */
static inline void store_words(void *out, size_t width, __m256i low, __m256i high)
{
    if (width == NR) {
        _mm256_storeu_si256((__m256i *)out, low);
        _mm256_storeu_si256((__m256i *)out + 1, high);
    } else {
        int32_t values[NR];
        _mm256_storeu_si256((__m256i *)values, low);
        _mm256_storeu_si256((__m256i *)values + 1, high);
        memcpy(out, values, width * sizeof *values);
    }
}

static inline void store_f32(const qb_tile_s8 *tile, size_t rows, size_t column, size_t width, __m256i sums[][2])
{
    const qb_dequant *d = &tile->channels.dequant;
    for (size_t r = 0; r < rows; r++) {
        const __m256 low = qb_dequantize_avx2(sums[r][0], d, tile->quant[r], column);
        const __m256 high = qb_dequantize_avx2(sums[r][1], d, tile->quant[r], column + 8);
        float *out = (float *)tile->out + r * tile->out_stride + column;
        store_words(out, width, _mm256_castps_si256(low), _mm256_castps_si256(high));
    }
}

static inline void store_s32(const qb_tile_s8 *tile, size_t rows, size_t column, size_t width, __m256i sums[][2])
{
    for (size_t r = 0; r < rows; r++) {
        int32_t *out = (int32_t *)tile->out + r * tile->out_stride + column;
        store_words(out, width, sums[r][0], sums[r][1]);
    }
}

/* `rows` is a constant wherever this is inlined, so the sums stay in registers. */
static inline __attribute__((always_inline)) void multiply(const qb_tile_s8 *tile, const size_t rows)
{
    const size_t pairs = tile->taps * ((tile->depth + 1) / KR);
    const int16_t *wide = tile->workspace;
    const int8_t *weights = tile->weights + tile->first_column * pairs * KR;
    for (size_t column = tile->first_column; column < tile->end_column; column += NR) {
        const int32_t *start = tile->channels.start + column;
        __m256i sums[MR][2];
        for (size_t r = 0; r < rows; r++) {
            sums[r][0] = _mm256_loadu_si256((const __m256i *)start);
            sums[r][1] = _mm256_loadu_si256((const __m256i *)start + 1);
        }
        for (size_t p = 0; p < pairs; p++, weights += NR * KR) {
            const __m256i low = load_weights(weights), high = load_weights(weights + NR);
            for (size_t r = 0; r < rows; r++) {
                const __m256i x = broadcast_pair(wide + (r * pairs + p) * KR);
                sums[r][0] = _mm256_add_epi32(sums[r][0], _mm256_madd_epi16(x, low));
                sums[r][1] = _mm256_add_epi32(sums[r][1], _mm256_madd_epi16(x, high));
            }
        }
        const size_t left = tile->end_column - column, width = left < NR ? left : NR;
        switch (tile->tail) {
        case QB_TAIL_S8: store_s8(tile, rows, column, width, sums); break;
        case QB_TAIL_F32: store_f32(tile, rows, column, width, sums); break;
        case QB_TAIL_S32: store_s32(tile, rows, column, width, sums); break;
        }
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
    .name = "gemm_s8_avx2", .mr = MR, .nr = NR, .kr = KR, .expand = sizeof(int16_t), .tile = run_tile,
};
