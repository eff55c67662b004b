/* Select: out = condition ? a : b, all three broadcast; the values are copied as they are stored. */
#include <string.h>

#include "broadcast.h"
#include "checks.h"

#define DEFINE_ROW(name, type)                                                                                    \
    static void name(const void *state, const char *const *in, const size_t *steps, void *out_row, size_t count) \
    {                                                                                                             \
        const char *condition = in[0], *a = in[1], *b = in[2];                                                    \
        type *out = out_row;                                                                                      \
        (void)state;                                                                                              \
        for (size_t i = 0; i < count; i++, condition += steps[0], a += steps[1], b += steps[2]) {                 \
            out[i] = *(const type *)(*condition != 0 ? a : b);                                                    \
        }                                                                                                         \
    }

DEFINE_ROW(row_8, uint8_t)
DEFINE_ROW(row_16, uint16_t)
DEFINE_ROW(row_32, uint32_t)
DEFINE_ROW(row_64, uint64_t)

typedef struct select_state {
    qb_broadcast broadcast;
    qb_row_fn row;
} select_state;

static void run(const qb_step *step)
{
    const select_state *op = step->state;
    qb_broadcast_run(step, &op->broadcast, op->row, op);
}

bool qb_prepare_SELECT(qb_builder *builder, qb_step *step)
{
    if (!qb_check_counts(builder, step, 3, 3) || !qb_check_no_activation(builder, step) ||
        !qb_check_dtype(builder, step, step->in[0], QB_BOOL)) {
        return false;
    }
    const qb_tensor *a = step->in[1], *b = step->in[2], *out = step->out[0];
    if (a->dtype != out->dtype || b->dtype != out->dtype) return qb_refuse(builder, step, "dtypes differ");
    select_state *op = qb_alloc(builder, sizeof *op);
    if (op == NULL || !qb_broadcast_prepare(builder, step, &op->broadcast)) return false;
    const size_t size = op->broadcast.out_size;
    op->row = size == 1 ? row_8 : size == 2 ? row_16 : size == 4 ? row_32 : row_64;
    step->state = op;
    step->run = run;
    step->kernel = "select";
    return true;
}
