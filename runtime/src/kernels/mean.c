/* Mean and Sum over axes.
 *
 * int8 and int16 as TFLite's reference kernel: the number of elements goes into a mean's multiplier, and the sum is
 * rescaled once. The mean of integers that stand for themselves is rounded toward zero.
 */
#include <string.h>

#include "../requantize.h"
#include "checks.h"
#include "reduction.h"

typedef struct mean {
    qb_reduction reduction;
    int32_t in_zero_point, out_zero_point;
    qb_multiplier rescale;
    size_t divisor; /* 1 for a sum */
} mean;

#define DEFINE_SUM(name, type, sum_type, term, result)                                             \
    static void name(const qb_step *step)                                                          \
    {                                                                                              \
        const mean *op = step->state;                                                              \
        const type *in = step->in[0]->data;                                                        \
        type *out = step->out[0]->data;                                                            \
        sum_type *sums = step->scratch;                                                            \
        size_t at[QB_MAX_RANK] = {0};                                                              \
        memset(sums, 0, step->out[0]->count * sizeof *sums);                                       \
        const size_t run = qb_reduction_run(&op->reduction);                                       \
        for (size_t first = 0, o = 0; first < step->in[0]->count; first += run) {                  \
            for (size_t j = 0; j < run; j++) {                                                     \
                const size_t i = first + j;                                                        \
                sums[o + j] = sums[o + j] + (term);                                                \
            }                                                                                      \
            o = qb_reduction_skip(&op->reduction, at, o, run);                                     \
        }                                                                                          \
        for (size_t o = 0; o < step->out[0]->count; o++) out[o] = (type)(result);                  \
    }

static int32_t requantize(const mean *op, int32_t sum, int32_t low, int32_t high)
{
    return qb_clamp(qb_add_wrapping(qb_multiply(sum, op->rescale), op->out_zero_point), low, high);
}

/* Sums of centred codes: at most 2^23 of 8 bits and a sign, or 2^15 of 16 (prepare). */
DEFINE_SUM(run_f32, float, float, in[i], sums[o] / (float)op->divisor)
DEFINE_SUM(run_s8, int8_t, int32_t, in[i] - op->in_zero_point, requantize(op, sums[o], INT8_MIN, INT8_MAX))
DEFINE_SUM(run_s16, int16_t, int32_t, in[i], requantize(op, sums[o], INT16_MIN, INT16_MAX))
DEFINE_SUM(run_s32, int32_t, int64_t, in[i], sums[o] / (int64_t)op->divisor)
DEFINE_SUM(run_s64, int64_t, uint64_t, (uint64_t)in[i], (int64_t)sums[o] / (int64_t)op->divisor)

/* The rescaling of TFLite's QuantizedMeanOrSum: a mean's multiplier is shifted up as far as it may be and divided by
 * the number of elements. */
static void set_rescale(const qb_step *step, mean *op)
{
    const qb_tensor *in = step->in[0], *out = step->out[0];
    op->in_zero_point = in->zero_point;
    op->out_zero_point = out->zero_point;
    qb_multiplier factor = qb_quantize_multiplier((double)in->scales[0] / (double)out->scales[0]);
    if (op->divisor > 1) {
        int shift = 63 - __builtin_clzll(op->divisor);
        if (shift > 31 + factor.shift) shift = 31 + factor.shift;
        factor.multiplier = (int32_t)(((int64_t)factor.multiplier << shift) / (int64_t)op->divisor);
        factor.shift -= shift;
    }
    op->rescale = factor;
}

static bool set_run(qb_builder *builder, qb_step *step, const mean *op)
{
    switch (step->in[0]->dtype) {
    case QB_F32: step->run = run_f32; break;
    case QB_S8: step->run = run_s8; break;
    case QB_S16: step->run = run_s16; break;
    case QB_S32: step->run = run_s32; break;
    case QB_S64: step->run = run_s64; break;
    default: return qb_refuse(builder, step, "the op has no kernel for the dtype of '%s'", step->in[0]->name);
    }
    const size_t most = step->in[0]->dtype == QB_S16 ? (size_t)1 << 15 : (size_t)1 << 23;
    if (op->reduction.reduced <= most) return true;
    return qb_refuse(builder, step, "cannot sum %zu elements", op->reduction.reduced);
}

static bool prepare(qb_builder *builder, qb_step *step, bool divides)
{
    if (!qb_check_counts(builder, step, 2, 2) || !qb_check_no_activation(builder, step)) return false;
    const qb_tensor *in = step->in[0], *out = step->out[0];
    if (!qb_check_dtype(builder, step, in, out->dtype) || !qb_check_dtype(builder, step, out, out->dtype)) {
        return false;
    }
    if (in->dtype == QB_S16 && (in->zero_point != 0 || out->zero_point != 0)) {
        return qb_refuse(builder, step, "an int16 tensor has a zero point that is not 0");
    }
    mean *op = qb_alloc(builder, sizeof *op);
    if (op == NULL || !qb_reduction_prepare(builder, step, &op->reduction) || !set_run(builder, step, op)) {
        return false;
    }
    op->divisor = divides ? op->reduction.reduced : 1;
    qb_want_scratch(builder, out->count * sizeof(int64_t));
    if (in->dtype == QB_S8 || in->dtype == QB_S16) set_rescale(step, op);
    step->state = op;
    step->kernel = divides ? "mean" : "sum";
    return true;
}

bool qb_prepare_MEAN(qb_builder *builder, qb_step *step)
{
    return prepare(builder, step, true);
}

bool qb_prepare_SUM(qb_builder *builder, qb_step *step)
{
    return prepare(builder, step, false);
}
