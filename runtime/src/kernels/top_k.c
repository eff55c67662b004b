/* The k largest values along the last dimension, falling, and their indices; of equal values the first comes first. */
#include "checks.h"

/* Puts each value that is larger than the smallest kept so far in its place among the k. */
#define DEFINE_RUN(name, type)                                                                                \
    static void name(const qb_step *step)                                                                    \
    {                                                                                                        \
        const int32_t length = step->in[0]->dims[step->in[0]->rank - 1];                                     \
        const int32_t k = step->out[0]->dims[step->out[0]->rank - 1];                                        \
        const type *in = step->in[0]->data, *end = in + step->in[0]->count;                                  \
        type *values = step->out[0]->data;                                                                   \
        int32_t *indices = step->out[1]->data;                                                               \
        for (; in < end; in += length, values += k, indices += k) {                                          \
            for (int32_t i = 0; i < length; i++) {                                                           \
                if (i >= k && !(in[i] > values[k - 1])) continue;                                            \
                int32_t place = i < k ? i : k - 1;                                                           \
                for (; place > 0 && in[i] > values[place - 1]; place--) {                                    \
                    values[place] = values[place - 1];                                                       \
                    indices[place] = indices[place - 1];                                                     \
                }                                                                                            \
                values[place] = in[i];                                                                       \
                indices[place] = i;                                                                          \
            }                                                                                                \
        }                                                                                                    \
    }

DEFINE_RUN(run_f32, float)
DEFINE_RUN(run_s8, int8_t)
DEFINE_RUN(run_u8, uint8_t)
DEFINE_RUN(run_s16, int16_t)
DEFINE_RUN(run_s32, int32_t)
DEFINE_RUN(run_s64, int64_t)

static bool check_tensors(qb_builder *builder, const qb_step *step)
{
    if (step->in_count != 2 || step->out_count != 2 || step->in[0] == NULL || step->in[1] == NULL) {
        return qb_refuse(builder, step, "has %u inputs and %u outputs", step->in_count, step->out_count);
    }
    const qb_tensor *in = step->in[0], *values = step->out[0], *indices = step->out[1];
    if (!qb_check_no_activation(builder, step) || !qb_check_index_const(builder, step, step->in[1], 1)) return false;
    if (in->dtype != values->dtype || indices->dtype != QB_S32 || !qb_same_shape(values, indices) || in->rank < 1 ||
        in->rank != values->rank || in->count == 0) {
        return qb_refuse(builder, step, "the outputs are not values of the input and their int32 indices");
    }
    for (int d = 0; d < in->rank; d++) {
        const bool fits = d < in->rank - 1 ? in->dims[d] == values->dims[d]
                                           : in->dims[d] >= values->dims[d] &&
                                                 qb_index_at(step->in[1], 0) == values->dims[d];
        if (!fits) return qb_refuse(builder, step, "dimension %d of the outputs does not follow from the input's", d);
    }
    return true;
}

bool qb_prepare_TOPK_V2(qb_builder *builder, qb_step *step)
{
    if (!check_tensors(builder, step)) return false;
    switch (step->in[0]->dtype) {
    case QB_F32: step->run = run_f32; break;
    case QB_S8: step->run = run_s8; break;
    case QB_U8: step->run = run_u8; break;
    case QB_S16: step->run = run_s16; break;
    case QB_S32: step->run = run_s32; break;
    case QB_S64: step->run = run_s64; break;
    default: return qb_refuse(builder, step, "there is no order among values of this dtype");
    }
    step->kernel = "top_k";
    return true;
}
