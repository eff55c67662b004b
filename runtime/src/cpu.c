#include "cpu.h"

#include <stdbool.h>

#if defined(__aarch64__) || defined(__arm__)
#include <sys/auxv.h>
#endif
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#if defined(__aarch64__)

/* Bits of AT_HWCAP and AT_HWCAP2 (Linux, arch/arm64/include/uapi/asm/hwcap.h). */
#define ARM64_HWCAP_ASIMD (1ul << 1)
#define ARM64_HWCAP_ASIMDHP (1ul << 10)
#define ARM64_HWCAP_ASIMDDP (1ul << 20)
#define ARM64_HWCAP2_I8MM (1ul << 13)

uint32_t qb_cpu_features(void)
{
    const unsigned long hwcap = getauxval(AT_HWCAP);
    const unsigned long hwcap2 = getauxval(AT_HWCAP2);
    return ((hwcap & ARM64_HWCAP_ASIMD) != 0 ? QB_CPU_NEON : 0) |
           ((hwcap & ARM64_HWCAP_ASIMDHP) != 0 ? QB_CPU_FP16 : 0) |
           ((hwcap & ARM64_HWCAP_ASIMDDP) != 0 ? QB_CPU_DOTPROD : 0) |
           ((hwcap2 & ARM64_HWCAP2_I8MM) != 0 ? QB_CPU_I8MM : 0);
}

const char *qb_cpu_arch(void)
{
    return "aarch64";
}

#elif defined(__arm__)

/* Bits of AT_HWCAP (Linux, arch/arm/include/uapi/asm/hwcap.h). */
#define ARM_HWCAP_NEON (1ul << 12)
#define ARM_HWCAP_VFPV4 (1ul << 16)

uint32_t qb_cpu_features(void)
{
    const unsigned long both = ARM_HWCAP_NEON | ARM_HWCAP_VFPV4;
    return (getauxval(AT_HWCAP) & both) == both ? QB_CPU_NEON : 0;
}

const char *qb_cpu_arch(void)
{
    return "armv7";
}

#elif defined(__x86_64__)

/* Bits of XCR0: which registers the operating system saves. ZMM: the mask registers, the upper halves of ZMM0-15, and
 * ZMM16-31. */
enum { XCR0_YMM = 1 << 1 | 1 << 2, XCR0_ZMM = XCR0_YMM | 1 << 5 | 1 << 6 | 1 << 7 };
/* Bits of CPUID leaf 7 that <cpuid.h> has no names for: subleaf 1, EAX. */
enum { LEAF7_1_EAX_AVXVNNI = 1 << 4 };

static uint32_t saved_registers(uint32_t leaf1_ecx)
{
    if ((leaf1_ecx & bit_OSXSAVE) == 0) return 0;
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static uint32_t avx512_features(uint32_t leaf7_ebx, uint32_t leaf7_ecx)
{
    const uint32_t needed = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    if ((leaf7_ebx & needed) != needed) return 0;
    return QB_CPU_AVX512 | ((leaf7_ecx & bit_AVX512VNNI) != 0 ? QB_CPU_AVX512VNNI : 0);
}

uint32_t qb_cpu_features(void)
{
    uint32_t eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx)) return 0;
    const uint32_t saved = saved_registers(ecx);
    if ((saved & XCR0_YMM) != XCR0_YMM) return 0;
    uint32_t features = ((ecx & bit_FMA) != 0 ? QB_CPU_FMA : 0) | ((ecx & bit_PCLMUL) != 0 ? QB_CPU_PCLMUL : 0);
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return features;
    if ((ebx & bit_AVX2) != 0) features |= QB_CPU_AVX2;
    if ((saved & XCR0_ZMM) == XCR0_ZMM) features |= avx512_features(ebx, ecx);
    if (__get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax & LEAF7_1_EAX_AVXVNNI) != 0) {
        features |= QB_CPU_AVXVNNI;
    }
    return features;
}

const char *qb_cpu_arch(void)
{
    return "x86_64";
}

#endif
