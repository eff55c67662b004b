/* ReduceMax, ReduceMin, ReduceProd, ReduceAny, ReduceAll over axes. int8: what is stored is compared, so that input and
 * output are quantized alike. */
#include "checks.h"
#include "reduction.h"

typedef struct reduce {
    qb_reduction reduction;
} reduce;

/* The first value of each output is taken as it is; `seen` (one byte an output) tells. */
#define DEFINE_RUN(name, type, expression)                                                   \
    static void name(const qb_step *step)                                                    \
    {                                                                                        \
        const reduce *op = step->state;                                                      \
        const type *in = step->in[0]->data;                                                  \
        type *out = step->scratch, *result = step->out[0]->data;                             \
        uint8_t *seen = (uint8_t *)(out + step->out[0]->count);                              \
        size_t at[QB_MAX_RANK] = {0};                                                        \
        for (size_t o = 0; o < step->out[0]->count; o++) seen[o] = 0;                        \
        for (size_t i = 0, o = 0; i < step->in[0]->count; i++) {                             \
            const type x = in[i], y = out[o];                                                \
            out[o] = seen[o] ? (type)(expression) : x;                                       \
            seen[o] = 1;                                                                     \
            o = qb_reduction_next(&op->reduction, at, o);                                    \
        }                                                                                    \
        for (size_t o = 0; o < step->out[0]->count; o++) result[o] = out[o];                 \
    }

DEFINE_RUN(max_f32, float, x > y ? x : y)
DEFINE_RUN(max_s8, int8_t, x > y ? x : y)
DEFINE_RUN(max_s16, int16_t, x > y ? x : y)
DEFINE_RUN(max_s32, int32_t, x > y ? x : y)
DEFINE_RUN(max_s64, int64_t, x > y ? x : y)
DEFINE_RUN(min_f32, float, x < y ? x : y)
DEFINE_RUN(min_s8, int8_t, x < y ? x : y)
DEFINE_RUN(min_s16, int16_t, x < y ? x : y)
DEFINE_RUN(min_s32, int32_t, x < y ? x : y)
DEFINE_RUN(min_s64, int64_t, x < y ? x : y)
DEFINE_RUN(prod_f32, float, x * y)
DEFINE_RUN(prod_s32, int32_t, (uint32_t)x * (uint32_t)y)
DEFINE_RUN(prod_s64, int64_t, (uint64_t)x * (uint64_t)y)
DEFINE_RUN(any_bool, uint8_t, x || y)
DEFINE_RUN(all_bool, uint8_t, x && y)

/* One op's functions by dtype; NULL where TFLite has none. */
typedef struct runs {
    void (*f32)(const qb_step *), (*s8)(const qb_step *), (*s16)(const qb_step *), (*s32)(const qb_step *),
        (*s64)(const qb_step *), (*boolean)(const qb_step *);
} runs;

static void (*run_for(const runs *runs, uint8_t dtype))(const qb_step *)
{
    switch (dtype) {
    case QB_F32: return runs->f32;
    case QB_S8: return runs->s8;
    case QB_S16: return runs->s16;
    case QB_S32: return runs->s32;
    case QB_S64: return runs->s64;
    case QB_BOOL: return runs->boolean;
    default: return NULL;
    }
}

static bool prepare(qb_builder *builder, qb_step *step, const runs *runs, const char *kernel)
{
    if (!qb_check_counts(builder, step, 2, 2) || !qb_check_no_activation(builder, step)) return false;
    const qb_tensor *in = step->in[0], *out = step->out[0];
    if (!qb_check_dtype(builder, step, in, out->dtype) || !qb_check_dtype(builder, step, out, out->dtype)) {
        return false;
    }
    if (in->quant_count > 0 && !qb_same_quantization(in, out)) {
        return qb_refuse(builder, step, "input and output are quantized differently");
    }
    reduce *op = qb_alloc(builder, sizeof *op);
    if (op == NULL || !qb_reduction_prepare(builder, step, &op->reduction)) return false;
    qb_want_scratch(builder, out->size + out->count);
    step->state = op;
    step->run = run_for(runs, in->dtype);
    step->kernel = kernel;
    if (step->run != NULL) return true;
    return qb_refuse(builder, step, "the op has no kernel for the dtype of '%s'", in->name);
}

bool qb_prepare_REDUCE_MAX(qb_builder *builder, qb_step *step)
{
    static const runs runs = {max_f32, max_s8, max_s16, max_s32, max_s64, NULL};
    return prepare(builder, step, &runs, "reduce_max");
}

bool qb_prepare_REDUCE_MIN(qb_builder *builder, qb_step *step)
{
    static const runs runs = {min_f32, min_s8, min_s16, min_s32, min_s64, NULL};
    return prepare(builder, step, &runs, "reduce_min");
}

bool qb_prepare_REDUCE_PROD(qb_builder *builder, qb_step *step)
{
    static const runs runs = {.f32 = prod_f32, .s32 = prod_s32, .s64 = prod_s64};
    return prepare(builder, step, &runs, "reduce_prod");
}

bool qb_prepare_REDUCE_ANY(qb_builder *builder, qb_step *step)
{
    static const runs runs = {.boolean = any_bool};
    return prepare(builder, step, &runs, "reduce_any");
}

bool qb_prepare_REDUCE_ALL(qb_builder *builder, qb_step *step)
{
    static const runs runs = {.boolean = all_bool};
    return prepare(builder, step, &runs, "reduce_all");
}
