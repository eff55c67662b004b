/* The table of ops, expanded from include/ops.def. */
#ifndef QB_OPS_H
#define QB_OPS_H

#include <stdint.h>

#include "kernels/kernel.h"

enum { QB_OP_IN_PLACE = 1 << 8 }; /* an output may take the place of an input */

typedef struct qb_op {
    uint16_t code;
    const char *name;     /* "CONV_2D" */
    uint32_t arithmetics; /* QB_ARITH_… flags and QB_OP_IN_PLACE */
    qb_prepare_fn prepare;
} qb_op;

/* The op with this code, or NULL. */
const qb_op *qb_op_find(uint16_t code);

/* "f32", "f16", "hybrid", "int8" or "int16". */
const char *qb_arithmetic_name(uint8_t arithmetic);

#endif
