#include "interleave.h"

#include <stdint.h>
#include <string.h>

enum { SQUARE = 4, LINE = 64 }; /* columns of a block; bytes of each, a cache line's */

/* Four columns' next four words, as GCC's and Clang's vectors: one register on every ISA. */
typedef uint32_t words __attribute__((vector_size(16)));
typedef uint16_t halves __attribute__((vector_size(16)));

typedef struct square {
    words row[SQUARE];
} square;

/* The words of four columns from `at` on, transposed. */
static inline square load_square(const qb_columns *c, size_t column, size_t at)
{
    words w[SQUARE];
    const char *from = (const char *)c->from + column * c->stride + at;
    for (size_t n = 0; n < SQUARE; n++, from += c->stride) memcpy(&w[n], from, sizeof w[n]);
    const words low01 = __builtin_shufflevector(w[0], w[1], 0, 4, 1, 5), high01 = __builtin_shufflevector(w[0], w[1], 2, 6, 3, 7);
    const words low23 = __builtin_shufflevector(w[2], w[3], 0, 4, 1, 5), high23 = __builtin_shufflevector(w[2], w[3], 2, 6, 3, 7);
    return (square){{
        __builtin_shufflevector(low01, low23, 0, 1, 4, 5),
        __builtin_shufflevector(low01, low23, 2, 3, 6, 7),
        __builtin_shufflevector(high01, high23, 0, 1, 4, 5),
        __builtin_shufflevector(high01, high23, 2, 3, 6, 7),
    }};
}

/* A square at row `row` of units of four bytes. */
static inline void store_32(const qb_columns *c, size_t column, size_t row, const square *s)
{
    char *to = (char *)c->to + (row * c->nr + column) * sizeof(uint32_t);
    for (size_t i = 0; i < SQUARE; i++, to += c->nr * sizeof(uint32_t)) memcpy(to, &s->row[i], sizeof s->row[i]);
}

/* A square at row `row` of units of two bytes: eight rows. */
static inline void store_16(const qb_columns *c, size_t column, size_t row, const square *s)
{
    char *to = (char *)c->to + (row * c->nr + column) * sizeof(uint16_t);
    const size_t step = c->nr * sizeof(uint16_t);
    for (size_t i = 0; i < SQUARE; i++, to += 2 * step) {
        const halves pairs = (halves)s->row[i];
        const halves parted = __builtin_shufflevector(pairs, pairs, 0, 2, 4, 6, 1, 3, 5, 7);
        memcpy(to, &parted, sizeof parted / 2);
        memcpy(to + step, (const char *)&parted + sizeof parted / 2, sizeof parted / 2);
    }
}

/* Rows from `first` on of the columns from `column` on, unit by unit. size: a constant wherever this is inlined. */
static inline void move_units(const qb_columns *c, size_t column, size_t first, size_t count, const size_t size)
{
    for (; column < c->columns; column++) {
        const char *from = (const char *)c->from + column * c->stride;
        char *to = (char *)c->to + column * size;
        for (size_t k = first; k < count; k++) memcpy(to + k * c->nr * size, from + k * size, size);
    }
}

/* Cache line by cache line: those of four columns are read whole, before others take their place in the cache. */
static inline void interleave(const qb_columns *c, size_t count, const size_t size,
                              void (*const store)(const qb_columns *c, size_t column, size_t row, const square *s))
{
    const size_t whole = count * size / sizeof(words) * sizeof(words), columns = c->columns / SQUARE * SQUARE;
    for (size_t line = 0; line < whole; line += LINE) {
        const size_t end = whole - line < LINE ? whole : line + LINE;
        for (size_t column = 0; column < columns; column += SQUARE) {
            for (size_t at = line; at < end; at += sizeof(words)) {
                const square s = load_square(c, column, at);
                store(c, column, at / size, &s);
            }
        }
    }
    move_units(c, columns, 0, whole / size, size);
    move_units(c, 0, whole / size, count, size);
}

void qb_interleave_16(const qb_columns *columns, size_t count)
{
    interleave(columns, count, sizeof(uint16_t), store_16);
}

void qb_interleave_32(const qb_columns *columns, size_t count)
{
    interleave(columns, count, sizeof(uint32_t), store_32);
}
