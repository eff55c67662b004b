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

/* Elements of the input, from the start of its innermost dimension, that are neighbours in the output too. */
static inline size_t qb_reduction_run(const qb_reduction *reduction)
{
    const int last = reduction->rank - 1;
    return last >= 0 && reduction->strides[last] == 1 ? reduction->dims[last] : 1;
}

/* Moves `at` on by `count` elements of the input, one or a run, and returns the new index in the output. */
static inline size_t qb_reduction_skip(const qb_reduction *reduction, size_t *at, size_t out, size_t count)
{
    for (int d = reduction->rank - (count > 1 ? 2 : 1); d >= 0; d--) {
        out += reduction->strides[d];
        if (++at[d] < reduction->dims[d]) break;
        out -= reduction->strides[d] * at[d];
        at[d] = 0;
    }
    return out;
}

static inline size_t qb_reduction_next(const qb_reduction *reduction, size_t *at, size_t out)
{
    return qb_reduction_skip(reduction, at, out, 1);
}

#endif
