/* float32 depthwise convolution on AVX2 and FMA: eight channels at a time, a chain of fused multiply-adds
 * over the taps in order, so the bits are those of the reference. */
#include "depthwise.h"
#include "tail_avx2.h"

enum { BLOCK = QB_DEPTHWISE_BLOCK, TAPS_3X3 = 9 };

/* One block of one pixel, from channel `first` on; `valid` of its channels may be read and are written. */
static inline __attribute__((always_inline)) void run_block(const qb_depthwise_row_f32 *row,
                                                            const float *const *x, const size_t taps,
                                                            size_t p, size_t block, size_t first,
                                                            size_t valid)
{
    const float *weights = row->weights + block * BLOCK * taps;
    __m256 sum = _mm256_load_ps(row->bias + block * BLOCK);
    for (size_t t = 0; t < taps; t++, weights += BLOCK) {
        __m256 values = _mm256_setzero_ps();
        memcpy(&values, x[t] + first, valid * sizeof(float));
        sum = _mm256_fmadd_ps(values, _mm256_load_ps(weights), sum);
    }
    sum = qb_clamp_avx2(sum, row->range);
    memcpy(row->out + p * row->channels + first, &sum, valid * sizeof(float));
}

#define ROW qb_depthwise_row_f32
#define INPUT float
#include "depthwise_pixels.h"

const qb_depthwise_f32 qb_depthwise_f32_avx2 = {.name = "depthwise_f32_avx2", .row = run_row};
