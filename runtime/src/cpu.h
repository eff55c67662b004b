/* What the processor and the operating system support, as far as a kernel's choice depends on it. */
#ifndef QB_CPU_H
#define QB_CPU_H

#include <stdint.h>

/* X(NAME, "name in the info line"): the features that ISA variants ask for. */
#define QB_CPU_FEATURES(X)                                                                                   \
    X(NEON, "neon")       /* aarch64 ASIMD, or armv7 NEON with fused multiply-add (VFPv4) */                 \
    X(FP16, "fp16")       /* aarch64 float16 arithmetic */                                                   \
    X(DOTPROD, "dotprod") /* aarch64 SDOT and UDOT */                                                        \
    X(I8MM, "i8mm")       /* aarch64 SMMLA */                                                                \
    X(AVX2, "avx2")       /* and the operating system saves YMM registers */                                 \
    X(FMA, "fma")         /* x86 FMA3 */                                                                     \
    X(PCLMUL, "pclmul")   /* x86 PCLMULQDQ */                                                                \
    X(AVXVNNI, "avxvnni") /* 256-bit VPDPBUSD without AVX-512 */                                             \
    X(AVX512, "avx512")   /* F, BW, DQ and VL, and the operating system saves ZMM registers */               \
    X(AVX512VNNI, "avx512vnni")

enum {
#define QB_CPU_BIT(NAME, text) QB_CPU_BIT_##NAME,
    QB_CPU_FEATURES(QB_CPU_BIT) QB_CPU_BIT_COUNT
#undef QB_CPU_BIT
};

enum {
#define QB_CPU_FLAG(NAME, text) QB_CPU_##NAME = 1 << QB_CPU_BIT_##NAME,
    QB_CPU_FEATURES(QB_CPU_FLAG)
#undef QB_CPU_FLAG
};

/* The QB_CPU_… flags of the machine this runs on. */
uint32_t qb_cpu_features(void);

/* "aarch64", "armv7" or "x86_64". */
const char *qb_cpu_arch(void);

#endif
