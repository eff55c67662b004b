#include "reduction.h"

#include "checks.h"

/* Sets reduced[d] for the axes. */
static bool read_axes(qb_builder *builder, const qb_step *step, bool *reduced)
{
    const qb_tensor *axes = step->in[1];
    const int rank = step->in[0]->rank;
    if (!qb_check_index_const(builder, step, axes, axes->count)) return false;
    for (size_t i = 0; i < axes->count && rank > 0; i++) { /* a scalar has no axes, whatever is listed */
        const int64_t axis = qb_index_at(axes, i);
        if (axis < -rank || axis >= rank) return qb_refuse(builder, step, "there is no axis %lld", (long long)axis);
        reduced[axis < 0 ? axis + rank : axis] = true;
    }
    return true;
}

/* The output's dimensions are the input's that are not reduced, in order, but for ones of length 1. */
static bool check_output(qb_builder *builder, const qb_step *step, const bool *reduced)
{
    const qb_tensor *in = step->in[0], *out = step->out[0];
    const bool keeps = out->rank == in->rank;
    int o = 0;
    for (int d = 0; d < in->rank; d++) {
        if (reduced[d] && !keeps) continue;
        if (o >= out->rank || out->dims[o] != (reduced[d] ? 1 : in->dims[d])) {
            return qb_refuse(builder, step, "the output's shape does not follow from input and axes");
        }
        o++;
    }
    if (o != out->rank) return qb_refuse(builder, step, "the output's shape does not follow from input and axes");
    return true;
}

bool qb_reduction_prepare(qb_builder *builder, const qb_step *step, qb_reduction *reduction)
{
    bool reduced[QB_MAX_RANK] = {false};
    if (!read_axes(builder, step, reduced) || !check_output(builder, step, reduced)) return false;
    const qb_tensor *in = step->in[0];
    if (in->count == 0) return qb_refuse(builder, step, "the input is empty");
    size_t stride = 1;
    reduction->rank = in->rank;
    for (int d = in->rank - 1; d >= 0; d--) {
        reduction->dims[d] = (size_t)in->dims[d];
        reduction->strides[d] = reduced[d] ? 0 : stride;
        if (!reduced[d]) stride *= reduction->dims[d];
    }
    reduction->reduced = in->count / step->out[0]->count;
    return true;
}
