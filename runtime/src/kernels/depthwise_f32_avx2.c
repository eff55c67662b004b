/* float32 depthwise convolution on AVX2 and FMA: eight channels at a time, a chain of fused multiply-adds
 * over the taps in order, so the bits are those of the reference. */
#include "depthwise.h"
#include "tail_avx2.h"

enum { BLOCK = QB_DEPTHWISE_BLOCK };

/* One block of one pixel, from channel `first` on; `valid` of its channels may be read and are written. */
static inline __attribute__((always_inline)) void run_block(const qb_depthwise_row_f32 *row,
                                                            const float *const *window, size_t p,
                                                            size_t block, size_t first, size_t valid)
{
    const float *weights = row->weights + block * BLOCK * row->taps;
    __m256 sum = _mm256_load_ps(row->bias + block * BLOCK);
    for (size_t t = 0; t < row->taps; t++, weights += BLOCK) {
        __m256 x = _mm256_setzero_ps();
        memcpy(&x, window[row->tap_offset[t]] + first, valid * sizeof(float));
        sum = _mm256_fmadd_ps(x, _mm256_load_ps(weights), sum);
    }
    sum = qb_clamp_avx2(sum, row->range);
    memcpy(row->out + p * row->channels + first, &sum, valid * sizeof(float));
}

static void run_row(const qb_depthwise_row_f32 *row)
{
    const size_t blocks = qb_depthwise_blocks(row->channels);
    for (size_t p = 0; p < row->pixels; p++) {
        const float *const *window = row->columns + p * row->pixel_step;
        if (row->channels < BLOCK) {
            run_block(row, window, p, 0, 0, row->channels);
            continue;
        }
        for (size_t block = 0; block < blocks; block++) {
            run_block(row, window, p, block, qb_depthwise_first(block, row->channels), BLOCK);
        }
    }
}

const qb_depthwise_f32 qb_depthwise_f32_avx2 = {.name = "depthwise_f32_avx2", .row = run_row};
