/* 3×3 convolutions of stride 1 by Winograd's minimal filtering F(4×4, 3×3) (Lavin and Gray 2016), in exact integers: the
 * contract between the driver (winograd.c) and the kernels (winograd_<isa>.c).
 *
 * A tile of 4×4 outputs needs 6×6 inputs d and 3×3 weights g of each channel:
 *
 *     Y = Aᵀ [Σ over channels (G g Gᵀ) ⊙ (Bᵀ d B)] A
 *
 * which multiplies 36 times where the sum of products multiplies 144 times. The transforms evaluate at the points 0, ±1, ±2
 * and infinity; each row of G is scaled so that it holds integers, and A makes up for it, so that Y is 24² times the sum:
 *
 *     Bᵀ d B: at most 10² · 128 in magnitude, G g Gᵀ: at most 7² · 128, so both are int16
 *     Y = 9 · 64 · sum modulo 2³²; times the inverse of 9 it is 64 · sum, which is exact where |sum| < 2²⁵
 *
 * Where a sum may be larger the depth is multiplied in parts, each of which has such products of its own.
 */
#ifndef QB_WINOGRAD_H
#define QB_WINOGRAD_H

#include "gemm.h"

enum {
    QB_WINOGRAD_IN = 6,  /* inputs of a tile, in each direction */
    QB_WINOGRAD_OUT = 4, /* and outputs */
    QB_WINOGRAD_POINTS = QB_WINOGRAD_IN * QB_WINOGRAD_IN, /* products of a tile and channel */
    QB_WINOGRAD_OUTPUTS = QB_WINOGRAD_OUT * QB_WINOGRAD_OUT,
    QB_WINOGRAD_TAPS = 3 * 3,
    QB_WINOGRAD_PAIR = 2, /* depths that lie side by side */
};

/* Some columns' transformed weights, some tiles' transformed inputs, and their products. */
typedef struct qb_winograd_block {
    size_t tiles, depth;
    size_t count;           /* depths to multiply */
    const int16_t *inputs;  /* [tiles][point][depth], from the first depth to multiply on */
    const int16_t *weights; /* [point][weights_stride], a point's being [depth / 2][nr][2] */
    size_t weights_stride;
    int32_t *products; /* [tiles][point][nr] */
    const int8_t *ahead; /* weights that are wanted next: `ahead_lines` cache lines of them for each point */
    size_t ahead_lines;
} qb_winograd_block;

typedef struct qb_winograd {
    const char *name;
    size_t nr;       /* columns at a time */
    size_t mr;       /* tiles at a time */
    size_t row_step; /* `multiply` may read and write tiles up to a multiple of this */
    size_t least_depth, least_tiles; /* below them a layer does not pay for its transforms */
    /* [tap][count] to [point][stride] */
    void (*transform_weights)(const int8_t *weights, size_t count, int16_t *out, size_t stride);
    /* A tile's inputs, under a pointer for each pixel, to [point][depth] */
    void (*transform_inputs)(const int8_t *const *inputs, size_t depth, int16_t *out);
    void (*multiply)(const qb_winograd_block *block);
    /* A tile's products, [point][nr] of each part, `stride` apart, to its outputs in the columns that `tile` names */
    void (*finish)(const qb_tile_s8 *tile, const int32_t *products, size_t parts, size_t stride);
} qb_winograd;

/* Sets op->fast and the step's run function where the layer suits the kernel of the ISA in force. False after running
 * out of memory. */
bool qb_winograd_prepare(qb_builder *builder, qb_step *step, qb_linear *op);

#endif
