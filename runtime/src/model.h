/* A model file, mapped and checked: what the executor and the runner read from it can be trusted.
 *
 * Checked at open (model.c: the file and its sections; model_check.c: the records): the tables' checksum, section bounds,
 * names, every index, tensor sizes, quantizations, arena ranges, and that each node reads only what is there by then. Left
 * to the session: the constants' checksum (constants.h), and whether tensors and attributes suit an op, which is for the
 * op's prepare (kernels/kernel.h).
 */
#ifndef QB_MODEL_H
#define QB_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../include/quantbench.h"
#include "format.h"

/* The most that a file, a tensor, the arena, the state, or a session's allocations together may take: a small file
 * cannot claim all memory, and sizes fit in a signed 32-bit number. */
#define QB_MEMORY_LIMIT ((uint64_t)1 << 30)

struct qb_model {
    const char *path; /* for messages; owned */
    const uint8_t *bytes;
    size_t size;
    const qb_model_header *header;
    const char *name;
    const qb_tensor_record *tensors;
    uint32_t tensor_count;
    const qb_node_record *nodes;
    uint32_t node_count;
    const uint32_t *links;
    uint32_t link_count;
    const float *scales;
    uint32_t scale_count;
    const char *strings; /* the last byte is NUL */
    uint32_t strings_size;
    const uint8_t *data;
    uint64_t data_size;
};

/* The records' half of the checks, in model_check.c. */
bool qb_model_check_records(const qb_model *model, qb_error *error);

/* Lets go of the pages of a part that was read, which the file can give again: they would count as the process's memory
 * beside what was packed from them. */
void qb_model_release_pages(const qb_model *model, const uint8_t *from, size_t size);

/* Bytes of one element, 0 for an unknown dtype. */
size_t qb_dtype_size(uint8_t dtype);

#endif
