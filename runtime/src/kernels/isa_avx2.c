/* x86-64 with AVX2 and FMA: Haswell (2013), Zen (2017) and later. */
#include "../isa.h"
#include "depthwise.h"
#include "gemm.h"

extern const qb_gemm_s8 qb_gemm_s8_avx2;
extern const qb_gemm_f32 qb_gemm_f32_avx2;
extern const qb_depthwise_s8 qb_depthwise_s8_avx2;
extern const qb_depthwise_f32 qb_depthwise_f32_avx2;
extern const qb_depthwise_3x3_s8 qb_depthwise_3x3_s8_avx2;

const struct qb_isa qb_isa_avx2 = {
    .name = "avx2",
    .needs = QB_CPU_AVX2 | QB_CPU_FMA,
    .gemm_s8 = &qb_gemm_s8_avx2,
    .gemm_f32 = &qb_gemm_f32_avx2,
    .depthwise_s8 = &qb_depthwise_s8_avx2,
    .depthwise_f32 = &qb_depthwise_f32_avx2,
    .depthwise_3x3_s8 = &qb_depthwise_3x3_s8_avx2,
};
