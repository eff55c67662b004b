/* Relu, Relu6 and ReluN1To1 as ops of their own. int8: the input's scale is brought to the output's, then clamped
 * (TFLite's reference ReluX). */
#include "../requantize.h"
#include "checks.h"

typedef struct clamp {
    int32_t in_zero_point, out_zero_point;
    qb_multiplier rescale;
    qb_range_f32 range_f32;
    qb_range_s8 range_s8;
} clamp;

static void run_f32(const qb_step *step)
{
    const clamp *op = step->state;
    const float *in = step->in[0]->data;
    float *out = step->out[0]->data;
    for (size_t i = 0; i < step->out[0]->count; i++) out[i] = qb_clamp_f32(in[i], op->range_f32);
}

static void run_s8(const qb_step *step)
{
    const clamp *op = step->state;
    const int8_t *in = step->in[0]->data;
    int8_t *out = step->out[0]->data;
    for (size_t i = 0; i < step->out[0]->count; i++) {
        const int32_t value = qb_multiply(in[i] - op->in_zero_point, op->rescale);
        out[i] = qb_clamp_s8(qb_add_wrapping(value, op->out_zero_point), op->range_s8);
    }
}

static bool prepare(qb_builder *builder, qb_step *step, uint8_t activation)
{
    if (!qb_check_counts(builder, step, 1, 1) || !qb_check_elementary(builder, step) ||
        !qb_check_no_activation(builder, step)) {
        return false;
    }
    const qb_tensor *in = step->in[0], *out = step->out[0];
    if (!qb_same_shape(in, out)) return qb_refuse(builder, step, "input and output differ in shape");
    clamp *op = qb_alloc(builder, sizeof *op);
    if (op == NULL) return false;
    op->range_f32 = qb_activation_range_f32(activation);
    if (in->dtype == QB_S8) {
        op->in_zero_point = in->zero_point;
        op->out_zero_point = out->zero_point;
        op->rescale = qb_quantize_multiplier(in->scales[0] / out->scales[0]); /* in f32, as TFLite does */
        op->range_s8 = qb_activation_range_s8(activation, out);
    }
    step->state = op;
    step->run = in->dtype == QB_S8 ? run_s8 : run_f32;
    step->kernel = in->dtype == QB_S8 ? "activation_s8" : "activation_f32";
    return true;
}

bool qb_prepare_RELU(qb_builder *builder, qb_step *step)
{
    return prepare(builder, step, QB_ACT_RELU);
}

bool qb_prepare_RELU6(qb_builder *builder, qb_step *step)
{
    return prepare(builder, step, QB_ACT_RELU6);
}

bool qb_prepare_RELU_N1_TO_1(qb_builder *builder, qb_step *step)
{
    return prepare(builder, step, QB_ACT_RELU_N1_TO_1);
}
