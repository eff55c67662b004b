/* out[o][j][i] is `on` where indices[o][i] = j, else `off`; j is a new dimension, of the constant depth. */
#include <string.h>

#include "checks.h"

typedef struct one_hot {
    size_t outer, depth, inner;
    size_t element_size;
} one_hot;

static void run(const qb_step *step)
{
    const one_hot *op = step->state;
    const char *on = step->in[2]->data, *off = step->in[3]->data;
    char *out = step->out[0]->data;
    for (size_t o = 0; o < op->outer; o++) {
        for (size_t j = 0; j < op->depth; j++) {
            for (size_t i = 0; i < op->inner; i++, out += op->element_size) {
                const bool hit = qb_index_at(step->in[0], o * op->inner + i) == (int64_t)j;
                memcpy(out, hit ? on : off, op->element_size);
            }
        }
    }
}

static bool check_tensors(qb_builder *builder, const qb_step *step)
{
    if (!qb_check_counts(builder, step, 4, 4) || !qb_check_no_activation(builder, step) ||
        !qb_check_index_const(builder, step, step->in[1], 1)) {
        return false;
    }
    const qb_tensor *indices = step->in[0], *on = step->in[2], *off = step->in[3], *out = step->out[0];
    if (indices->dtype != QB_S32 && indices->dtype != QB_S64) {
        return qb_refuse(builder, step, "'%s' is no tensor of indices", indices->name);
    }
    if (on->dtype != out->dtype || off->dtype != out->dtype || on->count != 1 || off->count != 1) {
        return qb_refuse(builder, step, "'%s' and '%s' are not one value each of the output's dtype", on->name, off->name);
    }
    return true;
}

bool qb_prepare_ONE_HOT(qb_builder *builder, qb_step *step)
{
    if (!check_tensors(builder, step)) return false;
    const qb_tensor *indices = step->in[0], *out = step->out[0];
    const int axis = step->node->axis;
    one_hot *op = qb_alloc(builder, sizeof *op);
    if (op == NULL) return false;
    if (axis < 0 || axis > indices->rank || out->rank != indices->rank + 1 ||
        out->dims[axis] != qb_index_at(step->in[1], 0)) {
        return qb_refuse(builder, step, "the depth is not dimension %d of the output", axis);
    }
    *op = (one_hot){.outer = 1, .depth = (size_t)out->dims[axis], .inner = 1, .element_size = out->size / out->count};
    for (int d = 0; d < indices->rank; d++) {
        if (indices->dims[d] != out->dims[d < axis ? d : d + 1]) {
            return qb_refuse(builder, step, "indices and output differ in dimension %d", d);
        }
        *(d < axis ? &op->outer : &op->inner) *= (size_t)indices->dims[d];
    }
    step->state = op;
    step->run = run;
    step->kernel = "one_hot";
    return true;
}
