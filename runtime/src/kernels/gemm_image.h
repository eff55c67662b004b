/* An int8 image with its padding around it, for micro-kernels that read windows where they lie: every window of a
 * convolution is then a filter row's values side by side, `tap_step` bytes apart. */
#ifndef QB_GEMM_IMAGE_H
#define QB_GEMM_IMAGE_H

#include "gemm_rows.h"
#include "loops.h"

typedef struct qb_padded {
    const qb_linear_shape *shape;
    const qb_loops *loops;
    size_t wide, high;   /* pixels that the windows touch */
    size_t line, sample; /* bytes */
    size_t tap_step;     /* from a filter row to the next */
    uint64_t bytes;      /* of the whole batch, and what vectors may read behind it */
} qb_padded;

qb_padded qb_padded_plan(const qb_linear_shape *shape, const qb_loops *loops);

/* The batch with its padding to `to`, every value with its sign bit turned: shifted by 128. */
void qb_padded_fill(const qb_padded *padded, const qb_image *image, uint8_t *to);

/* Where the windows of `count` output pixels from `first` begin; the last one's again up to `all`. */
void qb_padded_point(const qb_padded *padded, const uint8_t *filled, size_t first, size_t count, size_t all,
                     const uint8_t **windows);

#endif
