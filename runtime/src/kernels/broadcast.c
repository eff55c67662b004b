#include "broadcast.h"

/* Strides of an input against the output's dimensions. */
static bool set_strides(qb_builder *builder, const qb_step *step, const qb_tensor *in, size_t *strides)
{
    const qb_tensor *out = step->out[0];
    size_t stride = in->size / in->count;
    for (int i = in->rank - 1, o = out->rank - 1; i >= 0; i--, o--) {
        if (o < 0 || (in->dims[i] != out->dims[o] && in->dims[i] != 1)) {
            return qb_refuse(builder, step, "the shape of '%s' does not broadcast to the output's", in->name);
        }
        strides[o] = in->dims[i] == 1 ? 0 : stride;
        stride *= (size_t)in->dims[i];
    }
    return true;
}

/* Every dimension of the output is that of one of the inputs, not longer than all. */
static bool check_output_shape(qb_builder *builder, const qb_step *step, const qb_broadcast *broadcast)
{
    const qb_tensor *out = step->out[0];
    for (int d = 0; d < out->rank; d++) {
        bool covered = out->dims[d] == 1;
        for (int i = 0; i < broadcast->operands; i++) covered |= broadcast->strides[i][d] != 0;
        if (!covered) return qb_refuse(builder, step, "the output is larger than all inputs");
    }
    return true;
}

/* Whether dimension d and the one inside it can be run through as one. */
static bool mergeable(const qb_broadcast *broadcast, int d)
{
    for (int i = 0; i < broadcast->operands; i++) {
        if (broadcast->strides[i][d] != broadcast->strides[i][d + 1] * broadcast->dims[d + 1]) return false;
    }
    return true;
}

/* Drops dimensions of length 1 and merges neighbours, so that rows are as long as they can be. */
static void merge_dimensions(qb_broadcast *broadcast)
{
    for (int d = broadcast->rank - 2; d >= 0; d--) {
        const bool drop_inner = broadcast->dims[d + 1] == 1, drop_outer = broadcast->dims[d] == 1;
        if (!drop_inner && !drop_outer && !mergeable(broadcast, d)) continue;
        broadcast->dims[d] *= broadcast->dims[d + 1];
        for (int i = 0; i < broadcast->operands; i++) {
            if (!drop_inner) broadcast->strides[i][d] = broadcast->strides[i][d + 1];
        }
        broadcast->rank--;
        for (int e = d + 1; e < broadcast->rank; e++) {
            broadcast->dims[e] = broadcast->dims[e + 1];
            for (int i = 0; i < broadcast->operands; i++) broadcast->strides[i][e] = broadcast->strides[i][e + 1];
        }
    }
}

bool qb_broadcast_prepare(qb_builder *builder, const qb_step *step, qb_broadcast *broadcast)
{
    const qb_tensor *out = step->out[0];
    if (step->in_count > QB_MAX_OPERANDS || out->count == 0) return qb_refuse(builder, step, "cannot broadcast");
    broadcast->operands = (int)step->in_count;
    for (int i = 0; i < broadcast->operands; i++) {
        if (step->in[i]->count == 0) return qb_refuse(builder, step, "input '%s' is empty", step->in[i]->name);
        if (!set_strides(builder, step, step->in[i], broadcast->strides[i])) return false;
    }
    if (!check_output_shape(builder, step, broadcast)) return false;
    broadcast->out_size = out->size / out->count;
    broadcast->rank = out->rank > 0 ? out->rank : 1;
    for (int d = 0; d < broadcast->rank; d++) broadcast->dims[d] = (size_t)out->dims[d];
    merge_dimensions(broadcast);
    return true;
}

void qb_broadcast_run(const qb_step *step, const qb_broadcast *broadcast, qb_row_fn row, const void *state)
{
    const int operands = broadcast->operands, inner = broadcast->rank - 1;
    const size_t count = broadcast->dims[inner], row_size = count * broadcast->out_size;
    const char *in[QB_MAX_OPERANDS];
    size_t steps[QB_MAX_OPERANDS], at[QB_MAX_RANK] = {0};
    char *out = step->out[0]->data;
    for (int i = 0; i < operands; i++) {
        in[i] = step->in[i]->data;
        steps[i] = broadcast->strides[i][inner];
    }
    for (size_t done = 0; done < step->out[0]->size; done += row_size) {
        row(state, in, steps, out + done, count);
        for (int d = inner - 1; d >= 0; d--) {
            at[d]++;
            for (int i = 0; i < operands; i++) in[i] += broadcast->strides[i][d];
            if (at[d] < broadcast->dims[d]) break;
            for (int i = 0; i < operands; i++) in[i] -= broadcast->strides[i][d] * at[d];
            at[d] = 0;
        }
    }
}
