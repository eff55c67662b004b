/* Every aarch64 processor; armv7 with NEON and fused multiply-add (Cortex-A7, A15 and later). */
#include "../isa.h"
#include "depthwise.h"
#include "gemm.h"
#include "loops.h"

extern const qb_gemm_s8 qb_gemm_s8_neon;
extern const qb_gemm_f32 qb_gemm_f32_neon;
extern const qb_depthwise_s8 qb_depthwise_s8_neon;
extern const qb_depthwise_f32 qb_depthwise_f32_neon;
extern const qb_loops qb_loops_neon;
extern const qb_depthwise_3x3_s8 qb_depthwise_3x3_s8_neon;

const struct qb_isa qb_isa_neon = {
    .name = "neon",
    .needs = QB_CPU_NEON,
    .gemm_s8 = &qb_gemm_s8_neon,
    .gemm_f32 = &qb_gemm_f32_neon,
    .depthwise_s8 = &qb_depthwise_s8_neon,
    .depthwise_f32 = &qb_depthwise_f32_neon,
    .loops = &qb_loops_neon,
    .depthwise_3x3_s8 = &qb_depthwise_3x3_s8_neon,
};
