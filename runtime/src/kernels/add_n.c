/* AddN: the sum of tensors of one shape, in the order of the inputs. */
#include "checks.h"

#define DEFINE_RUN(name, type, sum_type)                                                              \
    static void name(const qb_step *step)                                                             \
    {                                                                                                 \
        type *out = step->out[0]->data;                                                               \
        for (size_t i = 0; i < step->out[0]->count; i++) {                                            \
            sum_type sum = 0;                                                                         \
            for (uint32_t k = 0; k < step->in_count; k++) {                                           \
                sum = sum + (sum_type)((const type *)step->in[k]->data)[i];                           \
            }                                                                                         \
            out[i] = (type)sum;                                                                       \
        }                                                                                             \
    }

DEFINE_RUN(run_f32, float, float)
DEFINE_RUN(run_s32, int32_t, uint32_t)

bool qb_prepare_ADD_N(qb_builder *builder, qb_step *step)
{
    const uint32_t count = step->in_count > 0 ? step->in_count : 1;
    if (!qb_check_counts(builder, step, count, count) || !qb_check_no_activation(builder, step)) return false;
    const qb_tensor *out = step->out[0];
    for (uint32_t k = 0; k < step->in_count; k++) {
        if (step->in[k]->dtype != out->dtype || !qb_same_shape(step->in[k], out)) {
            return qb_refuse(builder, step, "'%s' differs from the output in shape or dtype", step->in[k]->name);
        }
    }
    if (out->dtype != QB_F32 && out->dtype != QB_S32) return qb_refuse(builder, step, "the op has no such dtype");
    step->run = out->dtype == QB_F32 ? run_f32 : run_s32;
    step->kernel = "add_n";
    return true;
}
