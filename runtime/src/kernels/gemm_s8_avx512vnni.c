/* int8 GEMM on AVX-512 VNNI: tiles of 14 × 32, exact for inputs and weights of [-128, 127].
 *
 * VPDPBUSD adds four products of an unsigned and a signed byte to an int32, so inputs are shifted by 128
 * (input_offset: the driver takes 128 · Σ w off the start of the sums). The tile's rows are copied so, all taps in a
 * line, into the workspace: [depth / 64][row][64], and serve every block of columns from there. Four
 * neighbouring bytes of a row are then broadcast and meet those of sixteen columns: 64 products in one instruction.
 */
#include "gemm_finish_avx512.h"

enum { MR = 14, NR = QB_FINISH_COLUMNS, KR = 4, CHUNK = 64 };

/* One row's taps, each padded to a multiple of KR with bytes that meet zero weights. */
static void copy_row(const qb_tile_s8 *tile, size_t row, uint8_t *to)
{
    const __m512i shift = _mm512_set1_epi8(INT8_MIN);
    size_t at = 0;
    for (size_t t = 0; t < tile->taps; t++) {
        const int8_t *from = tile->inputs[t * MR + row];
        for (size_t k = 0; k < tile->depth;) {
            const size_t left = tile->depth - k, room = CHUNK - at % CHUNK, n = left < room ? left : room;
            const __mmask64 some = ~UINT64_C(0) >> (CHUNK - n);
            const __m512i bytes = _mm512_xor_si512(_mm512_maskz_loadu_epi8(some, from + k), shift);
            _mm512_mask_storeu_epi8(to + at / CHUNK * MR * CHUNK + at % CHUNK, some, bytes);
            k += n;
            at += n;
        }
        at = qb_round_up(at, KR);
    }
}

/* One or two panels of columns. `rows` and `panels` are constants wherever this is inlined: the loops over rows unroll
 * and the sums stay in registers. */
static inline __attribute__((always_inline)) void multiply(const qb_tile_s8 *tile, size_t column, size_t groups,
                                                           const size_t rows, const size_t panels)
{
    const int8_t *weights = tile->weights + column * groups * KR;
    const size_t next_panel = panels == 2 ? groups * NR * KR : 0;
    const int32_t *start = tile->channels.start + column;
    const uint8_t *x = tile->workspace;
    __m512i low[MR], high[MR], sums[MR * 2];
#pragma unroll
    for (size_t r = 0; r < rows; r++) {
        const __m512i row_start = _mm512_set1_epi32(tile->row_start[r]);
        low[r] = _mm512_add_epi32(row_start, _mm512_load_si512(start));
        if (panels == 2) high[r] = _mm512_add_epi32(row_start, _mm512_load_si512(start + NR));
    }
    for (size_t group = 0; group < groups; x += MR * CHUNK) {
        const size_t end = groups - group < CHUNK / KR ? groups : group + CHUNK / KR;
        const uint8_t *values = x;
        for (; group < end; group++, values += KR, weights += NR * KR) {
            const __m512i low_weights = _mm512_load_si512(weights);
            const __m512i high_weights = _mm512_load_si512(weights + next_panel);
#pragma unroll
            for (size_t r = 0; r < rows; r++) {
                int32_t four;
                memcpy(&four, values + r * CHUNK, sizeof four);
                const __m512i value = _mm512_set1_epi32(four);
                low[r] = _mm512_dpbusd_epi32(low[r], value, low_weights);
                if (panels == 2) high[r] = _mm512_dpbusd_epi32(high[r], value, high_weights);
            }
        }
    }
#pragma unroll
    for (size_t r = 0; r < rows; r++) {
        sums[r * 2] = low[r];
        if (panels == 2) sums[r * 2 + 1] = high[r];
    }
    for (size_t p = 0; p < panels; p++) qb_finish_avx512(tile, column + p * NR, sums + p, 2);
}

static inline __attribute__((always_inline)) void multiply_rows(const qb_tile_s8 *tile, const size_t rows)
{
    const size_t groups = tile->taps * ((tile->depth + KR - 1) / KR);
    size_t column = tile->first_column;
    for (; column + NR < tile->end_column; column += 2 * NR) multiply(tile, column, groups, rows, 2);
    if (column < tile->end_column) multiply(tile, column, groups, rows, 1);
}

static void pack_tile(const qb_tile_s8 *tile)
{
    for (size_t r = 0; r < tile->rows; r++) copy_row(tile, r, (uint8_t *)tile->workspace + r * CHUNK);
}

static void run_tile(const qb_tile_s8 *tile)
{
    switch ((tile->rows + 1) / 2) { /* an odd tile computes a row too many and does not store it */
    case 1: multiply_rows(tile, 2); break;
    case 2: multiply_rows(tile, 4); break;
    case 3: multiply_rows(tile, 6); break;
    case 4: multiply_rows(tile, 8); break;
    case 5: multiply_rows(tile, 10); break;
    case 6: multiply_rows(tile, 12); break;
    default: multiply_rows(tile, MR); break;
    }
}

const qb_gemm_s8 qb_gemm_s8_avx512vnni = {
    .name = "gemm_s8_avx512vnni",
    .mr = MR,
    .nr = NR,
    .kr = KR,
    .expand = sizeof(uint8_t),
    .unit = CHUNK,
    .input_offset = 128,
    .full_range = true,
    .pack = pack_tile,
    .tile = run_tile,
};
