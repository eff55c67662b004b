/* int8 3×3 depthwise convolution on NEON without dot products, aarch64 and armv7: sixteen channels at a time.
 *
 * Two taps' products are added in int16 by SMULL and SMLAL, which weights in [-127, 127] allow (2 · 128 · 127 =
 * 32512), and SADDW widens them into the int32 sums. A block's weights stay in registers along the row, and a column
 * of the input is loaded once for every window that it lies in.
 */
#include "depthwise_3x3_neon.h"

enum { BLOCK = QB_DEPTHWISE_3X3_BLOCK, FILTER = 3, TAPS = 9 };
enum { BLOCK_BYTES = (TAPS * BLOCK + QB_ALIGNMENT - 1) / QB_ALIGNMENT * QB_ALIGNMENT };

static void pack(const int8_t *weights, void *to)
{
    memcpy(to, weights, TAPS * BLOCK);
}

typedef struct column {
    int8x16_t row[FILTER];
} column;

QB_NEON_INLINE column load_column(const int8_t *const *rows, size_t channel)
{
    return (column){{vld1q_s8(rows[0] + channel), vld1q_s8(rows[1] + channel), vld1q_s8(rows[2] + channel)}};
}

QB_NEON_INLINE column load_weights(const int8_t *weights, size_t x)
{
    const int8_t *const rows[FILTER] = {weights, weights + FILTER * BLOCK, weights + 2 * FILTER * BLOCK};
    return load_column(rows, x * BLOCK);
}

static inline void widen(int32x4_t *sums, int16x8_t products)
{
    sums[0] = vaddw_s16(sums[0], vget_low_s16(products));
    sums[1] = vaddw_s16(sums[1], vget_high_s16(products));
}

/* Sixteen sums in four registers, one tap's products added, or two's. */
static inline void add_one(int32x4_t *sums, int8x16_t x, int8x16_t w)
{
    widen(sums, vmull_s8(vget_low_s8(x), vget_low_s8(w)));
    widen(sums + 2, vmull_s8(vget_high_s8(x), vget_high_s8(w)));
}

static inline void add_two(int32x4_t *sums, const int8x16_t *x, const int8x16_t *w)
{
    const int16x8_t low = vmull_s8(vget_low_s8(x[0]), vget_low_s8(w[0]));
    const int16x8_t high = vmull_s8(vget_high_s8(x[0]), vget_high_s8(w[0]));
    widen(sums, vmlal_s8(low, vget_low_s8(x[1]), vget_low_s8(w[1])));
    widen(sums + 2, vmlal_s8(high, vget_high_s8(x[1]), vget_high_s8(w[1])));
}

/* `stride`, 1 or 2, and `tail` are constants wherever this is inlined. */
QB_NEON_INLINE void run_block(const qb_depthwise_row_s8 *row, size_t block, const size_t stride,
                              const qb_depthwise_tail tail)
{
    const size_t first = qb_depthwise_3x3_first(block, row->channels);
    const int8_t *const *x = row->columns;
    const int8_t *weights = row->weights + block * BLOCK_BYTES;
    const column w[FILTER] = {load_weights(weights, 0), load_weights(weights, 1), load_weights(weights, 2)};
    qb_factors_neon factors[QB_DEPTHWISE_3X3_SUMS];
    qb_depthwise_factors_neon(row, block, tail, factors);
    column window[FILTER] = {load_column(x, first), load_column(x + FILTER, first)};
    size_t at = first;
    for (size_t left = row->pixels; left > 0; left--, at += row->channels) {
        window[2] = load_column(x + 2 * FILTER, first);
        x += stride * FILTER;
        int32x4_t sums[QB_DEPTHWISE_3X3_SUMS];
        qb_depthwise_start_neon(row, block, sums);
        for (size_t i = 0; i < FILTER; i++) add_two(sums, window[i].row, w[i].row);
        const int8x16_t bottom[FILTER] = {window[0].row[2], window[1].row[2], window[2].row[2]};
        const int8x16_t bottom_weights[FILTER] = {w[0].row[2], w[1].row[2], w[2].row[2]};
        add_two(sums, bottom, bottom_weights);
        add_one(sums, bottom[2], bottom_weights[2]);
        qb_depthwise_finish_neon(row, block, factors, at, tail, sums);
        window[0] = window[stride];
        window[1] = stride == 1 || left == 1 ? window[2] : load_column(x + FILTER, first);
    }
}

QB_DEFINE_RUN_ROW(run_block)

const qb_depthwise_3x3_s8 qb_depthwise_3x3_s8_neon = {
    .name = "depthwise_3x3_s8_neon",
    .row = run_row,
    .pack = pack,
    .block_bytes = BLOCK_BYTES,
    .block = BLOCK,
    .symmetric = true,
};
