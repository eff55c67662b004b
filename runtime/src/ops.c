#include "ops.h"

/* The names that ops.def joins by |. No node has IN_PLACE as its arithmetic. */
enum {
    F32 = QB_ARITH_F32,
    F16 = QB_ARITH_F16,
    HYBRID = QB_ARITH_HYBRID,
    INT8 = QB_ARITH_INT8,
    INT16 = QB_ARITH_INT16,
    IN_PLACE = QB_OP_IN_PLACE,
};

static const qb_op ops[] = {
#define QB_OP(code, NAME, ir, arithmetics) {code, #NAME, arithmetics, qb_prepare_##NAME},
#include "../include/ops.def"
#undef QB_OP
};

const qb_op *qb_op_find(uint16_t code)
{
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (ops[i].code == code) return &ops[i];
    }
    return NULL;
}

const char *qb_arithmetic_name(uint8_t arithmetic)
{
    switch (arithmetic) {
    case F32: return "f32";
    case F16: return "f16";
    case HYBRID: return "hybrid";
    case INT8: return "int8";
    default: return "int16";
    }
}
