/* float32 GEMM on AVX2 and FMA: tiles of 6 × 16, and of 3 × 24 where so many columns are left. Each sum is one chain of
 * fused multiply-adds in the order of the depth, so the bits are those of the reference. */
#include <immintrin.h>
#include <string.h>

#include "gemm.h"
#include "tail_avx2.h"

enum { MR = 6, NR = 16, VECTOR = 8, MOST = 3 }; /* columns of a register; registers of a row at most */

/* `rows` rows of fewer columns than the sums have. `from` is as the rows are, but `step` values apart. */
static __attribute__((noinline)) void copy_rows(const qb_tile_f32 *tile, size_t column, float *out, size_t rows,
                                                const float *from, size_t step)
{
    for (size_t r = 0; r < rows; r++, out += tile->out_stride, from += step) {
        memcpy(out, from, (tile->end_column - column) * sizeof *out);
    }
}

/* A tile from row `first` and `column` on. `rows` and `vectors` are constants wherever this is inlined: the loops over
 * them unroll and the sums stay in registers. */
static inline __attribute__((always_inline)) void multiply(const qb_tile_f32 *tile, size_t first, size_t column,
                                                           const size_t rows, const size_t vectors)
{
    const size_t panel = tile->taps * tile->depth * NR;
    const float *weights = tile->weights + column / NR * panel;
    const char *ahead = qb_ahead(tile, column, NR);
    __m256 sums[MR][MOST];
#pragma unroll
    for (size_t r = 0; r < rows; r++) {
#pragma unroll
        for (size_t v = 0; v < vectors; v++) sums[r][v] = _mm256_load_ps(tile->bias + column + v * VECTOR);
    }
    for (size_t t = 0; t < tile->taps; t++) {
        const float *const *x = tile->inputs + t * MR + first;
        for (size_t k = 0; k < tile->depth; k++, weights += NR, ahead += tile->ahead_step) {
            _mm_prefetch(ahead, _MM_HINT_T0);
            __m256 w[MOST];
#pragma unroll
            for (size_t v = 0; v < vectors; v++) w[v] = _mm256_load_ps(weights + v / 2 * panel + v % 2 * VECTOR);
#pragma unroll
            for (size_t r = 0; r < rows; r++) {
                const __m256 value = _mm256_broadcast_ss(x[r] + k);
#pragma unroll
                for (size_t v = 0; v < vectors; v++) sums[r][v] = _mm256_fmadd_ps(value, w[v], sums[r][v]);
            }
        }
    }
    _Alignas(32) float buffer[MR * NR];
    const size_t left = tile->rows - first, stored = left < rows ? left : rows;
    const bool whole = tile->end_column - column >= vectors * VECTOR;
    const size_t step = whole ? tile->out_stride : vectors * VECTOR;
    float *out = tile->out + first * tile->out_stride + column, *to = whole ? out : buffer;
    const qb_range_f32 range = tile->range;
#pragma unroll
    for (size_t r = 0; r < rows; r++, to += step) {
#pragma unroll
        for (size_t v = 0; v < vectors; v++) {
            if (r < stored) _mm256_storeu_ps(to + v * VECTOR, qb_clamp_avx2(sums[r][v], range));
        }
    }
    if (!whole) copy_rows(tile, column, out, stored, buffer, step);
}

static void run_tile(const qb_tile_f32 *tile)
{
    for (size_t column = tile->first_column; column < tile->end_column; column += NR) {
        const size_t left = tile->end_column - column;
        if (left > NR && left <= MOST * VECTOR) {
            for (size_t first = 0; first < tile->rows; first += MR / 2) multiply(tile, first, column, MR / 2, MOST);
            return;
        }
        switch (tile->rows) {
        case 5: multiply(tile, 0, column, 5, 2); break;
        case MR: multiply(tile, 0, column, MR, 2); break;
        default: multiply(tile, 0, column, 4, 2); break;
        }
    }
}

const qb_gemm_f32 qb_gemm_f32_avx2 = {.name = "gemm_f32_avx2", .mr = MR, .nr = NR, .tile = run_tile};
