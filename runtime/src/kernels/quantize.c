/* Quantize: float32 to int8, or int8 to int8 of another scale; Dequantize: int8 to float32. Per tensor. */
#include "../requantize.h"
#include "checks.h"

/* Half away from zero, for a value of magnitude under 2^23, in steps that compilers turn into vectors; roundf is a
 * call. The fraction is exact. */
static inline int32_t round_half_away(float value)
{
    const int32_t whole = (int32_t)value;
    const float fraction = value - (float)whole;
    return whole + (fraction >= 0.5f) - (fraction <= -0.5f);
}

/* qb_quantize_s8 of every value. The bounds are whole numbers, so that clamping before rounding is clamping after it. */
static void quantize(const qb_step *step)
{
    const qb_tensor *out = step->out[0];
    const size_t count = out->count;
    const float *in = step->in[0]->data;
    const float scale = out->scales[0];
    const int32_t zero_point = out->zero_point;
    const float low = (float)(-128 - zero_point), high = (float)(127 - zero_point);
    int8_t *values = out->data;
    for (size_t i = 0; i < count; i++) {
        const float scaled = in[i] / scale;
        const float not_low = scaled > low ? scaled : low; /* NaN too becomes the lowest value */
        const float bounded = not_low < high ? not_low : high;
        values[i] = (int8_t)(round_half_away(bounded) + zero_point);
    }
}

typedef struct requantize {
    int32_t in_zero_point, out_zero_point;
    qb_multiplier rescale;
} requantize;

static void run_requantize(const qb_step *step)
{
    static const qb_range_s8 whole = {INT8_MIN, INT8_MAX};
    const requantize *op = step->state;
    const int8_t *in = step->in[0]->data;
    int8_t *out = step->out[0]->data;
    for (size_t i = 0; i < step->out[0]->count; i++) {
        const int32_t value = qb_multiply(in[i] - op->in_zero_point, op->rescale);
        out[i] = qb_clamp_s8(qb_add_wrapping(value, op->out_zero_point), whole);
    }
}

static void dequantize(const qb_step *step)
{
    const qb_tensor *in = step->in[0];
    const size_t count = in->count;
    const float scale = in->scales[0];
    const int32_t zero_point = in->zero_point;
    const int8_t *values = in->data;
    float *out = step->out[0]->data;
    for (size_t i = 0; i < count; i++) out[i] = (float)(values[i] - zero_point) * scale;
}

static bool check_tensors(qb_builder *builder, const qb_step *step, uint8_t in_dtype, uint8_t out_dtype)
{
    if (!qb_check_counts(builder, step, 1, 1) || !qb_check_no_activation(builder, step) ||
        !qb_check_dtype(builder, step, step->in[0], in_dtype) ||
        !qb_check_dtype(builder, step, step->out[0], out_dtype)) {
        return false;
    }
    if (qb_same_shape(step->in[0], step->out[0])) return true;
    return qb_refuse(builder, step, "input and output differ in shape");
}

static bool prepare_requantize(qb_builder *builder, qb_step *step)
{
    if (!check_tensors(builder, step, QB_S8, QB_S8)) return false;
    requantize *op = qb_alloc(builder, sizeof *op);
    if (op == NULL) return false;
    const qb_tensor *in = step->in[0], *out = step->out[0];
    op->in_zero_point = in->zero_point;
    op->out_zero_point = out->zero_point;
    op->rescale = qb_quantize_multiplier((double)in->scales[0] / (double)out->scales[0]);
    step->state = op;
    step->run = run_requantize;
    step->kernel = "requantize_s8";
    return true;
}

bool qb_prepare_QUANTIZE(qb_builder *builder, qb_step *step)
{
    if (!qb_check_counts(builder, step, 1, 1)) return false;
    if (step->in[0]->dtype == QB_S8) return prepare_requantize(builder, step);
    if (!check_tensors(builder, step, QB_F32, QB_S8)) return false;
    step->run = quantize;
    step->kernel = "quantize_s8";
    return true;
}

bool qb_prepare_DEQUANTIZE(qb_builder *builder, qb_step *step)
{
    if (!check_tensors(builder, step, QB_S8, QB_F32)) return false;
    step->run = dequantize;
    step->kernel = "dequantize_s8";
    return true;
}
