/* The int8 GEMM's two halves: what gemm_s8_prepare.c plans at load and gemm_s8.c runs. */
#ifndef QB_GEMM_S8_H
#define QB_GEMM_S8_H

#include "gemm_image.h"
#include "gemm_parts.h"
#include "gemm_rows.h"

/* What prepare leaves: op->fast. Offsets are bytes into scratch. */
typedef struct qb_packed_s8 {
    const qb_gemm_s8 *kernel;
    qb_rows rows;
    bool padded; /* windows are read in `image` instead */
    qb_padded image;
    bool widened; /* weights, part by part */
    qb_parts parts;
    qb_part whole; /* all of the depth, where weights are not widened */
    size_t tiles;    /* in a block, whose rows are packed before any of its columns is computed */
    size_t block;    /* columns computed for a block of tiles before the next ones: their weights stay in the cache */
    qb_tile_s8 tile; /* all that does not change from tile to tile */
    const int8_t *padding; /* int8: in_c times the input's zero point */
    int32_t weight_zero;   /* what the packed weights have as their zero point */
    size_t workspace_bytes; /* of a tile */
    size_t records, pointers, gathered, padded_image, workspace, sums, quant, row_start, wide, parted, start, factor;
} qb_packed_s8;

/* Input values that the micro-kernel multiplies by one column's weights, zeros included. */
static inline uint64_t qb_padded_depth(const qb_packed_s8 *packed)
{
    return (uint64_t)packed->rows.taps * qb_round_up(packed->rows.depth, packed->kernel->kr);
}

void qb_gemm_s8_run(const qb_step *step);
void qb_gemm_s8_run_hybrid(const qb_step *step);

#endif
