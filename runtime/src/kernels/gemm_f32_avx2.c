/* float32 GEMM on AVX2 and FMA: tiles of 6 × 16. Each sum is one chain of fused multiply-adds in the order of
 * the depth, so the bits are those of the reference. */
#include <immintrin.h>
#include <string.h>

#include "gemm.h"
#include "tail_avx2.h"

enum { MR = 6, NR = 16 };

/* The tail of `width` columns; sums is [rows][2]. */
static void finish(const qb_tile_f32 *tile, size_t column, size_t width, const __m256 *sums)
{
    float *out = tile->out + column;
    for (size_t r = 0; r < tile->rows; r++, sums += 2, out += tile->out_stride) {
        __m256 clamped[2];
        clamped[0] = qb_clamp_avx2(sums[0], tile->range);
        clamped[1] = qb_clamp_avx2(sums[1], tile->range);
        memcpy(out, clamped, width * sizeof *out);
    }
}

/* `rows` is a constant wherever this is inlined: the loops over it unroll and the sums stay in registers. */
static inline __attribute__((always_inline)) void multiply(const qb_tile_f32 *tile, const size_t rows)
{
    const float *weights = tile->weights + tile->first_column * tile->taps * tile->depth;
    const char *ahead = tile->ahead;
    for (size_t column = tile->first_column; column < tile->end_column; column += NR) {
        const float *start = tile->bias + column;
        __m256 low[MR], high[MR], sums[MR * 2];
        for (size_t r = 0; r < rows; r++) low[r] = _mm256_load_ps(start), high[r] = _mm256_load_ps(start + 8);
        for (size_t t = 0; t < tile->taps; t++) {
            const float *const *x = tile->inputs + t * MR;
            for (size_t k = 0; k < tile->depth; k++, weights += NR, ahead += tile->ahead_step) {
                _mm_prefetch(ahead, _MM_HINT_T0);
                const __m256 low_weights = _mm256_load_ps(weights),
                             high_weights = _mm256_load_ps(weights + 8);
                for (size_t r = 0; r < rows; r++) {
                    const __m256 value = _mm256_broadcast_ss(x[r] + k);
                    low[r] = _mm256_fmadd_ps(value, low_weights, low[r]);
                    high[r] = _mm256_fmadd_ps(value, high_weights, high[r]);
                }
            }
        }
        for (size_t r = 0; r < rows; r++) sums[r * 2] = low[r], sums[r * 2 + 1] = high[r];
        const size_t left = tile->end_column - column;
        finish(tile, column, left < NR ? left : NR, sums);
    }
}

static void run_tile(const qb_tile_f32 *tile)
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

const qb_gemm_f32 qb_gemm_f32_avx2 = {.name = "gemm_f32_avx2", .mr = MR, .nr = NR, .tile = run_tile};
