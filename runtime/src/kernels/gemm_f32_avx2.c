/* float32 GEMM on AVX2 and FMA: tiles of 6 × 16. Each sum is one chain of fused multiply-adds in the order of the
 * depth, so the bits are those of the reference. */
#include <immintrin.h>
#include <string.h>

#include "gemm.h"
#include "tail_avx2.h"

enum { MR = 6, NR = 16 };

static inline void store(float *out, size_t width, __m256 low, __m256 high)
{
    if (width == NR) {
        _mm256_storeu_ps(out, low);
        _mm256_storeu_ps(out + 8, high);
    } else {
        float values[NR];
        _mm256_storeu_ps(values, low);
        _mm256_storeu_ps(values + 8, high);
        memcpy(out, values, width * sizeof *values);
    }
}

/* `rows` is a constant wherever this is inlined, so the sums stay in registers. */
static inline __attribute__((always_inline)) void multiply(const qb_tile_f32 *tile, const size_t rows)
{
    const float *weights = tile->weights + tile->first_column * tile->taps * tile->depth;
    for (size_t column = tile->first_column; column < tile->end_column; column += NR) {
        __m256 sums[MR][2];
        for (size_t r = 0; r < rows; r++) {
            sums[r][0] = _mm256_loadu_ps(tile->bias + column);
            sums[r][1] = _mm256_loadu_ps(tile->bias + column + 8);
        }
        for (size_t t = 0; t < tile->taps; t++) {
            const float *x[MR];
            for (size_t r = 0; r < rows; r++) x[r] = tile->inputs[t * MR + r];
            for (size_t k = 0; k < tile->depth; k++, weights += NR) {
                const __m256 low = _mm256_load_ps(weights), high = _mm256_load_ps(weights + 8);
                for (size_t r = 0; r < rows; r++) {
                    const __m256 value = _mm256_broadcast_ss(x[r] + k);
                    sums[r][0] = _mm256_fmadd_ps(value, low, sums[r][0]);
                    sums[r][1] = _mm256_fmadd_ps(value, high, sums[r][1]);
                }
            }
        }
        const size_t left = tile->end_column - column, width = left < NR ? left : NR;
        for (size_t r = 0; r < rows; r++) {
            float *out = tile->out + r * tile->out_stride + column;
            store(out, width, qb_clamp_avx2(sums[r][0], tile->range), qb_clamp_avx2(sums[r][1], tile->range));
        }
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
