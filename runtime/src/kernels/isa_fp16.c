/* aarch64 with float16 arithmetic: Cortex-A55, A75, A76 and later. */
#include "../isa.h"
#include "gemm_fp16.h"

const struct qb_isa qb_isa_fp16 = {
    .name = "fp16",
    .needs = QB_CPU_NEON | QB_CPU_FP16,
    .prepare_gemm_f16 = qb_gemm_fp16_prepare,
};
