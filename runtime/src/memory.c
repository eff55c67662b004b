#define _DEFAULT_SOURCE /* madvise, clock_gettime */
#include "memory.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "model.h"

enum { HUGE_PAGE = 2 << 20, CHUNK = 4 << 20, LEAST_MAPPED = 128 << 10, SLOW_NS = 1000000 };

/* The head of every allocation; the memory handed out follows at the next multiple of QB_ALIGNMENT. */
struct qb_block {
    struct qb_block *next;
    size_t mapped; /* bytes; 0: of the heap */
};

static void *align(void *memory, size_t unit)
{
    return (void *)(((uintptr_t)memory + unit - 1) / unit * unit);
}

/* Large blocks are mapped, so that pages that are never touched stay unused and no heap clears them. */
static struct qb_block *new_block(size_t size)
{
    if (size < LEAST_MAPPED) return calloc(1, size);
    struct qb_block *block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) return NULL;
    block->mapped = size;
    return block;
}

void *qb_memory_alloc(qb_memory *memory, size_t bytes)
{
    if (bytes > QB_MEMORY_LIMIT - memory->allocated) return NULL;
    struct qb_block *block = new_block(sizeof *block + QB_ALIGNMENT + bytes);
    if (block == NULL) return NULL;
    block->next = memory->blocks;
    memory->blocks = block;
    memory->allocated += bytes;
    return align(block + 1, QB_ALIGNMENT);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Clearing a huge page takes a tenth of the time that its small pages' faults would take. Not in a virtual machine whose host
 * has to find memory for it first: that takes milliseconds, and the small pages at hand do not. */
static void take_huge_page(qb_memory *memory, volatile uint8_t *page)
{
    madvise((void *)(uintptr_t)page, HUGE_PAGE, MADV_HUGEPAGE); /* a wish: failure changes nothing */
    const int64_t before = now_ns();
    *page = 0;
    memory->huge_pages_are_slow = now_ns() - before > SLOW_NS;
}

static void *alloc_huge(qb_memory *memory, size_t bytes)
{
    void *block = qb_memory_alloc(memory, bytes + HUGE_PAGE);
    if (block == NULL) return NULL;
    uint8_t *start = align(block, HUGE_PAGE);
    for (size_t at = 0; at + HUGE_PAGE <= bytes && !memory->huge_pages_are_slow; at += HUGE_PAGE) {
        take_huge_page(memory, start + at);
    }
    return start;
}

void *qb_memory_take(qb_memory *memory, size_t bytes)
{
    if (bytes > CHUNK / 2) return alloc_huge(memory, bytes);
    const size_t taken = (bytes + QB_ALIGNMENT - 1) / QB_ALIGNMENT * QB_ALIGNMENT;
    if (taken > memory->left) {
        uint8_t *chunk = alloc_huge(memory, CHUNK);
        if (chunk == NULL) return NULL;
        memory->next = chunk;
        memory->left = CHUNK;
    }
    void *start = memory->next;
    memory->next += taken;
    memory->left -= taken;
    return start;
}

void qb_memory_free(qb_memory *memory)
{
    while (memory->blocks != NULL) {
        struct qb_block *block = memory->blocks;
        memory->blocks = block->next;
        if (block->mapped > 0) munmap(block, block->mapped);
        else free(block);
    }
}
