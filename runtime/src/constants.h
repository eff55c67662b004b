/* Reading a model file's constants once, while a session is made: their checksum goes as far as each op needs, just before
 * it packs them, and what both have read is let go. */
#ifndef QB_CONSTANTS_H
#define QB_CONSTANTS_H

#include "kernels/kernel.h"
#include "model.h"

typedef struct qb_constants {
    const qb_model *model;
    size_t checked; /* bytes of the data, from its start, that `crc` is of */
    uint32_t crc;
    size_t first, end; /* the part of the data that was read since pages were last let go; end 0: none */
} qb_constants;

/* Before the step's constants are read. */
void qb_constants_take(qb_constants *constants, const qb_step *step);

/* After the step. */
void qb_constants_release(qb_constants *constants);

/* The rest of the checksum. False, with *error filled in, where it does not match: what was read is worth nothing. */
bool qb_constants_finish(qb_constants *constants, qb_error *error);

#endif
