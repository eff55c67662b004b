/* CONV_2D as a plain loop over the definition: the specification of every faster path.
 *
 *     y[b][oy][ox][o] = Σ over ky, kx, c of x[b][oy·stride_h + ky·dilation_h − pad_top]
 *                                           [ox·stride_w + kx·dilation_w − pad_left][c] · w[o][ky][kx][c]
 *
 * where c runs over the channels of o's group, and w has them only. Taps outside the image count as real zero, so they are left out.
 */
#include "reference.h"

/* Where the input channels of an output channel's group begin. */
static int32_t first_channel(const qb_linear_shape *s, int32_t channel)
{
    const int32_t outputs_per_group = s->out_c / (s->in_c / s->group_c);
    return channel / outputs_per_group * s->group_c;
}

/* Σ (x − zero)·(w − z_w) of one output value; image is one sample. */
static int32_t sum_s8(const qb_linear *op, const int8_t *image, int32_t zero, const qb_position *at)
{
    const qb_linear_shape *s = &op->shape;
    const int8_t *w = (const int8_t *)op->weights + (size_t)at->channel * qb_linear_depth(s);
    const int32_t first = first_channel(s, at->channel);
    int32_t sum = 0;
    for (int32_t ky = 0; ky < s->filter_h; ky++) {
        for (int32_t kx = 0; kx < s->filter_w; kx++, w += s->group_c) {
            const int8_t *x = qb_tap(s, image, sizeof *x, at, ky, kx);
            if (x == NULL) continue;
            x += first;
            for (int32_t c = 0; c < s->group_c; c++) sum += (x[c] - zero) * (w[c] - op->weight_zero);
        }
    }
    return sum;
}

static int64_t sum_s16(const qb_linear *op, const int16_t *image, const qb_position *at)
{
    const qb_linear_shape *s = &op->shape;
    const int8_t *w = (const int8_t *)op->weights + (size_t)at->channel * qb_linear_depth(s);
    const int32_t first = first_channel(s, at->channel);
    int64_t sum = 0;
    for (int32_t ky = 0; ky < s->filter_h; ky++) {
        for (int32_t kx = 0; kx < s->filter_w; kx++, w += s->group_c) {
            const int16_t *x = qb_tap(s, image, sizeof *x, at, ky, kx);
            if (x == NULL) continue;
            x += first;
            for (int32_t c = 0; c < s->group_c; c++) sum += x[c] * w[c];
        }
    }
    return sum;
}

static float sum_f32(const qb_linear *op, const float *image, float start, const qb_position *at)
{
    const qb_linear_shape *s = &op->shape;
    const float *w = (const float *)op->weights + (size_t)at->channel * qb_linear_depth(s);
    const int32_t first = first_channel(s, at->channel);
    float sum = start;
    for (int32_t ky = 0; ky < s->filter_h; ky++) {
        for (int32_t kx = 0; kx < s->filter_w; kx++, w += s->group_c) {
            const float *x = qb_tap(s, image, sizeof *x, at, ky, kx);
            if (x == NULL) continue;
            x += first;
            for (int32_t c = 0; c < s->group_c; c++) sum = fmaf(x[c], w[c], sum);
        }
    }
    return sum;
}

const qb_linear_reference qb_conv_reference = {sum_s8, sum_s16, sum_f32, "conv_reference"};
