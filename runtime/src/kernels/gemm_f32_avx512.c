/* float32 GEMM on AVX-512: tiles of 6 × 64, four panels of 16 columns at a time. Each sum is one chain of fused
 * multiply-adds in the order of the depth, so the bits are those of the reference. */
#include "gemm.h"
#include "tail_avx512.h"

enum { MR = 6, NR = 16, PANELS = 4 };

/* `rows` and `panels` are constants wherever this is inlined: the loops over them unroll and the sums stay in
 * registers. */
static inline __attribute__((always_inline)) void multiply(const qb_tile_f32 *tile, size_t column, const size_t rows,
                                                           const size_t panels)
{
    const size_t line = tile->taps * tile->depth, panel = line * NR;
    const float *weights = tile->weights + column * line;
    const char *ahead = qb_ahead(tile, column, PANELS * NR);
    __m512 sums[MR][PANELS];
#pragma unroll
    for (size_t r = 0; r < rows; r++) {
#pragma unroll
        for (size_t p = 0; p < panels; p++) sums[r][p] = _mm512_load_ps(tile->bias + column + p * NR);
    }
    for (size_t t = 0; t < tile->taps; t++) {
        const float *const *x = tile->inputs + t * MR;
        for (size_t k = 0; k < tile->depth; k++, weights += NR, ahead += tile->ahead_step) {
            if (panels == PANELS) _mm_prefetch(ahead, _MM_HINT_T0);
            __m512 w[PANELS];
#pragma unroll
            for (size_t p = 0; p < panels; p++) w[p] = _mm512_load_ps(weights + p * panel);
#pragma unroll
            for (size_t r = 0; r < rows; r++) {
                const __m512 value = _mm512_set1_ps(x[r][k]);
#pragma unroll
                for (size_t p = 0; p < panels; p++) sums[r][p] = _mm512_fmadd_ps(value, w[p], sums[r][p]);
            }
        }
    }
    const size_t left = tile->end_column - column, before = (panels - 1) * NR, stride = tile->out_stride;
    const __mmask16 last = qb_lanes_avx512(left - before < NR ? left - before : NR);
    const qb_range_f32 range = tile->range;
    float *out = tile->out + column;
#pragma unroll
    for (size_t r = 0; r < rows; r++, out += stride) {
        if (r >= tile->rows) break;
#pragma unroll
        for (size_t p = 0; p + 1 < panels; p++) _mm512_storeu_ps(out + p * NR, qb_clamp_avx512(sums[r][p], range));
        _mm512_mask_storeu_ps(out + before, last, qb_clamp_avx512(sums[r][panels - 1], range));
    }
}

static inline __attribute__((always_inline)) void multiply_rows(const qb_tile_f32 *tile, const size_t rows)
{
    for (size_t column = tile->first_column; column < tile->end_column; column += PANELS * NR) {
        switch ((tile->end_column - column + NR - 1) / NR) {
        case 1: multiply(tile, column, rows, 1); break;
        case 2: multiply(tile, column, rows, 2); break;
        case 3: multiply(tile, column, rows, 3); break;
        default: multiply(tile, column, rows, PANELS); break;
        }
    }
}

/* Brings what the next tile writes into the cache, which stores would wait for one by one. */
static void fetch_outputs(const qb_tile_f32 *tile)
{
    const float *row = tile->out + MR * tile->out_stride;
    if (tile->rows < MR) return; /* it is the last, or few are left */
    for (size_t r = 0; r < MR; r++, row += tile->out_stride) {
        for (size_t column = tile->first_column; column < tile->end_column; column += NR) __builtin_prefetch(row + column);
    }
}

static void run_tile(const qb_tile_f32 *tile)
{
    fetch_outputs(tile);
    switch (tile->rows) {
    case 1: multiply_rows(tile, 1); break;
    case 2:
    case 3:
    case 4: multiply_rows(tile, 4); break; /* rows too many are computed and not stored */
    case 5: multiply_rows(tile, 5); break;
    default: multiply_rows(tile, MR); break;
    }
}

const qb_gemm_f32 qb_gemm_f32_avx512 = {
    .name = "gemm_f32_avx512",
    .mr = MR,
    .nr = NR,
    .least_block = PANELS * NR,
    .tile = run_tile,
};
