/* Quantize: float32 to int8, uint8 or int16, or any of these to another or to another scale; Dequantize: back to
 * float32, per tensor, and float16 constants to float32.
 *
 * uint8 values are handled as int8: with their highest bit flipped and their zero point less 128 they stand for the
 * same real numbers.
 */
#include "../requantize.h"
#include "checks.h"
#include "float16.h"

/* Half away from zero, for a value of magnitude under 2^23, in steps that compilers turn into vectors; roundf is a
 * call. The fraction is exact. */
static inline int32_t round_half_away(float value)
{
    const int32_t whole = (int32_t)value;
    const float fraction = value - (float)whole;
    return whole + (fraction >= 0.5f) - (fraction <= -0.5f);
}

typedef struct conversion {
    int32_t in_zero_point, out_zero_point; /* of uint8: less 128 */
    uint8_t in_flip, out_flip;             /* uint8: 0x80 */
    qb_multiplier rescale;
} conversion;

/* qb_quantize_s8 of every value. The bounds are whole numbers, so that clamping before rounding is clamping after it. */
static void quantize_8(const qb_step *step)
{
    const conversion *op = step->state;
    const qb_tensor *out = step->out[0];
    const size_t count = out->count;
    const float *in = step->in[0]->data;
    const float scale = out->scales[0];
    const int32_t zero_point = op->out_zero_point;
    const uint8_t flip = op->out_flip;
    const float low = (float)(-128 - zero_point), high = (float)(127 - zero_point);
    uint8_t *values = out->data;
    for (size_t i = 0; i < count; i++) {
        const float scaled = in[i] / scale;
        const float not_low = scaled > low ? scaled : low; /* NaN too becomes the lowest value */
        const float bounded = not_low < high ? not_low : high;
        values[i] = (uint8_t)(round_half_away(bounded) + zero_point) ^ flip;
    }
}

static void quantize_s16(const qb_step *step)
{
    const qb_tensor *out = step->out[0];
    const float *in = step->in[0]->data;
    int16_t *values = out->data;
    for (size_t i = 0; i < out->count; i++) {
        values[i] = (int16_t)qb_quantize(in[i], out->scales[0], out->zero_point, INT16_MIN, INT16_MAX);
    }
}

/* Between int8 and uint8, or neither, with the scale and the real zero as they are. */
static void flip(const qb_step *step)
{
    const conversion *op = step->state;
    const uint8_t change = op->in_flip ^ op->out_flip;
    const uint8_t *in = step->in[0]->data;
    uint8_t *out = step->out[0]->data;
    for (size_t i = 0; i < step->out[0]->count; i++) out[i] = in[i] ^ change;
}

static inline int32_t load(const qb_tensor *tensor, size_t i, uint8_t flip)
{
    if (tensor->dtype == QB_S16) return ((const int16_t *)tensor->data)[i];
    return (int8_t)(((const uint8_t *)tensor->data)[i] ^ flip);
}

static void requantize(const qb_step *step)
{
    const conversion *op = step->state;
    const qb_tensor *in = step->in[0], *out = step->out[0];
    const bool wide = out->dtype == QB_S16;
    const int32_t low = wide ? INT16_MIN : INT8_MIN, high = wide ? INT16_MAX : INT8_MAX;
    for (size_t i = 0; i < out->count; i++) {
        const int32_t scaled = qb_multiply(load(in, i, op->in_flip) - op->in_zero_point, op->rescale);
        const int32_t value = qb_clamp(qb_add_wrapping(scaled, op->out_zero_point), low, high);
        if (wide) {
            ((int16_t *)out->data)[i] = (int16_t)value;
        } else {
            ((uint8_t *)out->data)[i] = (uint8_t)value ^ op->out_flip;
        }
    }
}

static void dequantize(const qb_step *step)
{
    const conversion *op = step->state;
    const size_t count = step->in[0]->count;
    const float scale = step->in[0]->scales[0];
    float *out = step->out[0]->data;
    for (size_t i = 0; i < count; i++) out[i] = (float)(load(step->in[0], i, op->in_flip) - op->in_zero_point) * scale;
}

static void expand_f16(const qb_step *step)
{
    qb_expand_f16(step->in[0]->data, step->in[0]->count, step->out[0]->data);
}

static bool is_quantized(const qb_tensor *tensor)
{
    return tensor->dtype == QB_S8 || tensor->dtype == QB_U8 || tensor->dtype == QB_S16;
}

static bool check_tensors(qb_builder *builder, const qb_step *step)
{
    const qb_tensor *in = step->in[0], *out = step->out[0];
    if (!qb_check_dtype(builder, step, in, in->dtype) || !qb_check_dtype(builder, step, out, out->dtype) ||
        !qb_check_no_activation(builder, step)) {
        return false;
    }
    if (qb_same_shape(in, out)) return true;
    return qb_refuse(builder, step, "input and output differ in shape");
}

static bool prepare(qb_builder *builder, qb_step *step)
{
    if (!check_tensors(builder, step)) return false;
    conversion *op = qb_alloc(builder, sizeof *op);
    if (op == NULL) return false;
    const qb_tensor *in = step->in[0], *out = step->out[0];
    op->in_flip = in->dtype == QB_U8 ? 0x80 : 0;
    op->out_flip = out->dtype == QB_U8 ? 0x80 : 0;
    op->in_zero_point = in->zero_point - op->in_flip;
    op->out_zero_point = out->zero_point - op->out_flip;
    step->state = op;
    return true;
}

static bool prepare_requantize(qb_builder *builder, qb_step *step)
{
    if (!prepare(builder, step)) return false;
    conversion *op = (conversion *)(uintptr_t)step->state;
    const qb_tensor *in = step->in[0], *out = step->out[0];
    op->rescale = qb_quantize_multiplier((double)in->scales[0] / (double)out->scales[0]);
    const bool bytes = in->dtype != QB_S16 && out->dtype != QB_S16;
    const bool same = in->scales[0] == out->scales[0] && op->in_zero_point == op->out_zero_point;
    step->run = bytes && same ? flip : requantize;
    step->kernel = "requantize";
    return true;
}

bool qb_prepare_QUANTIZE(qb_builder *builder, qb_step *step)
{
    if (!qb_check_counts(builder, step, 1, 1)) return false;
    const uint8_t from = step->in[0]->dtype;
    if (!is_quantized(step->out[0]) || (from != QB_F32 && !is_quantized(step->in[0]))) {
        return qb_refuse(builder, step, "converts float32, int8, uint8 or int16 to one of the last three");
    }
    if (from != QB_F32) return prepare_requantize(builder, step);
    step->run = step->out[0]->dtype == QB_S16 ? quantize_s16 : quantize_8;
    step->kernel = "quantize";
    return prepare(builder, step);
}

bool qb_prepare_DEQUANTIZE(qb_builder *builder, qb_step *step)
{
    if (!qb_check_counts(builder, step, 1, 1)) return false;
    const bool half = step->in[0]->dtype == QB_F16;
    if ((!half && !is_quantized(step->in[0])) || step->out[0]->dtype != QB_F32) {
        return qb_refuse(builder, step, "converts int8, uint8, int16 or float16 to float32");
    }
    step->run = half ? expand_f16 : dequantize;
    step->kernel = "dequantize";
    return prepare(builder, step);
}
