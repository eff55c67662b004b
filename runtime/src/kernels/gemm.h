/* Matrix multiplication for CONV_2D and FULLY_CONNECTED: the contract between the driver (gemm_s8.c,
 * gemm_f32.c) and the micro-kernels (gemm_s8_<isa>.c, gemm_f32_<isa>.c).
 *
 *     out[r][n] = tail(bias[n] + Σ over taps t, depth k of inputs[t][r][k] · w[n][t][k])
 *
 * A row is an output pixel, a column an output channel. A micro-kernel computes one tile: at most `mr` rows,
 * any range of columns. An int8 tile's rows are packed first, once for all columns. Input rows come as pointers,
 * one for each filter tap and row, so that a convolution reads its image in place (indirect convolution, Dukhan
 * 2019); taps outside the image point at a row of zero points.
 *
 * Packed weights: [columns / nr rounded up][tap][depth / kr rounded up][nr][kr], zero where there is no
 * weight; where a kernel has kp < kr, a group of [nr][kr] is [nr / 4][kr / kp][4][kp] instead. Arrays by column
 * are padded to a multiple of nr. All of them are aligned to QB_ALIGNMENT.
 */
#ifndef QB_GEMM_H
#define QB_GEMM_H

#include "packing.h"

enum { QB_GEMM_SLACK = 64 }; /* bytes behind a workspace that a kernel may write */

/* What becomes of the int32 sums of an int8 tile. */
typedef enum qb_gemm_tail {
    QB_TAIL_S8,  /* requantized, rounding twice (qb_multiply), to int8 */
    QB_TAIL_F32, /* hybrid: to float32 */
    QB_TAIL_S32, /* stored as they are */
} qb_gemm_tail;

/* What a call of `tile` multiplies of a row's depth: `groups` groups of kr depths from group `group` on, under each of `taps`
 * taps from `tap` on. All of it, but where widened weights come in parts. */
typedef struct qb_part {
    size_t tap, group, taps, groups;
    size_t at; /* bytes from where a row begins */
    bool first, last;
} qb_part;

/* Ranges: inputs [-128, 127], weights [-127, 127], or [-128, 127] where the kernel takes the full range; sums fit
 * in int32, those that are requantized with headroom (qb_linear_has_headroom). */
typedef struct qb_tile_s8 {
    size_t rows;         /* in [1, mr] */
    size_t first_column; /* a multiple of nr */
    size_t end_column;
    size_t taps, depth;          /* depth: bytes under each pointer */
    size_t readable;             /* and how many may be read there: more than that where the kernel takes lines */
    size_t tap_step;             /* padded images: bytes from a tap to the next; else 0 */
    const int8_t *const *inputs; /* [taps][mr], for `pack`; past `rows` the last row stands again */
    const int8_t *weights;       /* packed */
    const void *wide;            /* the part's of the nr columns from first_column on, where `widen` was called; else NULL */
    const qb_part *part;
    int32_t *sums;               /* where the kernel has `widen`: [mr][nr], what the parts before left */
    qb_channels channels;        /* by column */
    bool rows_start;             /* whether any row_start is not 0 */
    const int32_t *row_start;    /* [mr]: added to the column's start: −zero · Σ x, where weights have a zero point */
    qb_gemm_tail tail;
    const qb_sample_quant *quant; /* hybrid: by row, how its sample was quantized */
    bool bound;                   /* hybrid: every row's is {1, 0} (qb_bind_sample) */
    void *out;                    /* int8, float or int32; the first row's column 0 */
    size_t out_stride;            /* values from row to row */
    void *workspace; /* QB_ALIGNMENT aligned; its size: qb_gemm_s8.expand */
    const int8_t *ahead; /* weights that are wanted next: `ahead_lines` cache lines of them for each line of a row, or for each */
    size_t ahead_lines;  /* row where `wide` is not NULL */
} qb_tile_s8;

typedef struct qb_tile_f32 {
    size_t rows, first_column, end_column, taps, depth;
    const float *const *inputs; /* [taps][mr] */
    const float *weights;       /* packed, kr = 1 */
    const float *bias;          /* by column: where the sums start */
    qb_range_f32 range;
    float *out; /* the first row's column 0 */
    size_t out_stride;
    const char *ahead; /* weights that are needed soon: a kernel touches a line of the cache for each depth that it */
    size_t ahead_step; /* multiplies its columns by, this many bytes apart */
} qb_tile_f32;

/* Where a kernel that computes `step` columns at a time starts touching those weights. */
static inline const char *qb_ahead(const qb_tile_f32 *tile, size_t column, size_t step)
{
    return tile->ahead + (column - tile->first_column) / step * tile->taps * tile->depth * tile->ahead_step;
}

typedef struct qb_gemm_s8 {
    const char *name;
    size_t mr, nr, kr;
    size_t kp;     /* depths of a column that lie side by side in a group, a divisor of kr; 0: all of them */
    size_t expand; /* bytes of workspace for each input value of the tile, taps · (depth rounded up to kr) a row, and
                      QB_GEMM_SLACK */
    size_t unit;   /* and the values of a row are rounded up to an odd multiple of this in the workspace, so that rows do
                      not share a set of the cache; 0: are not */
    size_t block;  /* columns of all tiles before the next ones, where the kernel fetches weights ahead; 0: as many as
                      fit a part of the second-level cache */
    bool full_range;      /* a weight may be -128 */
    bool reads_images; /* and the workspace begins with a pointer for each of mr rows, past `rows` the last one again: to
                          what `pack` left, or to a window in a padded image (gemm_image.h), in which case it is not called */
    bool takes_lines;     /* reads whole vectors where it may, so that few bytes under a pointer cost little */
    uint8_t input_offset; /* what the kernel adds to every input: `start` has its products taken off */
    /* NULL, or: nr columns' packed weights to the kernel's own form, once for many tiles: two bytes for each and nr int32 behind
     * them. No weight is -128. */
    void (*widen)(const int8_t *weights, size_t count, void *wide);
    void (*pack)(const qb_tile_s8 *tile); /* brings the rows under `inputs` to the workspace, in the kernel's own form */
    void (*tile)(const qb_tile_s8 *tile); /* the columns, from the workspace */
} qb_gemm_s8;

typedef struct qb_gemm_f32 {
    const char *name;
    size_t mr, nr;
    size_t least_block; /* columns that it computes at a time, a multiple of nr; 0: nr */
    void (*tile)(const qb_tile_f32 *tile);
} qb_gemm_f32;

/* Replace the reference kernel of a prepared CONV_2D or FULLY_CONNECTED step where the ISA in force has a
 * micro-kernel for it and the weights are in its range. False after running out of memory. qb_gemm_prepare calls the
 * one for the step's arithmetic. */
bool qb_gemm_prepare(qb_builder *builder, qb_step *step, qb_linear *op);
bool qb_gemm_s8_prepare(qb_builder *builder, qb_step *step, qb_linear *op);  /* int8 and hybrid */
bool qb_gemm_f32_prepare(qb_builder *builder, qb_step *step, qb_linear *op); /* f32 and f16 */

/* Bytes from a packed row of `bytes` to the next in the workspace of a kernel with a `unit`. */
static inline size_t qb_gemm_row_step(uint64_t bytes, size_t unit)
{
    return (size_t)((bytes + unit - 1) / unit | 1) * unit;
}

/* Bytes of the pointers to mr rows with which the workspace of a kernel that reads images begins. */
static inline size_t qb_gemm_pointers(size_t mr)
{
    return (size_t)qb_round_up(mr * sizeof(void *), QB_ALIGNMENT);
}

/* Points at where `pack` is to copy a tile's rows, behind the pointers; returns these. */
static inline uint8_t **qb_gemm_place_rows(const qb_tile_s8 *tile, size_t mr, size_t kr, size_t unit)
{
    const size_t step = qb_gemm_row_step(tile->taps * qb_round_up(tile->depth, kr), unit);
    uint8_t **pointers = tile->workspace, *row = (uint8_t *)tile->workspace + qb_gemm_pointers(mr);
    for (size_t r = 0; r < mr; r++) pointers[r] = r < tile->rows ? row + r * step : pointers[r - 1];
    return pointers;
}

/* How many of the rows that are left the next tile takes: the fewest tiles, and no small one at the end, where a
 * kernel's sums would be too few to hide the latency of its instructions. */
static inline size_t qb_gemm_rows(size_t left, size_t mr)
{
    const size_t tiles = (left + mr - 1) / mr;
    return tiles > 4 ? mr : (left + tiles - 1) / tiles;
}

/* How many columns' packed weights of `bytes` each to use on all rows in turn: a multiple of nr that fits a
 * part of the smallest second-level cache of the machines aimed at (Cortex-A53: 512 kB on a Pi). */
static inline size_t qb_gemm_block(uint64_t bytes, size_t nr)
{
    const size_t fitting = (size_t)(256 * 1024 / bytes) / nr * nr;
    return fitting > nr ? fitting : nr;
}

#endif
