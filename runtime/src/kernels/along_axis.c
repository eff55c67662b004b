/* Ops along one axis, which a constant names: ArgMax, ArgMin (the first place of the extreme), CumSum. Quantized values
 * are compared as they are stored. */
#include "checks.h"

typedef struct along_axis {
    size_t outer, length, inner; /* products of the dimensions before the axis, of it, and after it */
    bool smallest;
    bool exclusive, reverse;
} along_axis;

/* Defines the index of the extreme among `length` values that are `step` apart. */
#define DEFINE_EXTREME(name, type)                                                            \
    static size_t name(const void *data, size_t step, size_t length, bool smallest)           \
    {                                                                                         \
        const type *values = data;                                                            \
        size_t best = 0;                                                                      \
        for (size_t i = 1; i < length; i++) {                                                 \
            const type value = values[i * step], extreme = values[best * step];               \
            if (smallest ? value < extreme : value > extreme) best = i;                       \
        }                                                                                     \
        return best;                                                                          \
    }

DEFINE_EXTREME(extreme_f32, float)
DEFINE_EXTREME(extreme_s8, int8_t)
DEFINE_EXTREME(extreme_u8, uint8_t)
DEFINE_EXTREME(extreme_s16, int16_t)
DEFINE_EXTREME(extreme_s32, int32_t)
DEFINE_EXTREME(extreme_s64, int64_t)

static size_t extreme(const qb_tensor *in, size_t start, const along_axis *op)
{
    switch (in->dtype) {
    case QB_F32: return extreme_f32((const float *)in->data + start, op->inner, op->length, op->smallest);
    case QB_S8: return extreme_s8((const int8_t *)in->data + start, op->inner, op->length, op->smallest);
    case QB_S16: return extreme_s16((const int16_t *)in->data + start, op->inner, op->length, op->smallest);
    case QB_S32: return extreme_s32((const int32_t *)in->data + start, op->inner, op->length, op->smallest);
    case QB_S64: return extreme_s64((const int64_t *)in->data + start, op->inner, op->length, op->smallest);
    default: return extreme_u8((const uint8_t *)in->data + start, op->inner, op->length, op->smallest);
    }
}

static void run_extreme(const qb_step *step)
{
    const along_axis *op = step->state;
    const qb_tensor *in = step->in[0], *out = step->out[0];
    for (size_t o = 0; o < op->outer * op->inner; o++) {
        const size_t start = o / op->inner * op->inner * op->length + o % op->inner;
        const size_t index = extreme(in, start, op);
        if (out->dtype == QB_S64) {
            ((int64_t *)out->data)[o] = (int64_t)index;
        } else {
            ((int32_t *)out->data)[o] = (int32_t)index;
        }
    }
}

#define DEFINE_CUMSUM(name, type, sum_type)                                                   \
    static void name(const qb_step *step)                                                     \
    {                                                                                         \
        const along_axis *op = step->state;                                                   \
        const type *in = step->in[0]->data;                                                   \
        type *out = step->out[0]->data;                                                       \
        for (size_t o = 0; o < op->outer * op->inner; o++) {                                  \
            const size_t start = o / op->inner * op->inner * op->length + o % op->inner;      \
            sum_type sum = 0;                                                                 \
            for (size_t k = 0; k < op->length; k++) {                                         \
                const size_t at = start + (op->reverse ? op->length - 1 - k : k) * op->inner; \
                const sum_type before = sum;                                                  \
                sum = sum + (sum_type)in[at];                                                 \
                out[at] = (type)(op->exclusive ? before : sum);                               \
            }                                                                                 \
        }                                                                                     \
    }

DEFINE_CUMSUM(cumsum_f32, float, float)
DEFINE_CUMSUM(cumsum_s32, int32_t, uint32_t)
DEFINE_CUMSUM(cumsum_s64, int64_t, uint64_t)

static along_axis *prepare(qb_builder *builder, qb_step *step)
{
    if (!qb_check_counts(builder, step, 2, 2) || !qb_check_no_activation(builder, step) ||
        !qb_check_index_const(builder, step, step->in[1], 1)) {
        return NULL;
    }
    const qb_tensor *in = step->in[0];
    const int64_t given = qb_index_at(step->in[1], 0), axis = given < 0 ? given + in->rank : given;
    if (axis < 0 || axis >= in->rank || in->count == 0) {
        qb_refuse(builder, step, "there is no axis %lld", (long long)given);
        return NULL;
    }
    along_axis *op = qb_alloc(builder, sizeof *op);
    if (op == NULL) return NULL;
    op->outer = op->inner = 1;
    op->length = (size_t)in->dims[axis];
    for (int d = 0; d < (int)axis; d++) op->outer *= (size_t)in->dims[d];
    for (int d = (int)axis + 1; d < in->rank; d++) op->inner *= (size_t)in->dims[d];
    step->state = op;
    return op;
}

static bool prepare_extreme(qb_builder *builder, qb_step *step, bool smallest)
{
    along_axis *op = prepare(builder, step);
    if (op == NULL) return false;
    const qb_tensor *out = step->out[0];
    if (out->dtype != QB_S32 && out->dtype != QB_S64) return qb_refuse(builder, step, "the output is no index");
    if (out->count != op->outer * op->inner) return qb_refuse(builder, step, "the output has the wrong size");
    op->smallest = smallest;
    step->run = run_extreme;
    step->kernel = smallest ? "arg_min" : "arg_max";
    return true;
}

bool qb_prepare_ARG_MAX(qb_builder *builder, qb_step *step)
{
    return prepare_extreme(builder, step, false);
}

bool qb_prepare_ARG_MIN(qb_builder *builder, qb_step *step)
{
    return prepare_extreme(builder, step, true);
}

bool qb_prepare_CUMSUM(qb_builder *builder, qb_step *step)
{
    along_axis *op = prepare(builder, step);
    if (op == NULL) return false;
    const qb_tensor *in = step->in[0], *out = step->out[0];
    if (!qb_same_shape(in, out) || in->dtype != out->dtype) {
        return qb_refuse(builder, step, "input and output differ in shape or dtype");
    }
    op->exclusive = step->node->options[0] != 0;
    op->reverse = step->node->options[1] != 0;
    step->run = in->dtype == QB_F32   ? cumsum_f32
                : in->dtype == QB_S32 ? cumsum_s32
                : in->dtype == QB_S64 ? cumsum_s64
                                      : NULL;
    step->kernel = "cumsum";
    if (step->run != NULL) return true;
    return qb_refuse(builder, step, "the op has no kernel for the dtype of '%s'", in->name);
}
