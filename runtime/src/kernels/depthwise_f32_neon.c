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

enum { FILTER = 3 };

typedef struct column {
    float32x4_t row[FILTER];
} column;

/* What a row of 3×3 windows needs for four channels. */
typedef struct windows {
    float32x4_t weights[TAPS_3X3], bias, min, max;
    column columns[FILTER]; /* that the window covers, in turn: the next one takes the place of the first */
    const float *const *next; /* pointers at the first that is not loaded yet */
    size_t channel;           /* the first */
    float *out;
    size_t out_stride;
} windows;

QB_NEON_INLINE column load_column(windows *w)
{
    const float *const *rows = w->next;
    w->next += FILTER;
    return (column){{vld1q_f32(rows[0] + w->channel), vld1q_f32(rows[1] + w->channel), vld1q_f32(rows[2] + w->channel)}};
}

/* One pixel; `first`, the place of its window's first column, and the stride are constants wherever this is inlined. */
QB_NEON_INLINE void run_window(windows *w, const size_t first, const size_t stride)
{
    QB_UNROLL
    for (size_t i = FILTER - stride; i < FILTER; i++) w->columns[(first + i) % FILTER] = load_column(w);
    float32x4_t sum = w->bias;
    QB_UNROLL
    for (size_t t = 0; t < TAPS_3X3; t++) {
        sum = vfmaq_f32(sum, w->columns[(first + t % FILTER) % FILTER].row[t / FILTER], w->weights[t]);
    }
    vst1q_f32(w->out, vminq_f32(vmaxq_f32(sum, w->min), w->max));
    w->out += w->out_stride;
}

/* A row of windows, three at a time: after these the columns are where they were. */
QB_NEON_INLINE void run_windows(windows w, const size_t pixels, const size_t stride)
{
    QB_UNROLL
    for (size_t i = 0; i < FILTER - stride; i++) w.columns[i] = load_column(&w);
    size_t left = pixels;
    for (; left >= FILTER; left -= FILTER) {
        run_window(&w, 0, stride);
        run_window(&w, stride % FILTER, stride);
        run_window(&w, 2 * stride % FILTER, stride);
    }
    if (left > 0) run_window(&w, 0, stride);
    if (left > 1) run_window(&w, stride % FILTER, stride);
}

/* A half of a block at a time, whose weights and window fit the registers. */
static void run_3x3(const qb_depthwise_row_f32 *row)
{
    for (size_t half = 0; half < 2 * qb_depthwise_blocks(row->channels); half++) {
        const size_t block = half / 2, lane = half % 2 * 4, channel = qb_depthwise_first(block, row->channels) + lane;
        windows w = {.bias = vld1q_f32(row->bias + block * BLOCK + lane),
                     .min = vdupq_n_f32(row->range.min),
                     .max = vdupq_n_f32(row->range.max),
                     .next = row->columns,
                     .channel = channel,
                     .out = row->out + channel,
                     .out_stride = row->channels};
        QB_UNROLL
        for (size_t t = 0; t < TAPS_3X3; t++) {
            w.weights[t] = vld1q_f32(row->weights + (block * TAPS_3X3 + t) * BLOCK + lane);
        }
        if (row->pixel_step == FILTER) {
            run_windows(w, row->pixels, 1);
        } else {
            run_windows(w, row->pixels, 2);
        }
    }
}

static void run(const qb_depthwise_row_f32 *row)
{
    const bool by_columns = row->filter_3x3 && row->pixel_step <= 2 * FILTER && row->channels >= BLOCK;
    (by_columns ? run_3x3 : run_row)(row);
}

const qb_depthwise_f32 qb_depthwise_f32_neon = {.name = "depthwise_f32_neon", .row = run};
