/* Packing a layer's int8 weights. */
#ifndef QB_GEMM_WEIGHTS_H
#define QB_GEMM_WEIGHTS_H

#include "gemm.h"
#include "gemm_rows.h"

/* OHWI to the layout of gemm.h, `moved` added to each weight. NULL after running out of memory. */
int8_t *qb_gemm_s8_weights(qb_builder *builder, const qb_gemm_s8 *kernel, const qb_linear *op, const qb_rows *rows,
                           int moved);

#endif
