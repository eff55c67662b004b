/* x86-64 with AVX-512: Skylake-X (2017), Zen 4 and later. */
#include "../isa.h"
#include "depthwise.h"
#include "gemm.h"
#include "loops.h"

extern const qb_gemm_f32 qb_gemm_f32_avx512;
extern const qb_depthwise_f32 qb_depthwise_f32_avx512;
extern const qb_loops qb_loops_avx512;

const struct qb_isa qb_isa_avx512 = {
    .name = "avx512",
    .needs = QB_CPU_AVX2 | QB_CPU_FMA | QB_CPU_AVX512,
    .gemm_f32 = &qb_gemm_f32_avx512,
    .depthwise_f32 = &qb_depthwise_f32_avx512,
    .loops = &qb_loops_avx512,
};
