/* Broadcasting: a loop over the output of an op whose inputs repeat along the dimensions in which their length is 1,
 * shapes aligned at the innermost dimension (NumPy's rule). */
#ifndef QB_BROADCAST_H
#define QB_BROADCAST_H

#include "kernel.h"

enum { QB_MAX_OPERANDS = 3 };

typedef struct qb_broadcast {
    int operands;
    int rank;                                      /* at least 1; dimensions that all run through alike are one */
    size_t dims[QB_MAX_RANK];                      /* of the output */
    size_t strides[QB_MAX_OPERANDS][QB_MAX_RANK];  /* in bytes; 0 where the operand repeats */
    size_t out_size;                               /* bytes of one element of the output */
} qb_broadcast;

/* Computes `count` values of the output; operand i begins at in[i] and its values are steps[i] bytes apart. */
typedef void (*qb_row_fn)(const void *state, const char *const *in, const size_t *steps, void *out, size_t count);

/* Fills in how all inputs of the step broadcast to its output; refuses shapes that do not. */
bool qb_broadcast_prepare(qb_builder *builder, const qb_step *step, qb_broadcast *broadcast);

/* Calls `row` for every row of the output, state handed through. */
void qb_broadcast_run(const qb_step *step, const qb_broadcast *broadcast, qb_row_fn row, const void *state);

/* Defines a qb_row_fn of two operands: out[i] = expression in a, b and op, the state. */
#define QB_BINARY_ROW(name, state_type, in_type, out_type, expression)                                              \
    static void name(const void *state, const char *const *in, const size_t *steps, void *out_row, size_t count)   \
    {                                                                                                               \
        const state_type *op = state;                                                                               \
        const char *a_at = in[0], *b_at = in[1];                                                                    \
        out_type *out = out_row;                                                                                    \
        (void)op;                                                                                                   \
        for (size_t i = 0; i < count; i++, a_at += steps[0], b_at += steps[1]) {                                    \
            const in_type a = *(const in_type *)a_at, b = *(const in_type *)b_at;                                   \
            out[i] = (out_type)(expression);                                                                        \
        }                                                                                                           \
    }

#endif
