/* The contract between the executor and the kernels.
 *
 * Start reading here. At load the executor walks the model's nodes in order and calls the op's prepare function
 * (named by ops.def) once. prepare checks that the node's tensors fit the op, computes multipliers, packs
 * weights, asks for scratch memory, and sets step->run. An inference is then nothing but
 *
 *     for each step: step->run(step);
 *
 * A hostile file may reach prepare: the loader has checked records, ranges and sizes (src/model.c), but whether the
 * shapes, dtypes and attributes suit the op is prepare's to check, and only prepare's: run trusts it.
 */
#ifndef QB_KERNEL_H
#define QB_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../format.h"

/* A tensor as kernels see it. dims beyond rank are 1. data points into the arena, the state or the mapped file. */
typedef struct qb_tensor {
    const char *name;
    int32_t dims[QB_MAX_RANK];
    int rank;
    uint8_t dtype; /* QB_F32, QB_S8, … */
    uint8_t kind;  /* QB_ACTIVATION, QB_CONSTANT, QB_VARIABLE: state that run reads and writes in place */
    void *data;
    size_t count; /* elements */
    size_t size;  /* bytes */
    uint32_t quant_count;
    int32_t quant_axis;
    const float *scales;        /* [quant_count] */
    int32_t zero_point;         /* 0 unless quant_count > 0 */
    bool needs_values;          /* something reads them as they are, not as weights to pack */
    const struct qb_tensor *stored; /* NULL, or the int8 or float16 constant that these floats are expanded from while they
                                       are packed; then data is NULL */
} qb_tensor;

/* One node, ready to run. */
typedef struct qb_step {
    const qb_node_record *node;
    const char *name;
    qb_tensor **in; /* [in_count]; NULL where an optional input is left out */
    uint32_t in_count;
    qb_tensor **out; /* [out_count] */
    uint32_t out_count;
    void (*run)(const struct qb_step *step);
    const void *state; /* what prepare left for run */
    void *scratch;     /* set after every prepare: the shared scratch area, QB_ALIGNMENT aligned */
    const char *kernel; /* what runs, for the profile: "gemm_s8_neon" */
    uint64_t macs;      /* multiply-accumulates per inference */
} qb_step;

typedef struct qb_builder qb_builder; /* the executor at load time */

/* Zeroed memory that lives as long as the session, QB_ALIGNMENT aligned; NULL after reporting out of memory. */
void *qb_alloc(qb_builder *builder, size_t bytes);

/* Asks that step->scratch hold at least this many bytes while the step runs (contents do not survive it). */
void qb_want_scratch(qb_builder *builder, size_t bytes);

/* Reports why the node cannot be prepared; returns false so that prepare can `return qb_refuse(…)`. */
bool qb_refuse(qb_builder *builder, const qb_step *step, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The ISA variant in force (src/cpu.h): kernels look up their fast paths in it. */
const struct qb_isa *qb_builder_isa(const qb_builder *builder);

typedef bool (*qb_prepare_fn)(qb_builder *builder, qb_step *step);

#define QB_OP(code, NAME, ir, arithmetics) bool qb_prepare_##NAME(qb_builder *builder, qb_step *step);
#include "../../include/ops.def"
#undef QB_OP

#endif
