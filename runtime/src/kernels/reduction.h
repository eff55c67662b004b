/* Walking an input that is reduced over the axes that a constant names; the others keep their order. The output has
 * the reduced dimensions with length 1 or not at all. */
#ifndef QB_REDUCTION_H
#define QB_REDUCTION_H

#include "kernel.h"

typedef struct qb_reduction {
    int rank;
    size_t dims[QB_MAX_RANK];    /* of the input */
    size_t strides[QB_MAX_RANK]; /* of the output along the input's dimensions; 0 along a reduced one */
    size_t reduced;              /* elements of the input that one of the output covers */
} qb_reduction;

/* Reads axes (input 1) and checks that the output's shape follows from them; negative axes count from the end. */
bool qb_reduction_prepare(qb_builder *builder, const qb_step *step, qb_reduction *reduction);

/* Moves `at` on by one element of the input and returns the new index in the output. */
static inline size_t qb_reduction_next(const qb_reduction *reduction, size_t *at, size_t out)
{
    for (int d = reduction->rank - 1; d >= 0; d--) {
        out += reduction->strides[d];
        if (++at[d] < reduction->dims[d]) break;
        out -= reduction->strides[d] * at[d];
        at[d] = 0;
    }
    return out;
}

#endif
