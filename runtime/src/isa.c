/* The table of ISA variants, expanded from isa.def, and the choice among them. */
#include "isa.h"

#include <stdbool.h>
#include <string.h>

/* QB_ON_<arch>(declaration or element) keeps what it is given only where the binary is built for that arch. */
#define QB_ON_any(...) __VA_ARGS__
#define QB_ON_aarch64(...)
#define QB_ON_armv7(...)
#define QB_ON_x86_64(...)
#if defined(__aarch64__)
#undef QB_ON_aarch64
#define QB_ON_aarch64(...) __VA_ARGS__
#elif defined(__arm__)
#undef QB_ON_armv7
#define QB_ON_armv7(...) __VA_ARGS__
#elif defined(__x86_64__)
#undef QB_ON_x86_64
#define QB_ON_x86_64(...) __VA_ARGS__
#endif

#define QB_ISA(name, arch, flags) QB_ON_##arch(extern const struct qb_isa qb_isa_##name;)
#include "isa.def"
#undef QB_ISA

static const struct qb_isa *const variants[] = {
#define QB_ISA(name, arch, flags) QB_ON_##arch(&qb_isa_##name, )
#include "isa.def"
#undef QB_ISA
};

const struct qb_isa *const *qb_isa_all(size_t *count)
{
    *count = sizeof variants / sizeof *variants;
    return variants;
}

/* Lays the kernels that `over` brings over those of the variants before it. */
static void overlay(struct qb_isa *chosen, const struct qb_isa *over)
{
    chosen->name = over->name;
    chosen->needs |= over->needs;
    if (over->gemm_s8 != NULL) chosen->gemm_s8 = over->gemm_s8, chosen->winograd = over->winograd;
    if (over->gemm_f32 != NULL) chosen->gemm_f32 = over->gemm_f32;
    if (over->depthwise_s8 != NULL) chosen->depthwise_s8 = over->depthwise_s8;
    if (over->depthwise_f32 != NULL) chosen->depthwise_f32 = over->depthwise_f32;
    if (over->crc32 != NULL) chosen->crc32 = over->crc32;
    if (over->loops != NULL) chosen->loops = over->loops;
    if (over->prepare_gemm_f16 != NULL) chosen->prepare_gemm_f16 = over->prepare_gemm_f16;
    if (over->depthwise_3x3_s8 != NULL) chosen->depthwise_3x3_s8 = over->depthwise_3x3_s8;
}

const char *qb_isa_choose(const char *forced, struct qb_isa *chosen)
{
    const uint32_t features = qb_cpu_features();
    const bool choose_best = forced == NULL || forced[0] == '\0';
    *chosen = (struct qb_isa){0};
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        const bool runs = (variants[i]->needs & ~features) == 0;
        const bool wanted = !choose_best && strcmp(variants[i]->name, forced) == 0;
        if (wanted && !runs) return "this processor cannot run it";
        if (runs) overlay(chosen, variants[i]);
        if (wanted) return NULL;
    }
    return choose_best ? NULL : "there is no such variant in this binary";
}
