/* aarch64 with int8 matrix multiplication: Cortex-A510, A710, X2, Neoverse V1 and later. */
#include "../isa.h"
#include "gemm.h"

extern const qb_gemm_s8 qb_gemm_s8_i8mm;

const struct qb_isa qb_isa_i8mm = {
    .name = "i8mm",
    .needs = QB_CPU_NEON | QB_CPU_DOTPROD | QB_CPU_I8MM,
    .gemm_s8 = &qb_gemm_s8_i8mm,
};
