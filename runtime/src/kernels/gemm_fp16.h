/* CONV_2D and FULLY_CONNECTED in float16 arithmetic, for f16 layers: the contract between the driver (gemm_fp16.c) and
 * the micro-kernel (tile_fp16.c). aarch64 only.
 *
 *     out[r][n] = clamp(bias[n] + scale[r] · Σ over blocks of 32 depths, in float32, of
 *                                            Σ x[r][k] · w[n][k], fused multiply-adds in float16)
 *
 * Weights are float16 in the file; float32 inputs are rounded to float16 when a tile's rows are packed. Powers of two
 * bring the largest weight of a layer to [1, 2) and the largest input of a row under 512, so that no sum of 32 products
 * overflows, and both far above the subnormal numbers; scale[r] undoes that. With u = 2^-11 an output differs from that
 * of exact arithmetic by at most 33·u · Σ |x|·|w| + depth · 2^-20 · max |x| · max |w|, over the row's inputs and the
 * layer's weights, and by the rounding of float32 sums.
 */
#ifndef QB_GEMM_FP16_H
#define QB_GEMM_FP16_H

#include <arm_neon.h>

#include "gemm.h"

enum { QB_FP16_ROWS = 8, QB_FP16_COLUMNS = 16, QB_FP16_STEP = 8 };

typedef struct qb_tile_fp16 {
    size_t rows; /* in [1, QB_FP16_ROWS] */
    size_t first_column, end_column;
    size_t depth;               /* all taps, rounded up to QB_FP16_STEP */
    const float16_t *inputs;    /* [QB_FP16_ROWS][depth], zeros past the last tap */
    const float16_t *weights;   /* [columns / QB_FP16_COLUMNS rounded up][depth][QB_FP16_COLUMNS], zeros likewise */
    const float *scale;         /* [QB_FP16_ROWS] */
    const float *bias;          /* by column, padded */
    qb_range_f32 range;
    float *out; /* the first row's column 0 */
    size_t out_stride;
} qb_tile_fp16;

/* Rounds a row's inputs, `taps` pointers QB_FP16_ROWS apart to `depth` values each, to float16; zeros follow up to the
 * row's length, and up to QB_FP16_STEP values behind it are written. Returns the power of two that they were divided by. */
float qb_pack_row_fp16(const float *const *inputs, size_t taps, size_t depth, size_t length, float16_t *to);

void qb_run_tile_fp16(const qb_tile_fp16 *tile);

/* qb_gemm_prepare for a step in f16. */
bool qb_gemm_fp16_prepare(qb_builder *builder, qb_step *step, qb_linear *op);

#endif
