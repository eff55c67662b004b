/* int8 GEMM on AVX-512 VNNI: tiles of 14 × 32, exact for inputs and weights of [-128, 127].
 *
 * VPDPBUSD adds four products of an unsigned and a signed byte to an int32, so inputs are shifted by 128
 * (input_offset: the driver takes 128 · Σ w off the start of the sums). The tile's rows are copied so, all taps in a
 * line, into the workspace: [depth / 64][row][64], and serve every block of columns from there. Four
 * neighbouring bytes of a row are then broadcast and meet those of sixteen columns: 64 products in one instruction.
 */
#include "gemm_finish_avx512.h"

enum { MR = 14, NR = QB_FINISH_PANEL, KR = 4, CHUNK = 64 };

/* One row's taps, each padded to a multiple of KR with bytes that meet zero weights. What is stored behind a tap the
 * next one's bytes replace, or the next row's. */
static inline void copy_row(const qb_tile_s8 *tile, size_t row, uint8_t *to)
{
    const __m512i shift = _mm512_set1_epi8(INT8_MIN);
    const size_t whole = tile->depth / CHUNK * CHUNK, rest = qb_round_up(tile->depth - whole, KR);
    const __mmask64 some = (UINT64_C(1) << (tile->depth - whole)) - 1;
    for (size_t t = 0; t < tile->taps; t++) {
        const int8_t *from = tile->inputs[t * MR + row];
        for (size_t k = 0; k < whole; k += CHUNK, to += CHUNK) {
            _mm512_storeu_si512(to, _mm512_xor_si512(_mm512_loadu_si512(from + k), shift));
        }
        if (rest == 0) continue;
        _mm512_storeu_si512(to, _mm512_xor_si512(_mm512_maskz_loadu_epi8(some, from + whole), shift));
        to += rest;
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
    const uint8_t *x[MR];
    memcpy(x, tile->workspace, sizeof x);
    __m512i low[MR], high[MR], sums[MR * 2];
    const __m512i low_start = _mm512_load_si512(start);
    const __m512i high_start = panels == 2 ? _mm512_load_si512(start + NR) : low_start;
#pragma unroll
    for (size_t r = 0; r < rows; r++) {
        low[r] = low_start;
        high[r] = high_start;
    }
    if (tile->rows_start) {
#pragma unroll
        for (size_t r = 0; r < rows; r++) {
            const __m512i row_start = _mm512_set1_epi32(tile->row_start[r]);
            low[r] = _mm512_add_epi32(row_start, low[r]);
            if (panels == 2) high[r] = _mm512_add_epi32(row_start, high[r]);
        }
    }
    const int8_t *ahead = tile->ahead;
    const size_t tap = tile->tap_step > 0 ? groups / tile->taps : groups; /* packed taps follow each other */
    for (size_t done = 0, at = 0; done < groups; done += tap, at += tile->tap_step) {
        for (size_t group = 0; group < tap;) {
            const size_t end = tap - group < CHUNK / KR ? tap : group + CHUNK / KR;
            for (size_t i = 0; i < tile->ahead_lines; i++, ahead += CHUNK) _mm_prefetch(ahead, _MM_HINT_T1);
            for (; group < end; group++, weights += NR * KR) {
                const __m512i low_weights = _mm512_load_si512(weights);
                const __m512i high_weights = _mm512_load_si512(weights + next_panel);
#pragma unroll
                for (size_t r = 0; r < rows; r++) {
                    int32_t four;
                    memcpy(&four, x[r] + at + group * KR, sizeof four);
                    const __m512i value = _mm512_set1_epi32(four);
                    low[r] = _mm512_dpbusd_epi32(low[r], value, low_weights);
                    if (panels == 2) high[r] = _mm512_dpbusd_epi32(high[r], value, high_weights);
                }
            }
        }
    }
#pragma unroll
    for (size_t r = 0; r < rows; r++) {
        sums[r * 2] = low[r];
        if (panels == 2) sums[r * 2 + 1] = high[r];
    }
    qb_finish_avx512(tile, column, sums);
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
    uint8_t **rows = qb_gemm_place_rows(tile, MR, KR, CHUNK);
    for (size_t r = 0; r < tile->rows; r++) copy_row(tile, r, rows[r]);
}

/* Asks for the lines where the next tile's outputs go, once for each line: those of large images are not in the cache, and
 * stores that wait for memory hold up what follows. */
static inline void fetch_outputs(const qb_tile_s8 *tile)
{
    const size_t size = tile->tail == QB_TAIL_S8 ? sizeof(int8_t) : sizeof(float), row = tile->out_stride * size;
    if (tile->first_column * size % CHUNK != 0) return;
    const char *next = (const char *)tile->out + MR * row + tile->first_column * size;
#pragma unroll
    for (size_t r = 0; r < MR; r++, next += row) __builtin_prefetch(next, 1, 3);
}

static void run_tile(const qb_tile_s8 *tile)
{
    if (tile->taps > 1) fetch_outputs(tile);
    /* rows too many are computed and not stored */
    if (tile->rows <= 2) multiply_rows(tile, 2);
    else if (tile->rows <= 8) multiply_rows(tile, 8);
    else if (tile->rows <= 10) multiply_rows(tile, 10);
    else multiply_rows(tile, MR);
}

const qb_gemm_s8 qb_gemm_s8_avx512vnni = {
    .name = "gemm_s8_avx512vnni",
    .mr = MR,
    .nr = NR,
    .kr = KR,
    .expand = sizeof(uint8_t),
    .unit = CHUNK,
    .block = QB_FINISH_COLUMNS,
    .reads_images = true,
    .input_offset = 128,
    .full_range = true,
    .pack = pack_tile,
    .tile = run_tile,
};
