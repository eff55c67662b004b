/* CONV_2D: checks, then the fastest path that fits. */
#include "gemm.h"
#include "reference.h"
#include "winograd.h"

bool qb_prepare_CONV_2D(qb_builder *builder, qb_step *step)
{
    if (!qb_check_counts(builder, step, 2, 3)) return false;
    qb_linear *op = qb_alloc(builder, sizeof *op);
    if (op == NULL || !qb_linear_window(builder, step, &op->shape)) return false;
    qb_linear_shape *s = &op->shape;
    const qb_tensor *w = step->in[1];
    const int32_t depth = w->dims[3];
    const int32_t groups = depth > 0 && s->in_c % depth == 0 ? s->in_c / depth : 0;
    if (groups == 0 || s->out_c % groups != 0 || w->dims[0] != s->out_c) {
        return qb_refuse(builder, step, "weights '%s' of %d×h×w×%d do not lead from %d channels to %d", w->name,
                         w->dims[0], depth, s->in_c, s->out_c);
    }
    s->group_c = depth;
    if (!qb_linear_prepare(builder, step, op, 0, &qb_conv_reference)) return false;
    const bool bytes = step->node->arithmetic == QB_ARITH_INT8 || step->node->arithmetic == QB_ARITH_HYBRID;
    if (groups == 1 && bytes && !qb_winograd_prepare(builder, step, op)) return false;
    if (groups == 1 && op->fast == NULL && !qb_gemm_prepare(builder, step, op)) return false;
    return qb_linear_expand(builder, op);
}
