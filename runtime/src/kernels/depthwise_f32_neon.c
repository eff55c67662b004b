/* float32 depthwise convolution on NEON with fused multiply-add, aarch64 and armv7 (VFPv4): eight channels at
 * a time, a chain of fused multiply-adds over the taps in order, so the bits are those of the reference. */
#include "depthwise.h"
#include "tail_neon.h"

enum { BLOCK = QB_DEPTHWISE_BLOCK, TAPS_3X3 = 9 };

/* One block of one pixel, from channel `first` on; `valid` of its channels may be read and are written. */
static inline __attribute__((always_inline)) void run_block(const qb_depthwise_row_f32 *row,
                                                            const float *const *x, const size_t taps,
                                                            size_t p, size_t block, size_t first,
                                                            size_t valid)
{
    const float *weights = row->weights + block * BLOCK * taps;
    float32x4_t sums[2] = {vld1q_f32(row->bias + block * BLOCK), vld1q_f32(row->bias + block * BLOCK + 4)};
    for (size_t t = 0; t < taps; t++, weights += BLOCK) {
        float32x4_t values[2] = {vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)};
        memcpy(values, x[t] + first, valid * sizeof(float));
        sums[0] = vfmaq_f32(sums[0], values[0], vld1q_f32(weights));
        sums[1] = vfmaq_f32(sums[1], values[1], vld1q_f32(weights + 4));
    }
    sums[0] = qb_clamp_neon(sums[0], row->range);
    sums[1] = qb_clamp_neon(sums[1], row->range);
    memcpy(row->out + p * row->channels + first, sums, valid * sizeof(float));
}

#define ROW qb_depthwise_row_f32
#define INPUT float
#include "depthwise_pixels.h"

#define VECTOR float32x4_t
#define LOAD(from, lanes) vld1q_f32(from)
#define STORE(to, value, lanes) vst1q_f32(to, value)
#define FMADD(a, b, c) vfmaq_f32(c, a, b)
#define CLAMP qb_clamp_neon
#include "depthwise_3x3_f32.h"

/* A half of a block at a time, whose weights and window fit the registers. */
static void run_3x3(const qb_depthwise_row_f32 *given)
{
    const qb_depthwise_row_f32 row = *given; /* a copy: storing outputs changes nothing in it */
    for (size_t half = 0; half < 2 * qb_depthwise_blocks(row.channels); half++) {
        const size_t block = half / 2, lane = half % 2 * 4;
        float32x4_t weights[TAPS_3X3];
        for (size_t t = 0; t < TAPS_3X3; t++) {
            weights[t] = vld1q_f32(row.weights + (block * TAPS_3X3 + t) * BLOCK + lane);
        }
        const size_t first = qb_depthwise_first(block, row.channels) + lane;
        run_columns(&row, weights, vld1q_f32(row.bias + block * BLOCK + lane), first, 0xF);
    }
}

static void run(const qb_depthwise_row_f32 *row)
{
    const bool by_columns = row->filter_3x3 && row->pixel_step <= 2 * FILTER && row->channels >= BLOCK;
    (by_columns ? run_3x3 : run_row)(row);
}

const qb_depthwise_f32 qb_depthwise_f32_neon = {.name = "depthwise_f32_neon", .row = run};
