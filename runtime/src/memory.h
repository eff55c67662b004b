/* The memory of a session: zeroed, aligned, freed all at once. */
#ifndef QB_MEMORY_H
#define QB_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct qb_memory {
    struct qb_block *blocks;
    uint64_t allocated; /* bytes; at most QB_MEMORY_LIMIT */
    uint8_t *next;      /* what is left of the latest chunk */
    size_t left;
    bool huge_pages_are_slow; /* no more of them are asked for */
} qb_memory;

/* Pages of large blocks that are never touched stay unused. Both return NULL where there is no memory, or the limit is reached. */
void *qb_memory_alloc(qb_memory *memory, size_t bytes);

/* The same from chunks of huge pages, while they come fast, for much that is small and all used: a page fault each 2 MB
 * instead of each 4 kB. */
void *qb_memory_take(qb_memory *memory, size_t bytes);

void qb_memory_free(qb_memory *memory);

#endif
