/* Depthwise convolution: the contract between the driver (depthwise_fast.c) and the micro-kernels
 * (depthwise_s8_<isa>.c, depthwise_f32_<isa>.c).
 *
 *     out[p][c] = tail(start[c] + Σ over taps t of column[p][t][c] · w[t][c])
 *
 * A call computes one row of output pixels, all channels. The input comes as pointers: `columns` holds
 * filter_h pointers, one for each filter row, for every input column that the row's windows touch, so
 * neighbouring windows share them. Window p begins at columns + p · pixel_step, and its tap t is at
 * tap_offset[t] from there. Pixels outside the image are pointers at a row of zero points.
 *
 * Channels go in blocks of 8. Block b covers the channels from min(8·b, channels − 8): the last overlaps its
 * neighbour, so that no load leaves a pixel; with fewer than 8 channels there is one block, and `channels` of
 * its values count. Packed weights and by-channel parameters have 8 slots for each block.
 *
 * Taps are in the order (filter row, filter column). int8 weights come in pairs of taps,
 * [block][tap pair][8 channels][2], the last filled up with a zero tap; float weights [block][tap][8]. A weight
 * beyond int8, as a zero point of weights makes them, is split between its tap and more taps at the same offset,
 * which follow the others: so a 3×3 filter's tenth int8 tap may be one of these.
 */
#ifndef QB_DEPTHWISE_H
#define QB_DEPTHWISE_H

#include "packing.h"

enum { QB_DEPTHWISE_BLOCK = 8 };

/* Ranges: inputs [-128, 127], weights [-127, 127]; sums fit in int32. */
typedef struct qb_depthwise_row_s8 {
    size_t pixels, channels, taps; /* taps: even, the zero tap included */
    const int8_t *const *columns;
    size_t pixel_step;          /* pointers */
    const uint32_t *tap_offset; /* [taps], pointers */
    const int8_t **window;      /* scratch for [taps] pointers */
    const int8_t *weights;
    qb_channels by_channel;
    const qb_sample_quant *quant; /* hybrid: how the sample was quantized; NULL: int8 */
    void *out;                    /* [pixels][channels] int8, or float for hybrid */
} qb_depthwise_row_s8;

typedef struct qb_depthwise_row_f32 {
    size_t pixels, channels, taps;
    bool filter_3x3; /* of dilation 1: a column's three pointers are neighbours, and so are columns */
    const float *const *columns;
    size_t pixel_step;
    const uint32_t *tap_offset;
    const float **window;
    const float *weights;
    const float *bias; /* by channel */
    qb_range_f32 range;
    float *out;
} qb_depthwise_row_f32;

enum { QB_DEPTHWISE_3X3_BLOCK = 16, QB_DEPTHWISE_3X3_MOST = 32 }; /* channels of most kernels' blocks, and the most */

/* A micro-kernel for 3×3 filters of stride 1 or 2 and dilation 1, and at least `block` channels. Blocks are of so many
 * channels, the last again overlapping its neighbour. What is packed for a block is its own business:
 * pack(weights, to) takes [9 taps][block] to `block_bytes` bytes, and lane i of its by-channel parameters is
 * for the block's channel order[i]. */
typedef struct qb_depthwise_3x3_s8 {
    const char *name;
    void (*row)(const qb_depthwise_row_s8 *row);
    void (*pack)(const int8_t *weights, void *to);
    size_t block_bytes; /* a multiple of QB_ALIGNMENT */
    size_t block;         /* at most QB_DEPTHWISE_3X3_MOST */
    size_t ahead;         /* columns that it reads behind those under a row's windows */
    const uint8_t *order; /* [block]; NULL: as they are */
    bool symmetric; /* no weight may be -128 */
    bool shifts_right; /* only for such factors (qb_requant) */
    uint8_t input_offset; /* what the kernel adds to every input: `start` has its products taken off */
    const struct qb_depthwise_3x3_s8 *next; /* for layers that this one cannot compute; NULL: none */
} qb_depthwise_3x3_s8;

typedef struct qb_depthwise_s8 {
    const char *name;
    void (*row)(const qb_depthwise_row_s8 *row);
} qb_depthwise_s8;

typedef struct qb_depthwise_f32 {
    const char *name;
    void (*row)(const qb_depthwise_row_f32 *row);
} qb_depthwise_f32;

/* First channel of a block. */
static inline size_t qb_depthwise_first(size_t block, size_t channels)
{
    const size_t first = block * QB_DEPTHWISE_BLOCK;
    if (first + QB_DEPTHWISE_BLOCK <= channels) return first;
    return channels < QB_DEPTHWISE_BLOCK ? 0 : channels - QB_DEPTHWISE_BLOCK;
}

/* First channel of a block of `size` channels, of at least so many. */
static inline size_t qb_depthwise_block_first(size_t block, size_t size, size_t channels)
{
    const size_t first = block * size, last = channels - size;
    return first < last ? first : last;
}

static inline size_t qb_depthwise_3x3_first(size_t block, size_t channels)
{
    return qb_depthwise_block_first(block, QB_DEPTHWISE_3X3_BLOCK, channels);
}

static inline size_t qb_depthwise_blocks(size_t channels)
{
    return (channels + QB_DEPTHWISE_BLOCK - 1) / QB_DEPTHWISE_BLOCK;
}

/* The micro-kernel of 3×3 filters for the layer: `kernel` or one behind it. NULL where none can compute it. */
const qb_depthwise_3x3_s8 *qb_depthwise_3x3_for(const qb_depthwise_3x3_s8 *kernel, const qb_linear *op);

/* Packs for one: fills row->weights and row->by_channel. False after running out of memory. */
bool qb_depthwise_3x3_pack(qb_builder *builder, const qb_depthwise_3x3_s8 *kernel, const qb_linear *op,
                           qb_depthwise_row_s8 *row);

/* Replaces the reference kernel of a prepared DEPTHWISE_CONV_2D step where the ISA in force has a
 * micro-kernel for it, the weights are in its range and there is one output channel for each input channel.
 * False after running out of memory. */
bool qb_depthwise_prepare(qb_builder *builder, qb_step *step, qb_linear *op);

#endif
