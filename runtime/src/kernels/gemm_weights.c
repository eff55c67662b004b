/* int8 weights from the file's order to that of the micro-kernels. */
#include "gemm_weights.h"

#include "interleave.h"

enum { MAX_KR = 16 }; /* the largest kr of any kernel */

/* Where the depths of a column lie in its group. offsets: [kr]. */
static void place_depths(const qb_gemm_s8 *kernel, size_t column, size_t *offsets)
{
    const size_t kr = kernel->kr, kp = kernel->kp > 0 ? kernel->kp : kr, n = column % kernel->nr;
    for (size_t k = 0; k < kr; k++) {
        offsets[k] = n / 4 * 4 * kr + (k / kp * 4 + n % 4) * kp + k % kp;
    }
}

/* One tap of one column, group by group. */
static void pack_depths(const qb_gemm_s8 *kernel, size_t column, const int8_t *from, size_t used, int moved, int8_t *group)
{
    const size_t kr = kernel->kr;
    size_t offsets[MAX_KR];
    place_depths(kernel, column, offsets);
    for (size_t k = 0; k < used; k += kr, group += kernel->nr * kr) {
        const size_t count = used - k < kr ? used - k : kr;
        for (size_t i = 0; i < count; i++) group[offsets[i]] = (int8_t)(from[k + i] + moved);
    }
}

/* What packs whole groups that have a column's depths side by side; NULL for others. */
static void (*interleave_of(const qb_gemm_s8 *kernel))(const qb_columns *columns, size_t count)
{
    if (kernel->kp != 0) return NULL;
    return kernel->kr == 2 ? qb_interleave_16 : kernel->kr == 4 ? qb_interleave_32 : NULL;
}

int8_t *qb_gemm_s8_weights(qb_builder *builder, const qb_gemm_s8 *kernel, const qb_linear *op, const qb_rows *rows,
                           int moved)
{
    const size_t nr = kernel->nr, kr = kernel->kr, columns = (size_t)op->shape.out_c, line = qb_linear_depth(&op->shape);
    const size_t taps = rows->taps, depth = (size_t)qb_round_up(rows->depth, kr);
    const size_t used = line / taps; /* the rest of the depth stays zero */
    int8_t *weights = qb_alloc_array(builder, qb_round_up(columns, nr) * taps * depth, sizeof *weights);
    if (weights == NULL) return NULL;
    void (*const interleave)(const qb_columns *, size_t) = moved == 0 ? interleave_of(kernel) : NULL;
    const size_t whole = interleave != NULL ? used / kr * kr : 0;
    for (size_t first = 0; first < columns; first += nr) {
        const size_t count = columns - first < nr ? columns - first : nr;
        const int8_t *from = (const int8_t *)op->weights + first * line;
        int8_t *to = weights + first * depth * taps;
        for (size_t t = 0; t < taps; t++, from += used, to += depth * nr) {
            const qb_columns panel = {.from = from, .stride = line, .columns = count, .nr = nr, .to = to};
            if (whole > 0) interleave(&panel, whole / kr);
            for (size_t n = 0; whole < used && n < count; n++) {
                pack_depths(kernel, n, from + n * line + whole, used - whole, moved, to + whole * nr);
            }
        }
    }
    return weights;
}
