/* Concatenation along an axis. Quantized inputs have the output's scale and zero point, so bytes are copied. */
#include <string.h>

#include "checks.h"

typedef struct concatenation {
    size_t outer;       /* product of the dimensions before the axis */
    size_t inner_bytes; /* of the dimensions after the axis, in bytes */
    int axis;
} concatenation;

static void run(const qb_step *step)
{
    const concatenation *op = step->state;
    char *out = step->out[0]->data;
    for (size_t o = 0; o < op->outer; o++) {
        for (uint32_t i = 0; i < step->in_count; i++) {
            const size_t size = (size_t)step->in[i]->dims[op->axis] * op->inner_bytes;
            memmove(out, (const char *)step->in[i]->data + o * size, size);
            out += size;
        }
    }
}

/* An input that has the output's dtype, quantization, and shape but for the axis. */
static bool check_input(qb_builder *builder, const qb_step *step, const qb_tensor *in, int axis)
{
    const qb_tensor *out = step->out[0];
    if (in->dtype != out->dtype) return qb_refuse(builder, step, "'%s' and the output differ in dtype", in->name);
    if (out->quant_count > 0 && !qb_same_quantization(in, out)) {
        return qb_refuse(builder, step, "'%s' is quantized differently from the output", in->name);
    }
    for (int d = 0; d < out->rank; d++) {
        if (in->rank != out->rank || (d != axis && in->dims[d] != out->dims[d])) {
            return qb_refuse(builder, step, "the shape of '%s' does not fit the output's", in->name);
        }
    }
    return true;
}

static bool check_tensors(qb_builder *builder, const qb_step *step)
{
    const uint32_t count = step->in_count > 0 ? step->in_count : 1;
    if (!qb_check_counts(builder, step, count, count) || !qb_check_no_activation(builder, step)) return false;
    const qb_tensor *out = step->out[0];
    const int axis = step->node->axis;
    if (axis < 0 || axis >= out->rank) return qb_refuse(builder, step, "there is no axis %d", axis);
    int64_t length = 0;
    for (uint32_t i = 0; i < step->in_count; i++) {
        if (!check_input(builder, step, step->in[i], axis)) return false;
        length += step->in[i]->dims[axis];
    }
    if (length != out->dims[axis]) return qb_refuse(builder, step, "the inputs do not add up to the output");
    return true;
}

bool qb_prepare_CONCATENATION(qb_builder *builder, qb_step *step)
{
    if (!check_tensors(builder, step)) return false;
    concatenation *op = qb_alloc(builder, sizeof *op);
    if (op == NULL) return false;
    const qb_tensor *out = step->out[0];
    op->axis = step->node->axis;
    op->outer = 1;
    op->inner_bytes = out->size / out->count;
    for (int d = 0; d < op->axis; d++) op->outer *= (size_t)out->dims[d];
    for (int d = op->axis + 1; d < out->rank; d++) op->inner_bytes *= (size_t)out->dims[d];
    step->state = op;
    step->run = run;
    step->kernel = "copy";
    return true;
}
