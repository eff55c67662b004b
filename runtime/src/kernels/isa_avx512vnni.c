/* x86-64 with AVX-512 and its VNNI: Cascade Lake (2019), Ice Lake, Zen 4 and later. */
#include "../isa.h"
#include "depthwise.h"
#include "gemm.h"

extern const qb_gemm_s8 qb_gemm_s8_avx512vnni;
extern const qb_depthwise_3x3_s8 qb_depthwise_3x3_s8_avx512vnni;

const struct qb_isa qb_isa_avx512vnni = {
    .name = "avx512vnni",
    .needs = QB_CPU_AVX2 | QB_CPU_FMA | QB_CPU_AVX512 | QB_CPU_AVX512VNNI,
    .gemm_s8 = &qb_gemm_s8_avx512vnni,
    .depthwise_3x3_s8 = &qb_depthwise_3x3_s8_avx512vnni,
};
