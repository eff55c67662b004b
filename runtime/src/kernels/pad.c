/* Pad with zeros: 0.0 in float, the zero point in int8. Paddings: constant (rank, 2), before and after. */
#include <string.h>

#include "checks.h"

typedef struct pad {
    int rank;
    size_t dims[QB_MAX_RANK];    /* of the input */
    size_t strides[QB_MAX_RANK]; /* of the output, in bytes */
    size_t start;                /* where the input's first element goes, in bytes */
    size_t row_size;             /* bytes of the innermost dimension */
    int fill;                    /* the byte that makes up a zero */
} pad;

static void run(const qb_step *step)
{
    const pad *op = step->state;
    const char *in = step->in[0]->data;
    const char *end = in + step->in[0]->size;
    char *out = (char *)step->out[0]->data + op->start;
    size_t at[QB_MAX_RANK] = {0};
    memset(step->out[0]->data, op->fill, step->out[0]->size);
    for (; in < end; in += op->row_size) {
        memmove(out, in, op->row_size);
        for (int d = op->rank - 2; d >= 0; d--) {
            out += op->strides[d];
            if (++at[d] < op->dims[d]) break;
            out -= op->strides[d] * at[d];
            at[d] = 0;
        }
    }
}

/* Each dimension of the output is the input's and what lies before and after it. */
static bool check_shape(qb_builder *builder, const qb_step *step, const qb_tensor *paddings)
{
    const qb_tensor *in = step->in[0], *out = step->out[0];
    for (int d = 0; d < in->rank; d++) {
        const int64_t before = qb_index_at(paddings, 2 * (size_t)d), after = qb_index_at(paddings, 2 * (size_t)d + 1);
        const bool possible = before >= 0 && before <= out->dims[d] && after >= 0 && after <= out->dims[d];
        if (!possible || in->dims[d] + before + after != out->dims[d]) {
            return qb_refuse(builder, step, "padding %lld and %lld do not lead to the output's dimension %d",
                             (long long)before, (long long)after, d);
        }
    }
    return true;
}

static bool check_tensors(qb_builder *builder, const qb_step *step)
{
    if (!qb_check_counts(builder, step, 2, 2) || !qb_check_elementary(builder, step) ||
        !qb_check_no_activation(builder, step)) {
        return false;
    }
    const qb_tensor *in = step->in[0], *out = step->out[0];
    if (in->rank < 1 || in->rank != out->rank) return qb_refuse(builder, step, "input and output differ in rank");
    if (in->dtype == QB_S8 && !qb_same_quantization(in, out)) {
        return qb_refuse(builder, step, "input and output are quantized differently");
    }
    return qb_check_index_const(builder, step, step->in[1], 2 * (size_t)in->rank) &&
           check_shape(builder, step, step->in[1]);
}

bool qb_prepare_PAD(qb_builder *builder, qb_step *step)
{
    if (!check_tensors(builder, step)) return false;
    pad *op = qb_alloc(builder, sizeof *op);
    if (op == NULL) return false;
    const qb_tensor *in = step->in[0], *out = step->out[0];
    size_t stride = out->size / out->count;
    op->rank = in->rank;
    op->row_size = stride * (size_t)in->dims[in->rank - 1];
    op->fill = in->dtype == QB_S8 ? out->zero_point : 0;
    for (int d = in->rank - 1; d >= 0; d--) {
        op->dims[d] = (size_t)in->dims[d];
        op->strides[d] = stride;
        op->start += stride * (size_t)qb_index_at(step->in[1], 2 * (size_t)d);
        stride *= (size_t)out->dims[d];
    }
    step->state = op;
    step->run = run;
    step->kernel = in->dtype == QB_S8 ? "pad_s8" : "pad_f32";
    return true;
}
