/* ISA variants of the hot kernels.
 *
 * A variant is one line in isa.def and one file named *_<name>.c that defines `const struct qb_isa qb_isa_<name>`.
 * It names only the kernels it brings: one left NULL is taken from the nearest line above it that can run here, so
 * a variant with a single kernel is complete. Only data: no code of a variant runs before its features are checked.
 */
#ifndef QB_ISA_H
#define QB_ISA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu.h"
#include "crc32.h"

struct qb_gemm_s8;
struct qb_gemm_f32;
struct qb_depthwise_s8;
struct qb_depthwise_f32;
struct qb_depthwise_3x3_s8;
struct qb_winograd;
struct qb_loops;
struct qb_builder;
struct qb_step;
struct qb_linear;

/* Replaces the kernel of a prepared step (gemm.h). */
typedef bool (*qb_prepare_gemm_fn)(struct qb_builder *builder, struct qb_step *step, struct qb_linear *op);

struct qb_isa {
    const char *name;
    uint32_t needs; /* QB_CPU_… flags that must all be there */
    const struct qb_gemm_s8 *gemm_s8;
    const struct qb_winograd *winograd; /* faster than this gemm_s8 where it fits, and replaced with it */
    const struct qb_gemm_f32 *gemm_f32;
    const struct qb_depthwise_s8 *depthwise_s8;
    const struct qb_depthwise_f32 *depthwise_f32;
    const struct qb_depthwise_3x3_s8 *depthwise_3x3_s8;
    const struct qb_loops *loops;
    qb_prepare_gemm_fn prepare_gemm_f16; /* float16 arithmetic; without, f16 layers run the float32 kernels */
    qb_crc32_fn crc32;
};

/* The variants built into this binary, least preferred first; *count is set. */
const struct qb_isa *const *qb_isa_all(size_t *count);

/* Fills `chosen` with the best variant that can run here, or with the one called `forced` unless that is NULL or empty,
 * its NULL kernels filled from the lines above. Returns NULL, or why not. */
const char *qb_isa_choose(const char *forced, struct qb_isa *chosen);

#endif
