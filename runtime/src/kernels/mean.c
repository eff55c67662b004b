/* Mean over the axes that a constant names; the others keep their order. The output has the reduced dimensions with
 * length 1 or not at all.
 *
 * int8 as TFLite's reference kernel: the number of elements goes into the multiplier, and the sum is rescaled once.
 */
#include <string.h>

#include "../requantize.h"
#include "checks.h"

typedef struct mean {
    int rank;
    size_t dims[QB_MAX_RANK];    /* of the input */
    size_t strides[QB_MAX_RANK]; /* of the output along the input's dimensions; 0 along a reduced one */
    size_t reduced;              /* elements that one mean covers */
    int32_t in_zero_point, out_zero_point;
    qb_multiplier rescale;
} mean;

/* Moves `at` on by one element and returns the new index in the output. */
static size_t next(const mean *op, size_t *at, size_t out)
{
    for (int d = op->rank - 1; d >= 0; d--) {
        out += op->strides[d];
        if (++at[d] < op->dims[d]) break;
        out -= op->strides[d] * at[d];
        at[d] = 0;
    }
    return out;
}

static void run_f32(const qb_step *step)
{
    const mean *op = step->state;
    const float *in = step->in[0]->data;
    float *out = step->out[0]->data;
    float *sums = step->scratch;
    size_t at[QB_MAX_RANK] = {0};
    memset(sums, 0, step->out[0]->size);
    for (size_t i = 0, o = 0; i < step->in[0]->count; i++, o = next(op, at, o)) sums[o] += in[i];
    for (size_t o = 0; o < step->out[0]->count; o++) out[o] = sums[o] / (float)op->reduced;
}

static void run_s8(const qb_step *step)
{
    static const qb_range_s8 whole = {INT8_MIN, INT8_MAX};
    const mean *op = step->state;
    const int8_t *in = step->in[0]->data;
    int8_t *out = step->out[0]->data;
    int32_t *sums = step->scratch; /* of centred values: at most 2^23 elements of 8 bits and a sign (prepare) */
    size_t at[QB_MAX_RANK] = {0};
    memset(sums, 0, step->out[0]->count * sizeof *sums);
    for (size_t i = 0, o = 0; i < step->in[0]->count; i++, o = next(op, at, o)) sums[o] += in[i] - op->in_zero_point;
    for (size_t o = 0; o < step->out[0]->count; o++) {
        const int32_t value = qb_multiply(sums[o], op->rescale);
        out[o] = qb_clamp_s8(qb_add_wrapping(value, op->out_zero_point), whole);
    }
}

/* Sets reduced[d] for the axes, of which negative ones count from the end. */
static bool read_axes(qb_builder *builder, const qb_step *step, bool *reduced)
{
    const qb_tensor *axes = step->in[1];
    const int rank = step->in[0]->rank;
    if (!qb_check_index_const(builder, step, axes, axes->count)) return false;
    for (size_t i = 0; i < axes->count; i++) {
        const int64_t axis = qb_index_at(axes, i);
        if (axis < -rank || axis >= rank) {
            return qb_refuse(builder, step, "there is no axis %lld", (long long)axis);
        }
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

static mean *new_mean(qb_builder *builder, const qb_step *step, const bool *reduced)
{
    mean *op = qb_alloc(builder, sizeof *op);
    if (op == NULL) return NULL;
    const qb_tensor *in = step->in[0];
    size_t stride = 1;
    op->rank = in->rank;
    for (int d = in->rank - 1; d >= 0; d--) {
        op->dims[d] = (size_t)in->dims[d];
        op->strides[d] = reduced[d] ? 0 : stride;
        if (!reduced[d]) stride *= op->dims[d];
    }
    op->reduced = in->count / step->out[0]->count;
    return op;
}

/* The rescaling of TFLite's QuantizedMeanOrSum: the multiplier, shifted up as far as it may be, divided by the number
 * of elements. */
static void set_rescale(const qb_step *step, mean *op)
{
    const qb_tensor *in = step->in[0], *out = step->out[0];
    op->in_zero_point = in->zero_point;
    op->out_zero_point = out->zero_point;
    qb_multiplier factor = qb_quantize_multiplier((double)in->scales[0] / (double)out->scales[0]);
    int shift = 63 - __builtin_clzll(op->reduced);
    if (shift > 31 + factor.shift) shift = 31 + factor.shift;
    op->rescale.multiplier = (int32_t)(((int64_t)factor.multiplier << shift) / (int64_t)op->reduced);
    op->rescale.shift = factor.shift - shift;
}

bool qb_prepare_MEAN(qb_builder *builder, qb_step *step)
{
    bool reduced[QB_MAX_RANK] = {false};
    if (!qb_check_counts(builder, step, 2, 2) || !qb_check_elementary(builder, step) ||
        !qb_check_no_activation(builder, step) || !read_axes(builder, step, reduced) ||
        !check_output(builder, step, reduced)) {
        return false;
    }
    mean *op = new_mean(builder, step, reduced);
    if (op == NULL) return false;
    if (step->in[0]->count == 0 || op->reduced > (size_t)1 << 23) {
        return qb_refuse(builder, step, "cannot take the mean of %zu elements", op->reduced);
    }
    qb_want_scratch(builder, step->out[0]->count * sizeof(int32_t));
    if (step->in[0]->dtype == QB_S8) set_rescale(step, op);
    step->state = op;
    step->run = step->in[0]->dtype == QB_S8 ? run_s8 : run_f32;
    step->kernel = step->in[0]->dtype == QB_S8 ? "mean_s8" : "mean_f32";
    return true;
}
