/* What the NEON micro-kernels of 3×3 depthwise convolution share: start and tail of sixteen channels' sums, and the walk
 * over the blocks. */
#ifndef QB_DEPTHWISE_3X3_NEON_H
#define QB_DEPTHWISE_3X3_NEON_H

#include "depthwise.h"
#include "tail_neon.h"

enum { QB_DEPTHWISE_3X3_SUMS = QB_DEPTHWISE_3X3_BLOCK / 4 };

/* What becomes of the sums. */
typedef enum qb_depthwise_tail {
    QB_DEPTHWISE_ANY = QB_ROUND_ANY,
    QB_DEPTHWISE_RIGHT = QB_ROUND_RIGHT,
    QB_DEPTHWISE_FROM_ZERO = QB_ROUND_FROM_ZERO,
    QB_DEPTHWISE_REAL, /* hybrid */
} qb_depthwise_tail;

QB_NEON_INLINE void qb_depthwise_start_neon(const qb_depthwise_row_s8 *row, size_t block, int32x4_t *sums)
{
    const int32_t *start = row->by_channel.start + block * QB_DEPTHWISE_3X3_BLOCK;
    QB_UNROLL
    for (size_t i = 0; i < QB_DEPTHWISE_3X3_SUMS; i++) sums[i] = vld1q_s32(start + 4 * i);
}

QB_NEON_INLINE void qb_depthwise_factors_neon(const qb_depthwise_row_s8 *row, size_t block,
                                              const qb_depthwise_tail tail, qb_factors_neon *factors)
{
    if (tail == QB_DEPTHWISE_REAL) return;
    QB_UNROLL
    for (size_t i = 0; i < QB_DEPTHWISE_3X3_SUMS; i++) {
        factors[i] = qb_load_factors_neon(&row->by_channel.requant, block * QB_DEPTHWISE_3X3_BLOCK + 4 * i);
    }
}

/* The tail of a block's sums; `at` is their first value in the output row. */
QB_NEON_INLINE void qb_depthwise_finish_neon(const qb_depthwise_row_s8 *row, size_t block,
                                             const qb_factors_neon *factors, size_t at,
                                             const qb_depthwise_tail tail, int32x4_t *sums)
{
    if (tail == QB_DEPTHWISE_REAL) {
        float *out = (float *)row->out + at;
        const qb_dequant *d = &row->by_channel.dequant;
        const size_t c = block * QB_DEPTHWISE_3X3_BLOCK;
        QB_UNROLL
        for (size_t i = 0; i < QB_DEPTHWISE_3X3_SUMS; i++) {
            vst1q_f32(out + 4 * i, qb_dequantize_neon(sums[i], d, *row->quant, c + 4 * i));
        }
    } else {
        int8x16_t bytes;
        qb_requantize_neon(&row->by_channel.requant, factors, 1, QB_DEPTHWISE_3X3_SUMS, (qb_rounding)tail, sums, &bytes);
        vst1q_s8((int8_t *)row->out + at, bytes);
    }
}

/* run_block(row, block, stride, tail): one block of a row's pixels; stride, 1 or 2, and tail are constants. */
#define QB_RUN_BLOCK_OF_TAIL(run_block, tail)                                                                          \
    if (row->pixel_step == 3) {                                                                                        \
        run_block(row, block, 1, tail);                                                                                \
    } else {                                                                                                           \
        run_block(row, block, 2, tail);                                                                                \
    }

/* Defines run_row, which computes all blocks of a row of pixels with run_block. The copy says that storing outputs
 * changes nothing in it. */
#define QB_DEFINE_RUN_ROW(run_block)                                                                                   \
    static void run_row(const qb_depthwise_row_s8 *given)                                                              \
    {                                                                                                                  \
        const qb_depthwise_row_s8 copy = *given, *const row = &copy;                                                   \
        const qb_requant *q = &row->by_channel.requant;                                                                \
        for (size_t block = 0; block * QB_DEPTHWISE_3X3_BLOCK < row->channels; block++) {                              \
            if (row->quant != NULL) {                                                                                  \
                QB_RUN_BLOCK_OF_TAIL(run_block, QB_DEPTHWISE_REAL)                                                     \
            } else if (q->from_zero) {                                                                                 \
                QB_RUN_BLOCK_OF_TAIL(run_block, QB_DEPTHWISE_FROM_ZERO)                                                \
            } else if (q->shifts_right) {                                                                              \
                QB_RUN_BLOCK_OF_TAIL(run_block, QB_DEPTHWISE_RIGHT)                                                    \
            } else {                                                                                                   \
                QB_RUN_BLOCK_OF_TAIL(run_block, QB_DEPTHWISE_ANY)                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

#endif
