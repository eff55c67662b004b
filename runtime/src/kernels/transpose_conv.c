/* TRANSPOSE_CONV: the gradient of a convolution that reads the output and writes the input.
 *
 *     y[b][i][j][o] = bias[o] + Σ x[b][y][x][c] · w[o][ky][kx][c]
 *
 * over all taps with y·stride_h + ky − pad_top = i and x·stride_w + kx − pad_left = j. TFLite's reference kernel adds
 * up the same products by input values; sums of integers do not tell.
 */
#include "reference.h"

/* The input pixel that tap (ky, kx) brings to the output pixel `at`, or NULL where there is none. */
static const void *source(const qb_linear_shape *s, const void *sample, size_t value_size, const qb_position *at,
                          int32_t ky, int32_t kx)
{
    const int64_t y = (int64_t)at->y + s->pad_top - ky, x = (int64_t)at->x + s->pad_left - kx;
    if (y < 0 || y % s->stride_h != 0 || y / s->stride_h >= s->in_h) return NULL;
    if (x < 0 || x % s->stride_w != 0 || x / s->stride_w >= s->in_w) return NULL;
    const int64_t pixel = y / s->stride_h * s->in_w + x / s->stride_w;
    return (const char *)sample + (size_t)(pixel * s->in_c) * value_size;
}

static int32_t sum_s8(const qb_linear *op, const int8_t *sample, int32_t zero, const qb_position *at)
{
    const qb_linear_shape *s = &op->shape;
    const int8_t *w = (const int8_t *)op->weights + (size_t)at->channel * qb_linear_depth(s);
    int32_t sum = 0;
    for (int32_t ky = 0; ky < s->filter_h; ky++) {
        for (int32_t kx = 0; kx < s->filter_w; kx++, w += s->in_c) {
            const int8_t *x = source(s, sample, sizeof *x, at, ky, kx);
            if (x == NULL) continue;
            for (int32_t c = 0; c < s->in_c; c++) sum += (x[c] - zero) * (w[c] - op->weight_zero);
        }
    }
    return sum;
}

static int64_t sum_s16(const qb_linear *op, const int16_t *sample, const qb_position *at)
{
    const qb_linear_shape *s = &op->shape;
    const int8_t *w = (const int8_t *)op->weights + (size_t)at->channel * qb_linear_depth(s);
    int64_t sum = 0;
    for (int32_t ky = 0; ky < s->filter_h; ky++) {
        for (int32_t kx = 0; kx < s->filter_w; kx++, w += s->in_c) {
            const int16_t *x = source(s, sample, sizeof *x, at, ky, kx);
            if (x == NULL) continue;
            for (int32_t c = 0; c < s->in_c; c++) sum += x[c] * w[c];
        }
    }
    return sum;
}

static float sum_f32(const qb_linear *op, const float *sample, float start, const qb_position *at)
{
    const qb_linear_shape *s = &op->shape;
    const float *w = (const float *)op->weights + (size_t)at->channel * qb_linear_depth(s);
    float sum = start;
    for (int32_t ky = 0; ky < s->filter_h; ky++) {
        for (int32_t kx = 0; kx < s->filter_w; kx++, w += s->in_c) {
            const float *x = source(s, sample, sizeof *x, at, ky, kx);
            if (x == NULL) continue;
            for (int32_t c = 0; c < s->in_c; c++) sum = fmaf(x[c], w[c], sum);
        }
    }
    return sum;
}

static const qb_linear_reference reference = {sum_s8, sum_s16, sum_f32, "transpose_conv_reference"};

/* Whether a convolution with this filter, stride and padding makes `in` pixels of `out`. */
static bool axis_fits(int32_t in, int32_t out, int32_t filter, int32_t stride, int32_t before, int32_t after)
{
    if (stride < 1 || before < 0 || after < 0) return false;
    const int64_t room = (int64_t)out + before + after - filter;
    return room >= 0 && room / stride + 1 == in;
}

static bool set_shape(qb_builder *builder, const qb_step *step, qb_linear_shape *s)
{
    const qb_node_record *n = step->node;
    const qb_tensor *x = step->in[0], *w = step->in[1], *y = step->out[0];
    if (x->rank != 4 || w->rank != 4 || y->rank != 4 || x->dims[0] != y->dims[0] || w->dims[0] != y->dims[3] ||
        w->dims[3] != x->dims[3]) {
        return qb_refuse(builder, step, "input, weights and output do not go together");
    }
    if (!axis_fits(x->dims[1], y->dims[1], w->dims[1], n->stride_h, n->pad_top, n->pad_bottom) ||
        !axis_fits(x->dims[2], y->dims[2], w->dims[2], n->stride_w, n->pad_left, n->pad_right)) {
        return qb_refuse(builder, step, "filter, stride and padding do not lead from the output's size to the input's");
    }
    *s = (qb_linear_shape){
        .batch = x->dims[0],
        .in_h = x->dims[1],
        .in_w = x->dims[2],
        .in_c = x->dims[3],
        .group_c = x->dims[3],
        .out_h = y->dims[1],
        .out_w = y->dims[2],
        .out_c = y->dims[3],
        .filter_h = w->dims[1],
        .filter_w = w->dims[2],
        .stride_h = n->stride_h,
        .stride_w = n->stride_w,
        .dilation_h = 1,
        .dilation_w = 1,
        .pad_top = n->pad_top,
        .pad_left = n->pad_left,
    };
    return true;
}

bool qb_prepare_TRANSPOSE_CONV(qb_builder *builder, qb_step *step)
{
    if (!qb_check_counts(builder, step, 2, 3)) return false;
    qb_linear *op = qb_alloc(builder, sizeof *op);
    if (op == NULL || !set_shape(builder, step, &op->shape) ||
        !qb_linear_prepare(builder, step, op, 0, &reference) || !qb_linear_expand(builder, op)) {
        return false;
    }
    const qb_linear_shape *s = &op->shape;
    step->macs = (uint64_t)step->in[0]->count * (uint64_t)s->filter_h * (uint64_t)s->filter_w * (uint64_t)s->out_c;
    return true;
}
