/* DEPTHWISE_CONV_2D as a plain loop over the definition: the specification of every faster path.
 *
 *     y[b][oy][ox][o] = Σ over ky, kx of x[b][oy·stride_h + ky·dilation_h − pad_top]
 *                                         [ox·stride_w + kx·dilation_w − pad_left][o / multiplier]
 *                                     · w[ky][kx][o]
 *
 * Taps outside the image count as real zero, so they are left out.
 */
#include "reference.h"

static int32_t sum_s8(const qb_linear *op, const int8_t *image, int32_t zero, const qb_position *at)
{
    const qb_linear_shape *s = &op->shape;
    const int8_t *w = (const int8_t *)op->weights + at->channel;
    int32_t sum = 0;
    for (int32_t ky = 0; ky < s->filter_h; ky++) {
        for (int32_t kx = 0; kx < s->filter_w; kx++, w += s->out_c) {
            const int8_t *x = qb_tap(s, image, sizeof *x, at, ky, kx);
            if (x != NULL) sum += (x[at->channel / s->multiplier] - zero) * (*w - op->weight_zero);
        }
    }
    return sum;
}

static int64_t sum_s16(const qb_linear *op, const int16_t *image, const qb_position *at)
{
    const qb_linear_shape *s = &op->shape;
    const int8_t *w = (const int8_t *)op->weights + at->channel;
    int64_t sum = 0;
    for (int32_t ky = 0; ky < s->filter_h; ky++) {
        for (int32_t kx = 0; kx < s->filter_w; kx++, w += s->out_c) {
            const int16_t *x = qb_tap(s, image, sizeof *x, at, ky, kx);
            if (x != NULL) sum += x[at->channel / s->multiplier] * *w;
        }
    }
    return sum;
}

static float sum_f32(const qb_linear *op, const float *image, float start, const qb_position *at)
{
    const qb_linear_shape *s = &op->shape;
    const float *w = (const float *)op->weights + at->channel;
    float sum = start;
    for (int32_t ky = 0; ky < s->filter_h; ky++) {
        for (int32_t kx = 0; kx < s->filter_w; kx++, w += s->out_c) {
            const float *x = qb_tap(s, image, sizeof *x, at, ky, kx);
            if (x != NULL) sum = fmaf(x[at->channel / s->multiplier], *w, sum);
        }
    }
    return sum;
}

const qb_linear_reference qb_depthwise_reference = {sum_s8, sum_s16, sum_f32, "depthwise_reference"};
