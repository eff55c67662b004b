/* CONV_2D: checks, then the fastest path that fits. */
#include "gemm.h"
#include "reference.h"

bool qb_prepare_CONV_2D(qb_builder *builder, qb_step *step)
{
    if (!qb_check_counts(builder, step, 2, 3)) return false;
    qb_linear *op = qb_alloc(builder, sizeof *op);
    if (op == NULL || !qb_linear_window(builder, step, &op->shape)) return false;
    const qb_tensor *w = step->in[1];
    if (w->dims[3] != op->shape.in_c || w->dims[0] != op->shape.out_c) {
        return qb_refuse(builder, step, "weights '%s' must be %d×h×w×%d, not %d×h×w×%d", w->name,
                         op->shape.out_c, op->shape.in_c, w->dims[0], w->dims[3]);
    }
    if (!qb_linear_prepare(builder, step, op, 0, &qb_conv_reference)) return false;
    const bool f32 = step->node->arithmetic == QB_ARITH_F32;
    return (f32 ? qb_gemm_f32_prepare : qb_gemm_s8_prepare)(builder, step, op);
}
