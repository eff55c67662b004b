/* FULLY_CONNECTED: checks, then the fastest path that fits. */
#include "gemm.h"
#include "reference.h"

bool qb_prepare_FULLY_CONNECTED(qb_builder *builder, qb_step *step)
{
    if (!qb_check_counts(builder, step, 2, 3)) return false;
    const qb_tensor *x = step->in[0], *w = step->in[1], *y = step->out[0];
    const int32_t out = w->dims[0], depth = w->dims[1];
    if (w->rank != 2 || out < 1 || depth < 1 || x->count % (size_t)depth != 0) {
        return qb_refuse(builder, step, "weights '%s' of %d×%d do not fit an input of %zu values", w->name,
                         out, depth, x->count);
    }
    const size_t rows = x->count / (size_t)depth;
    if (y->rank < 1 || y->dims[y->rank - 1] != out || rows > INT32_MAX || y->count / (size_t)out != rows) {
        return qb_refuse(builder, step, "the output must be %zu rows of %d values", rows, out);
    }
    qb_linear *op = qb_alloc(builder, sizeof *op);
    if (op == NULL) return false;
    op->shape = (qb_linear_shape){
        .batch = (int32_t)rows,
        .in_h = 1,
        .in_w = 1,
        .in_c = depth,
        .group_c = depth,
        .out_h = 1,
        .out_w = 1,
        .out_c = out,
        .filter_h = 1,
        .filter_w = 1,
        .stride_h = 1,
        .stride_w = 1,
        .dilation_h = 1,
        .dilation_w = 1,
    };
    return qb_linear_prepare(builder, step, op, 0, &qb_fully_connected_reference) &&
           qb_gemm_prepare(builder, step, op) && qb_linear_expand(builder, op);
}
