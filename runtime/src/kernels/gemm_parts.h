/* Great depths in parts, so that a panel's widened weights stay in the first-level cache while all tiles of a block are
 * multiplied by them. */
#ifndef QB_GEMM_PARTS_H
#define QB_GEMM_PARTS_H

#include "gemm.h"

/* How a depth is cut: several whole taps, or a piece of one. In groups of kr depths. */
typedef struct qb_parts {
    size_t all_taps, tap_groups; /* of the rows */
    size_t taps, groups;         /* of a part */
    size_t tap_step, kr;         /* bytes from tap to tap, and of a group */
} qb_parts;

/* Parts of about the same size, of at most `most` groups where one tap has no more. tap_step 0: the taps of a row are side by
 * side and count as one. */
qb_parts qb_parts_plan(size_t taps, size_t depth, size_t tap_step, size_t kr, size_t most);

qb_part qb_parts_first(const qb_parts *parts);

/* The one behind a part that is not the last. */
qb_part qb_parts_next(const qb_parts *parts, const qb_part *part);

#endif
