/* x86-64 with AVX2 and FMA: Haswell (2013), Zen (2017) and later. */
#include "../isa.h"
#include "depthwise.h"
#include "gemm.h"
#include "loops.h"
#include "winograd.h"

extern const qb_gemm_s8 qb_gemm_s8_avx2;
extern const qb_gemm_f32 qb_gemm_f32_avx2;
extern const qb_depthwise_s8 qb_depthwise_s8_avx2;
extern const qb_depthwise_f32 qb_depthwise_f32_avx2;
extern const qb_depthwise_3x3_s8 qb_depthwise_3x3_s8_avx2;
extern const qb_winograd qb_winograd_avx2;
extern const qb_loops qb_loops_avx2;
extern uint32_t qb_crc32_blocks_avx2(uint32_t crc, const uint8_t *bytes, size_t size);

const struct qb_isa qb_isa_avx2 = {
    .name = "avx2",
    .needs = QB_CPU_AVX2 | QB_CPU_FMA | QB_CPU_PCLMUL,
    .gemm_s8 = &qb_gemm_s8_avx2,
    .gemm_f32 = &qb_gemm_f32_avx2,
    .depthwise_s8 = &qb_depthwise_s8_avx2,
    .depthwise_f32 = &qb_depthwise_f32_avx2,
    .depthwise_3x3_s8 = &qb_depthwise_3x3_s8_avx2,
    .winograd = &qb_winograd_avx2,
    .loops = &qb_loops_avx2,
    .crc32 = qb_crc32_blocks_avx2,
};
