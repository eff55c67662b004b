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

#define VECTOR __m256
#define LOAD(from, lanes) _mm256_loadu_ps(from)
#define STORE(to, value, lanes) _mm256_storeu_ps(to, value)
#define FMADD _mm256_fmadd_ps
#define CLAMP qb_clamp_avx2
#include "depthwise_3x3_f32.h"

static void run_3x3(const qb_depthwise_row_f32 *row)
{
    for (size_t block = 0; block < qb_depthwise_blocks(row->channels); block++) {
        __m256 weights[TAPS_3X3];
        for (size_t t = 0; t < TAPS_3X3; t++) {
            weights[t] = _mm256_load_ps(row->weights + (block * TAPS_3X3 + t) * BLOCK);
        }
        const size_t first = qb_depthwise_first(block, row->channels);
        run_columns(row, weights, _mm256_load_ps(row->bias + block * BLOCK), first, 0xFF);
    }
}

static void run(const qb_depthwise_row_f32 *row)
{
    const bool by_columns = row->filter_3x3 && row->pixel_step <= 2 * FILTER && row->channels >= BLOCK;
    (by_columns ? run_3x3 : run_row)(row);
}

const qb_depthwise_f32 qb_depthwise_f32_avx2 = {.name = "depthwise_f32_avx2", .row = run};
