/* Concatenation along an axis. Bytes are copied: quantized inputs have the output's scale and zero point. Those of a
 * model that was uint8 may have their own, and are then requantized as TFLite's ConcatenationWithScaling does it: in
 * float32, on the values as they were, which are ours plus 128.
 */
#include <math.h>
#include <string.h>

#include "checks.h"

enum { VALUES = 256 };

typedef struct concatenation {
    size_t outer;       /* product of the dimensions before the axis */
    size_t inner_bytes; /* of the dimensions after the axis, in bytes */
    int axis;
    const int8_t **tables; /* [in_count]: for each byte of an input the output's, or NULL where it is the same */
} concatenation;

/* May work in place. */
static void requantize(const int8_t *table, const uint8_t *in, int8_t *out, size_t count)
{
    for (size_t i = 0; i < count; i++) out[i] = table[in[i]];
}

static void run(const qb_step *step)
{
    const concatenation *op = step->state;
    char *out = step->out[0]->data;
    for (size_t o = 0; o < op->outer; o++) {
        for (uint32_t i = 0; i < step->in_count; i++) {
            const size_t size = (size_t)step->in[i]->dims[op->axis] * op->inner_bytes;
            const char *in = (const char *)step->in[i]->data + o * size;
            if (op->tables[i] == NULL) {
                memmove(out, in, size);
            } else {
                requantize(op->tables[i], (const uint8_t *)in, (int8_t *)out, size);
            }
            out += size;
        }
    }
}

static bool set_table(qb_builder *builder, const qb_tensor *in, const qb_tensor *out, const int8_t **table)
{
    int8_t *values = qb_alloc(builder, VALUES);
    if (values == NULL) return false;
    const float inverse = 1.0f / out->scales[0];
    const float scale = in->scales[0] * inverse;
    const float bias = (float)-(in->zero_point + 128) * scale;
    for (int byte = 0; byte < VALUES; byte++) {
        const int stored = (int8_t)byte + 128;
        const float rounded = roundf((float)stored * scale + bias);
        const double value = (double)rounded + out->zero_point;
        values[byte] = (int8_t)(value > 127.0 ? 127 : value > -128.0 ? (int)value : -128);
    }
    *table = values;
    return true;
}

/* An input that has the output's dtype, and its shape but for the axis. */
static bool check_input(qb_builder *builder, const qb_step *step, const qb_tensor *in, int axis)
{
    const qb_tensor *out = step->out[0];
    if (in->dtype != out->dtype) return qb_refuse(builder, step, "'%s' and the output differ in dtype", in->name);
    for (int d = 0; d < out->rank; d++) {
        if (in->rank != out->rank || (d != axis && in->dims[d] != out->dims[d])) {
            return qb_refuse(builder, step, "the shape of '%s' does not fit the output's", in->name);
        }
    }
    return true;
}

static bool set_tables(qb_builder *builder, const qb_step *step, concatenation *op)
{
    const qb_tensor *out = step->out[0];
    op->tables = qb_alloc(builder, step->in_count * sizeof *op->tables);
    if (op->tables == NULL) return false;
    for (uint32_t i = 0; i < step->in_count; i++) {
        const qb_tensor *in = step->in[i];
        if (out->quant_count == 0 || qb_same_quantization(in, out)) continue;
        if (step->node->options[0] == 0 || in->dtype != QB_S8 || in->quant_count != 1 || out->quant_count != 1) {
            return qb_refuse(builder, step, "'%s' is quantized differently from the output", in->name);
        }
        if (!set_table(builder, in, out, &op->tables[i])) return false;
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
    if (op == NULL || !set_tables(builder, step, op)) return false;
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
