/* Abs, Neg and Rsqrt, in f32 and int8; Abs and Neg also of int32 and int64. */
#include <math.h>

#include "../requantize.h"
#include "checks.h"
#include "inverse_sqrt.h"
#include "table_s8.h"

typedef struct rescaling {
    int32_t in_zero_point, out_zero_point;
    bool same_scale;
    qb_multiplier factor;
} rescaling;

#define DEFINE_RUN(name, type, expression)                                                   \
    static void name(const qb_step *step)                                                    \
    {                                                                                        \
        const type *in = step->in[0]->data;                                                  \
        type *out = step->out[0]->data;                                                      \
        for (size_t i = 0; i < step->out[0]->count; i++) {                                   \
            const type x = in[i];                                                            \
            out[i] = (expression);                                                           \
        }                                                                                    \
    }

DEFINE_RUN(abs_f32, float, fabsf(x))
DEFINE_RUN(abs_s32, int32_t, x < 0 ? (int32_t)(0u - (uint32_t)x) : x)
DEFINE_RUN(abs_s64, int64_t, x < 0 ? (int64_t)(0u - (uint64_t)x) : x)
DEFINE_RUN(neg_f32, float, -x)
DEFINE_RUN(neg_s32, int32_t, (int32_t)(0u - (uint32_t)x))
DEFINE_RUN(neg_s64, int64_t, (int64_t)(0u - (uint64_t)x))
DEFINE_RUN(rsqrt_f32, float, 1.0f / sqrtf(x))

static rescaling rescaling_of(const qb_step *step)
{
    const qb_tensor *in = step->in[0], *out = step->out[0];
    return (rescaling){
        .in_zero_point = in->zero_point,
        .out_zero_point = out->zero_point,
        .same_scale = in->scales[0] == out->scales[0],
        .factor = qb_quantize_multiplier(in->scales[0] / out->scales[0]), /* in f32, as TFLite does */
    };
}

static int32_t map_abs(const void *context, int32_t q)
{
    const rescaling *r = context;
    const int32_t value = q < r->in_zero_point ? r->in_zero_point - q : q - r->in_zero_point;
    return qb_add_wrapping(r->same_scale ? value : qb_multiply(value, r->factor), r->out_zero_point);
}

static int32_t map_rsqrt(const void *context, int32_t q)
{
    enum { SHIFT = 20 }; /* keeps the inverse root an integer */
    const rescaling *r = context;
    if (q <= r->in_zero_point) return INT8_MAX;
    const qb_multiplier root = qb_inverse_sqrt(q - r->in_zero_point);
    const int32_t inverse = qb_multiply(1, (qb_multiplier){root.multiplier, root.shift + SHIFT});
    const int shift = r->factor.shift - SHIFT;
    const int32_t value = shift < -31 ? 0 : qb_multiply(inverse, (qb_multiplier){r->factor.multiplier, shift});
    return qb_add_wrapping(value, r->out_zero_point);
}

/* Of the elementary dtypes and, where there are runs for them, integers that stand for themselves. */
static bool prepare(qb_builder *builder, qb_step *step, void (*const runs[3])(const qb_step *), const char *kernel)
{
    if (!qb_check_counts(builder, step, 1, 1) || !qb_check_no_activation(builder, step)) return false;
    const qb_tensor *in = step->in[0], *out = step->out[0];
    if (in->dtype != out->dtype || !qb_same_shape(in, out)) {
        return qb_refuse(builder, step, "input and output differ in shape or dtype");
    }
    step->run = in->dtype == QB_F32 ? runs[0] : in->dtype == QB_S32 ? runs[1] : in->dtype == QB_S64 ? runs[2] : NULL;
    step->kernel = kernel;
    if (step->run != NULL) return true;
    return qb_refuse(builder, step, "the op has no kernel for the dtype of '%s'", in->name);
}

bool qb_prepare_ABS(qb_builder *builder, qb_step *step)
{
    static void (*const runs[3])(const qb_step *) = {abs_f32, abs_s32, abs_s64};
    if (step->node->arithmetic != QB_ARITH_INT8) return prepare(builder, step, runs, "abs");
    if (!qb_check_map(builder, step)) return false;
    const rescaling r = rescaling_of(step);
    return qb_prepare_table(builder, step, map_abs, &r);
}

bool qb_prepare_NEG(qb_builder *builder, qb_step *step)
{
    static void (*const runs[3])(const qb_step *) = {neg_f32, neg_s32, neg_s64};
    return prepare(builder, step, runs, "neg");
}

bool qb_prepare_RSQRT(qb_builder *builder, qb_step *step)
{
    static void (*const runs[3])(const qb_step *) = {rsqrt_f32, NULL, NULL};
    if (step->node->arithmetic != QB_ARITH_INT8) return prepare(builder, step, runs, "rsqrt");
    if (!qb_check_map(builder, step)) return false;
    rescaling r = rescaling_of(step);
    r.factor = qb_quantize_multiplier(1.0 / (double)(sqrtf(step->in[0]->scales[0]) * step->out[0]->scales[0]));
    return qb_prepare_table(builder, step, map_rsqrt, &r);
}
