#include "reference.h"

#include "hybrid.h"

/* Moves to the next output value of a sample; false after the last. The channel is innermost (NHWC). */
static bool next(const qb_linear_shape *s, qb_position *at)
{
    if (++at->channel < s->out_c) return true;
    at->channel = 0;
    if (++at->x < s->out_w) return true;
    at->x = 0;
    return ++at->y < s->out_h;
}

void qb_reference_s8(const qb_step *step)
{
    const qb_linear *op = step->state;
    const qb_linear_shape *s = &op->shape;
    const int8_t *sample = step->in[0]->data;
    const qb_sum_s8 sum = op->reference->sum_s8;
    const int32_t *bias = op->bias;
    int8_t *y = step->out[0]->data;
    for (int32_t b = 0; b < s->batch; b++, sample += qb_linear_sample(s)) {
        qb_position at = {0, 0, 0};
        do {
            const int32_t c = at.channel;
            const int32_t total = (bias == NULL ? 0 : bias[c]) + sum(op, sample, op->input_zero, &at);
            *y++ = qb_requantize(op, c, total);
        } while (next(s, &at));
    }
}

static int64_t bias_s16(const qb_linear *op, int32_t channel)
{
    if (op->bias == NULL) return 0;
    return op->wide_bias ? ((const int64_t *)op->bias)[channel] : ((const int32_t *)op->bias)[channel];
}

void qb_reference_s16(const qb_step *step)
{
    const qb_linear *op = step->state;
    const qb_linear_shape *s = &op->shape;
    const int16_t *sample = step->in[0]->data;
    int16_t *y = step->out[0]->data;
    for (int32_t b = 0; b < s->batch; b++, sample += qb_linear_sample(s)) {
        qb_position at = {0, 0, 0};
        do {
            const int64_t sum = bias_s16(op, at.channel) + op->reference->sum_s16(op, sample, &at);
            *y++ = qb_requantize_s16(op, at.channel, sum);
        } while (next(s, &at));
    }
}

void qb_reference_f32(const qb_step *step)
{
    const qb_linear *op = step->state;
    const qb_linear_shape *s = &op->shape;
    const float *sample = step->in[0]->data;
    const qb_sum_f32 sum = op->reference->sum_f32;
    const float *bias = op->bias;
    float *y = step->out[0]->data;
    for (int32_t b = 0; b < s->batch; b++, sample += qb_linear_sample(s)) {
        qb_position at = {0, 0, 0};
        do {
            const float start = bias == NULL ? 0.0f : bias[at.channel];
            *y++ = qb_clamp_f32(sum(op, sample, start, &at), op->range);
        } while (next(s, &at));
    }
}

void qb_reference_hybrid(const qb_step *step)
{
    const qb_linear *op = step->state;
    const qb_linear_shape *s = &op->shape;
    const qb_hybrid_input input = qb_hybrid_quantize(step, s);
    const int8_t *sample = input.values;
    const qb_sum_s8 sum = op->reference->sum_s8;
    const float *bias = op->bias;
    float *y = step->out[0]->data;
    for (int32_t b = 0; b < s->batch; b++, sample += qb_linear_sample(s)) {
        const qb_sample_quant quant = input.quant[b];
        qb_position at = {0, 0, 0};
        do {
            const int32_t c = at.channel;
            const float factor = quant.scale * op->weight_scales[c];
            const float scaled = (float)sum(op, sample, quant.zero_point, &at) * factor;
            *y++ = qb_clamp_f32(scaled + (bias == NULL ? 0.0f : bias[c]), op->range);
        } while (next(s, &at));
    }
}
