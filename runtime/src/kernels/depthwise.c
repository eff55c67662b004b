/* DEPTHWISE_CONV_2D: checks, then the fastest path that fits. */
#include "depthwise.h"
#include "reference.h"

bool qb_prepare_DEPTHWISE_CONV_2D(qb_builder *builder, qb_step *step)
{
    if (!qb_check_counts(builder, step, 2, 3)) return false;
    qb_linear *op = qb_alloc(builder, sizeof *op);
    if (op == NULL || !qb_linear_window(builder, step, &op->shape)) return false;
    qb_linear_shape *s = &op->shape;
    const qb_tensor *w = step->in[1];
    if (s->out_c % s->in_c != 0 || w->dims[0] != 1 || w->dims[3] != s->out_c) {
        return qb_refuse(builder, step,
                         "%d input and %d output channels do not fit weights '%s' of %d×h×w×%d", s->in_c,
                         s->out_c, w->name, w->dims[0], w->dims[3]);
    }
    s->multiplier = s->out_c / s->in_c;
    s->group_c = 1;
    if (!qb_linear_prepare(builder, step, op, 3, &qb_depthwise_reference)) return false;
    const bool fast = step->node->arithmetic != QB_ARITH_INT16;
    return (!fast || qb_depthwise_prepare(builder, step, op)) && qb_linear_expand(builder, op);
}
