/* LeakyRelu and PRelu: x where it is positive, else x · α; α is one number, or a tensor that broadcasts. */
#include "../requantize.h"
#include "broadcast.h"
#include "checks.h"
#include "table_s8.h"

typedef struct leaky_relu {
    int32_t in_zero_point, out_zero_point;
    bool negative_alpha;
    qb_multiplier identity, alpha; /* |α| */
} leaky_relu;

static void run_leaky_f32(const qb_step *step)
{
    const float alpha = step->node->parameters[0];
    const float *in = step->in[0]->data;
    float *out = step->out[0]->data;
    for (size_t i = 0; i < step->out[0]->count; i++) out[i] = in[i] > 0.0f ? in[i] : in[i] * alpha;
}

static int32_t map_leaky(const void *context, int32_t q)
{
    const leaky_relu *op = context;
    const int32_t x = q - op->in_zero_point;
    const int32_t value = qb_multiply(x, x >= 0 ? op->identity : op->alpha);
    const bool flip = x < 0 && op->negative_alpha;
    return qb_add_wrapping(flip ? (int32_t)(0u - (uint32_t)value) : value, op->out_zero_point);
}

bool qb_prepare_LEAKY_RELU(qb_builder *builder, qb_step *step)
{
    if (!qb_check_map(builder, step)) return false;
    const float alpha = step->node->parameters[0];
    if (!isfinite(alpha)) return qb_refuse(builder, step, "alpha is not finite");
    if (step->node->arithmetic == QB_ARITH_F32) {
        step->run = run_leaky_f32;
        step->kernel = "leaky_relu_f32";
        return true;
    }
    if (step->node->arithmetic != QB_ARITH_INT8) return qb_refuse(builder, step, "the op has no such arithmetic");
    const float in_scale = step->in[0]->scales[0], out_scale = step->out[0]->scales[0];
    const leaky_relu op = {
        .in_zero_point = step->in[0]->zero_point,
        .out_zero_point = step->out[0]->zero_point,
        .negative_alpha = alpha < 0.0f,
        .identity = qb_quantize_multiplier(in_scale / out_scale), /* in f32, as TFLite does */
        .alpha = qb_quantize_multiplier(fabsf(in_scale * alpha / out_scale)),
    };
    return qb_prepare_table(builder, step, map_leaky, &op);
}

typedef struct prelu {
    qb_broadcast broadcast;
    qb_row_fn row;
    int32_t in_zero_point, alpha_zero_point, out_zero_point;
    qb_multiplier identity, alpha;
} prelu;

static int32_t prelu_s8(const prelu *op, int32_t a, int32_t b)
{
    const int32_t x = a - op->in_zero_point;
    const int32_t value =
        x >= 0 ? qb_multiply(x, op->identity) : qb_multiply(x * (b - op->alpha_zero_point), op->alpha);
    return qb_clamp(qb_add_wrapping(value, op->out_zero_point), INT8_MIN, INT8_MAX);
}

QB_BINARY_ROW(row_f32, prelu, float, float, a >= 0.0f ? a : a * b)
QB_BINARY_ROW(row_s8, prelu, int8_t, int8_t, prelu_s8(op, a, b))

static void run_prelu(const qb_step *step)
{
    const prelu *op = step->state;
    qb_broadcast_run(step, &op->broadcast, op->row, op);
}

bool qb_prepare_PRELU(qb_builder *builder, qb_step *step)
{
    if (!qb_check_counts(builder, step, 2, 2) || !qb_check_elementary(builder, step) ||
        !qb_check_dtype(builder, step, step->in[1], step->in[0]->dtype) || !qb_check_no_activation(builder, step)) {
        return false;
    }
    prelu *op = qb_alloc(builder, sizeof *op);
    if (op == NULL || !qb_broadcast_prepare(builder, step, &op->broadcast)) return false;
    const qb_tensor *x = step->in[0], *alpha = step->in[1], *out = step->out[0];
    if (x->dtype == QB_S16) return qb_refuse(builder, step, "the op has no such arithmetic");
    if (x->dtype == QB_S8) {
        op->in_zero_point = x->zero_point;
        op->alpha_zero_point = alpha->zero_point;
        op->out_zero_point = out->zero_point;
        op->identity = qb_quantize_multiplier(x->scales[0] / out->scales[0]);
        op->alpha = qb_quantize_multiplier(x->scales[0] * alpha->scales[0] / out->scales[0]);
    }
    op->row = x->dtype == QB_S8 ? row_s8 : row_f32;
    step->state = op;
    step->run = run_prelu;
    step->kernel = "prelu";
    return true;
}
