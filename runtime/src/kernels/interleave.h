/* Packing's inner loops: columns that lie one after another become rows that hold a unit of each. */
#ifndef QB_INTERLEAVE_H
#define QB_INTERLEAVE_H

#include <stddef.h>

/* Where columns come from and go to. Column n begins `stride` bytes after column n − 1; in a row of `to`, which has room
 * for `nr` units, unit n is of column n. What lies past `columns` in a row stays as it is. */
typedef struct qb_columns {
    const void *from;
    size_t stride, columns, nr;
    void *to;
} qb_columns;

/* `count` rows of units of two or four bytes. */
void qb_interleave_16(const qb_columns *columns, size_t count);
void qb_interleave_32(const qb_columns *columns, size_t count);

#endif
