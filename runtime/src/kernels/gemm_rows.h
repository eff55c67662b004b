/* Where a tile's input rows are: turns output pixels into the pointers that micro-kernels read. */
#ifndef QB_GEMM_ROWS_H
#define QB_GEMM_ROWS_H

#include "linear.h"

typedef enum qb_rows_kind {
    QB_ROWS_DIRECT,   /* 1×1, stride 1: a pixel's input is its row */
    QB_ROWS_INDIRECT, /* a pointer for each tap */
    QB_ROWS_GATHERED, /* few channels: the tile's taps are copied side by side first, one row each */
    QB_ROWS_LINES,    /* few channels: a filter row, whose taps lie side by side in the image, counts as one tap */
} qb_rows_kind;

/* How a layer's rows are presented. Sizes are in values; `size` is a value's bytes. */
typedef struct qb_rows {
    const qb_linear_shape *shape;
    qb_rows_kind kind;
    size_t size;
    size_t mr;
    size_t taps, depth;      /* as the micro-kernel sees them; gathered: taps = 1, lines: filter_h */
    size_t readable;         /* bytes that may be read under each pointer */
    int32_t left, right, top, bottom; /* output columns [left, right) and rows [top, bottom): their windows are inside */
    uint64_t pointers_bytes; /* scratch for the pointers */
    uint64_t gathered_bytes; /* scratch for gathered rows */
} qb_rows;

/* The image being convolved. */
typedef struct qb_image {
    const void *values;    /* [batch][in_h][in_w][in_c] */
    const void *padding;   /* [in_c] values that stand for real zero */
    size_t padding_stride; /* bytes from one sample's padding to the next; 0: shared */
} qb_image;

/* QB_ROWS_LINES is for micro-kernels that read whole vectors of this many bytes. */
enum { QB_ROWS_LINE_UNIT = 16 };

/* gather_below: with fewer channels than this, or with a channel count that is no multiple of `granule` and
 * below eight times gather_below, taps are gathered; or make lines, which saves copying windows inside the image,
 * where the micro-kernel takes them. Gathered rows are zero-filled to a multiple of `granule`, of at most 16 bytes. */
qb_rows qb_rows_plan(const qb_linear_shape *shape, size_t size, size_t mr, size_t granule,
                     size_t gather_below, bool takes_lines);

/* Fills pointers [taps][mr] for `count` output pixels from `first`, the last one's again behind them; gathered rows
 * go to `gathered`. */
void qb_rows_fill(const qb_rows *rows, const qb_image *image, size_t first, size_t count,
                  const void **pointers, void *gathered);

#endif
