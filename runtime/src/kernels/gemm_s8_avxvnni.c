/* int8 GEMM on AVX-VNNI: tiles of 6 × 16, exact for inputs and weights of [-128, 127].
 *
 * VPDPBUSD adds four products of an unsigned and a signed byte to an int32, so the tile's input rows are shifted by
 * 128 (input_offset: the driver takes 128 · Σ w off the start of the sums) on their way into the workspace, all taps
 * in a line. Four neighbouring bytes of a row are then broadcast and meet those of eight columns: 32 products in one
 * instruction.
 */
#include "gemm_finish_avx2.h"

enum { MR = 6, NR = QB_FINISH_COLUMNS, KR = 4, SHIFT = 128, BYTES = 16 };

/* One row's taps, each padded to a multiple of KR with bytes that meet zero weights. */
static void copy_row(const qb_tile_s8 *tile, size_t row, uint8_t *to)
{
    const __m128i shift = _mm_set1_epi8(INT8_MIN);
    for (size_t t = 0; t < tile->taps; t++) {
        const int8_t *from = tile->inputs[t * MR + row];
        size_t k = 0;
        for (; k + BYTES <= tile->depth; k += BYTES) {
            const __m128i bytes = _mm_loadu_si128((const __m128i *)(from + k));
            _mm_storeu_si128((__m128i *)(to + k), _mm_xor_si128(bytes, shift));
        }
        for (; k < tile->depth; k++) to[k] = (uint8_t)(from[k] + SHIFT);
        for (; k % KR != 0; k++) to[k] = 0;
        to += k;
    }
}

/* `rows` is a constant wherever this is inlined: the loops over it unroll and the sums stay in registers. */
static inline __attribute__((always_inline)) void multiply(const qb_tile_s8 *tile, size_t line, const size_t rows)
{
    const int8_t *weights = tile->weights + tile->first_column * line;
    for (size_t column = tile->first_column; column < tile->end_column; column += NR) {
        const __m256i *start = (const __m256i *)(tile->channels.start + column);
        const uint8_t *x = tile->workspace;
        __m256i acc[MR * 2], sums[MR * 2];
        for (size_t r = 0; r < rows; r++) {
            const __m256i row_start = _mm256_set1_epi32(tile->row_start[r]);
            acc[r * 2] = _mm256_add_epi32(row_start, _mm256_load_si256(start));
            acc[r * 2 + 1] = _mm256_add_epi32(row_start, _mm256_load_si256(start + 1));
        }
        for (size_t k = 0; k < line; k += KR, weights += NR * KR) {
            const __m256i low = _mm256_load_si256((const __m256i *)weights);
            const __m256i high = _mm256_load_si256((const __m256i *)weights + 1);
            for (size_t r = 0; r < rows; r++) {
                int32_t four;
                memcpy(&four, x + r * line + k, sizeof four);
                const __m256i value = _mm256_set1_epi32(four);
                acc[r * 2] = _mm256_dpbusd_avx_epi32(acc[r * 2], value, low);
                acc[r * 2 + 1] = _mm256_dpbusd_avx_epi32(acc[r * 2 + 1], value, high);
            }
        }
        for (size_t i = 0; i < rows * 2; i++) sums[i] = acc[i]; /* their address is taken: acc stays in registers */
        qb_finish_avx2(tile, column, sums);
    }
}

static void pack_tile(const qb_tile_s8 *tile)
{
    const size_t line = tile->taps * qb_round_up(tile->depth, KR);
    for (size_t r = 0; r < tile->rows; r++) copy_row(tile, r, (uint8_t *)tile->workspace + r * line);
}

static void run_tile(const qb_tile_s8 *tile)
{
    const size_t line = tile->taps * qb_round_up(tile->depth, KR);
    switch (tile->rows) {
    case 1: multiply(tile, line, 1); break;
    case 2: multiply(tile, line, 2); break;
    case 3: multiply(tile, line, 3); break;
    case 4: multiply(tile, line, 4); break;
    case 5: multiply(tile, line, 5); break;
    default: multiply(tile, line, MR); break;
    }
}

const qb_gemm_s8 qb_gemm_s8_avxvnni = {
    .name = "gemm_s8_avxvnni",
    .mr = MR,
    .nr = NR,
    .kr = KR,
    .expand = sizeof(uint8_t),
    .input_offset = SHIFT,
    .full_range = true,
    .pack = pack_tile,
    .tile = run_tile,
};
