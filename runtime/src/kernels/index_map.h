/* Ops that only move values: where each one goes, or comes from, is a sum of one term for each dimension.
 *
 *     gather   out[i][j]… = in[offsets[0][i] + offsets[1][j] + …]      for all of the output
 *     scatter  out[offsets[0][i] + offsets[1][j] + …] = in[i][j]…      for all of the input, the rest is filled
 *
 * An op's prepare makes the map, writes the offsets, counted in elements, and finishes it. Values are moved by
 * their size, whatever they mean.
 */
#ifndef QB_INDEX_MAP_H
#define QB_INDEX_MAP_H

#include "checks.h"

typedef struct qb_index_map {
    int rank;
    size_t dims[QB_MAX_RANK];     /* of the tensor that is walked in order */
    size_t *offsets[QB_MAX_RANK]; /* [dims[d]]: into the other tensor */
    size_t element_size;
    uint8_t fill[8]; /* scatter: the bytes of the value in between */
    /* What finishing finds: rows of `steps` runs of `run` elements, whose places differ by inner[0], inner[1], … */
    size_t rows, steps, run;
    const size_t *inner;
    size_t start; /* the offset of all runs */
    int outer;    /* the dimensions that count rows */
} qb_index_map;

/* Input 0 and the output are values of one dtype and nothing else is asked of them. */
bool qb_check_moved(qb_builder *builder, const qb_step *step);

/* A map that walks this tensor, with offsets to fill in; NULL where there is no memory. */
qb_index_map *qb_map_new(qb_builder *builder, const qb_tensor *walked);

/* Offsets of one dimension at a regular distance: first + i · step. */
void qb_map_regular(qb_index_map *map, int dimension, size_t first, ptrdiff_t step);

/* Readies the step to move input 0 to the output; every offset sum must lie in the other tensor. */
void qb_map_gather(qb_step *step, qb_index_map *map);
void qb_map_scatter(qb_step *step, qb_index_map *map);

/* The distance in elements between neighbours of each dimension of a tensor. */
void qb_strides(const qb_tensor *tensor, size_t strides[QB_MAX_RANK]);

#endif
