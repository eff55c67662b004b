/* int8 depthwise convolution on NEON, aarch64 and armv7: eight channels at a time, two taps in each pass.
 *
 * SMULL and SMLAL add two taps' products in int16, which weights in [-127, 127] allow (2 · 128 · 127 =
 * 32512), and SADDW widens them into the int32 sums.
 */
#include "depthwise.h"
#include "tail_neon.h"

enum { BLOCK = QB_DEPTHWISE_BLOCK, TAPS_3X3 = 10 };

typedef struct block_sums {
    int32x4_t low, high;
} block_sums;

static inline __attribute__((always_inline)) int8x8_t load(const int8_t *from, size_t valid)
{
    int8x8_t x = vdup_n_s8(0);
    memcpy(&x, from, valid);
    return x;
}

/* The sums of one block, from channel `first` of the pixels under its taps on, of which `valid` may be
 * read. */
static inline __attribute__((always_inline)) block_sums sum_taps(const qb_depthwise_row_s8 *row,
                                                                 const int8_t *const *x, const size_t taps,
                                                                 size_t block, size_t first, size_t valid)
{
    const int8_t *weights = row->weights + block * BLOCK * taps;
    const int32_t *start = row->by_channel.start + block * BLOCK;
    block_sums sums = {vld1q_s32(start), vld1q_s32(start + 4)};
    for (size_t t = 0; t < taps; t += 2, weights += 2 * BLOCK) {
        const int8x8x2_t w = vld2_s8(weights);
        int16x8_t products = vmull_s8(load(x[t] + first, valid), w.val[0]);
        products = vmlal_s8(products, load(x[t + 1] + first, valid), w.val[1]);
        sums.low = vaddw_s16(sums.low, vget_low_s16(products));
        sums.high = vaddw_s16(sums.high, vget_high_s16(products));
    }
    return sums;
}

/* The tail of a block; `valid` of its channels are written to pixel p. */
static inline __attribute__((always_inline)) void
finish(const qb_depthwise_row_s8 *row, size_t p, size_t block, size_t first, size_t valid, block_sums sums)
{
    const size_t at = p * row->channels + first, c = block * BLOCK;
    if (row->quant != NULL) {
        const qb_dequant *d = &row->by_channel.dequant;
        float32x4_t real[2];
        real[0] = qb_dequantize_neon(sums.low, d, *row->quant, c);
        real[1] = qb_dequantize_neon(sums.high, d, *row->quant, c + 4);
        memcpy((float *)row->out + at, real, valid * sizeof(float));
    } else {
        const qb_requant *q = &row->by_channel.requant;
        const int32x4_t low = qb_multiply_neon(sums.low, qb_load_factors_neon(q, c));
        const int32x4_t high = qb_multiply_neon(sums.high, qb_load_factors_neon(q, c + 4));
        const int8x16_t bytes = qb_narrow_neon(low, high, low, high, q, false);
        memcpy((int8_t *)row->out + at, &bytes, valid);
    }
}

static inline __attribute__((always_inline)) void run_block(const qb_depthwise_row_s8 *row,
                                                            const int8_t *const *x, const size_t taps,
                                                            size_t p, size_t block, size_t first,
                                                            size_t valid)
{
    finish(row, p, block, first, valid, sum_taps(row, x, taps, block, first, valid));
}

#define ROW qb_depthwise_row_s8
#define INPUT int8_t
#include "depthwise_pixels.h"

const qb_depthwise_s8 qb_depthwise_s8_neon = {.name = "depthwise_s8_neon", .row = run_row};
