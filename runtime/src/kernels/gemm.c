/* Which micro-kernels compute a CONV_2D or FULLY_CONNECTED step. */
#include "gemm.h"

#include "../isa.h"

bool qb_gemm_prepare(qb_builder *builder, qb_step *step, qb_linear *op)
{
    const qb_prepare_gemm_fn prepare_f16 = qb_builder_isa(builder)->prepare_gemm_f16;
    switch (step->node->arithmetic) {
    case QB_ARITH_INT16: return true;
    case QB_ARITH_F16: return (prepare_f16 != NULL ? prepare_f16 : qb_gemm_f32_prepare)(builder, step, op);
    case QB_ARITH_F32: return qb_gemm_f32_prepare(builder, step, op);
    default: return qb_gemm_s8_prepare(builder, step, op);
    }
}
