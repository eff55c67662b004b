/* x86-64 with AVX-VNNI, dot products of 256 bits: Alder Lake (2021), Zen 5 and later. */
#include "../isa.h"
#include "gemm.h"
#include "winograd.h"

extern const qb_gemm_s8 qb_gemm_s8_avxvnni;
extern const qb_winograd qb_winograd_avx2;

const struct qb_isa qb_isa_avxvnni = {
    .name = "avxvnni",
    .needs = QB_CPU_AVX2 | QB_CPU_FMA | QB_CPU_AVXVNNI,
    .gemm_s8 = &qb_gemm_s8_avxvnni,
    .winograd = &qb_winograd_avx2,
};
