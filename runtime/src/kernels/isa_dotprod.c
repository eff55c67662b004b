/* aarch64 with dot products: Cortex-A55, A75, A76 and later. */
#include "../isa.h"
#include "depthwise.h"
#include "gemm.h"

extern const qb_gemm_s8 qb_gemm_s8_dotprod;
extern const qb_depthwise_3x3_s8 qb_depthwise_3x3_s8_dotprod;

const struct qb_isa qb_isa_dotprod = {
    .name = "dotprod",
    .needs = QB_CPU_NEON | QB_CPU_DOTPROD,
    .gemm_s8 = &qb_gemm_s8_dotprod,
    .depthwise_3x3_s8 = &qb_depthwise_3x3_s8_dotprod,
};
