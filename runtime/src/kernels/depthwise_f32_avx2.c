/* float32 depthwise convolution on AVX2 and FMA: eight channels at a time, a chain of fused multiply-adds
 * over the taps in order, so the bits are those of the reference. */
#include "depthwise.h"
#include "tail_avx2.h"

enum { FILTER = 3, TAPS_3X3 = FILTER * FILTER, BLOCK = QB_DEPTHWISE_BLOCK, WINDOWS = 4 };

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

/* One block of `windows` 3×3 windows from pixel p on: a value of the input is loaded once for all of them that it lies in.
 * `windows` and `stride` are constants wherever this is inlined. */
static inline __attribute__((always_inline)) void run_windows(const qb_depthwise_row_f32 *row, size_t p, size_t block,
                                                              const size_t windows, const size_t stride)
{
    const size_t channels = row->channels, first = qb_depthwise_first(block, channels);
    const float *const *x = row->columns + p * stride * FILTER;
    const float *weights = row->weights + block * TAPS_3X3 * BLOCK;
    const qb_range_f32 range = row->range;
    float *out = row->out + p * channels + first;
    __m256 sums[WINDOWS], values[2 * WINDOWS + 1];
    for (size_t i = 0; i < windows; i++) sums[i] = _mm256_load_ps(row->bias + block * BLOCK);
#pragma unroll
    for (size_t y = 0; y < FILTER; y++) {
#pragma unroll
        for (size_t i = 0; i < (windows - 1) * stride + FILTER; i++) values[i] = _mm256_loadu_ps(x[i * FILTER + y] + first);
#pragma unroll
        for (size_t t = 0; t < FILTER; t++, weights += BLOCK) {
            const __m256 weight = _mm256_load_ps(weights);
#pragma unroll
            for (size_t i = 0; i < windows; i++) sums[i] = _mm256_fmadd_ps(values[i * stride + t], weight, sums[i]);
        }
    }
    for (size_t i = 0; i < windows; i++, out += channels) _mm256_storeu_ps(out, qb_clamp_avx2(sums[i], range));
}

/* All channels of some windows before the next ones, so that pixels are read in the order of memory. The last windows
 * overlap those before, so that there are always as many. */
static void run_3x3(const qb_depthwise_row_f32 *row)
{
    const size_t blocks = qb_depthwise_blocks(row->channels), pixels = row->pixels;
    const size_t windows = pixels < WINDOWS ? 1 : WINDOWS, stride = row->pixel_step / FILTER, last = pixels - windows;
    for (size_t p = 0; p < pixels; p += windows) {
        const size_t from = p < last ? p : last;
        for (size_t block = 0; block < blocks; block++) {
            if (windows == 1) run_windows(row, from, block, 1, stride);
            else if (stride == 1) run_windows(row, from, block, WINDOWS, 1);
            else run_windows(row, from, block, WINDOWS, 2);
        }
    }
}

static void run(const qb_depthwise_row_f32 *row)
{
    const bool by_windows = row->filter_3x3 && row->pixel_step <= 2 * FILTER && row->channels >= BLOCK;
    (by_windows ? run_3x3 : run_row)(row);
}

const qb_depthwise_f32 qb_depthwise_f32_avx2 = {.name = "depthwise_f32_avx2", .row = run};
