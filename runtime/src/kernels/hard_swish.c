/* HardSwish: x · relu6(x + 3) / 6 (Howard et al. 2019). int8 as TFLite's reference kernel, in 16-bit fixed point. */
#include <math.h>

#include "../requantize.h"
#include "checks.h"
#include "table_s8.h"

typedef struct multiplier_s16 {
    int32_t multiplier; /* Q0.15 */
    int exponent;
} multiplier_s16;

typedef struct hard_swish {
    int32_t in_zero_point, out_zero_point;
    multiplier_s16 output;  /* of the input in 128ths, to the output's scale */
    multiplier_s16 reluish; /* of the input in 128ths, to 3 / 32768 */
} hard_swish;

static void run_f32(const qb_step *step)
{
    const float *in = step->in[0]->data;
    float *out = step->out[0]->data;
    for (size_t i = 0; i < step->out[0]->count; i++) {
        const float gate = in[i] + 3.0f;
        out[i] = in[i] * (gate < 0.0f ? 0.0f : gate > 6.0f ? 6.0f : gate) / 6.0f;
    }
}

static int32_t clamp_s16(int32_t value)
{
    return qb_clamp(value, INT16_MIN, INT16_MAX);
}

static int32_t saturating_shift_left(int32_t value, int bits)
{
    return bits >= 16 ? (value > 0 ? INT16_MAX : value < 0 ? INT16_MIN : 0) : clamp_s16(value * (1 << bits));
}

/* The high half of 2·a·b of 16-bit a and b, rounded to nearest. */
static int32_t rounding_high_mul(int32_t a, int32_t b)
{
    const int32_t product = a * b;
    return clamp_s16((product + (product >= 0 ? 1 << 14 : 1 - (1 << 14))) / (1 << 15));
}

/* (x / 3 + 1) / 2 in Q0.15, saturated, of x in 128ths. */
static int32_t gate(const hard_swish *op, int32_t x)
{
    const int exponent = op->reluish.exponent;
    /* The last bit to the left is shifted after the multiplication, so that it alone decides about saturation. */
    const int32_t shifted = exponent > 0 ? saturating_shift_left(x, exponent - 1) : x;
    const int32_t product = rounding_high_mul(shifted, op->reluish.multiplier);
    const int32_t whole = exponent > 0    ? saturating_shift_left(product, 1)
                          : exponent < 0  ? qb_rounding_shift_right(product, -exponent)
                                          : product;
    return (whole + (1 << 15)) >> 1;
}

static int32_t map(const void *context, int32_t q)
{
    const hard_swish *op = context;
    const int32_t x = (q - op->in_zero_point) * (1 << 7);
    const int32_t on_output_scale = rounding_high_mul(x, op->output.multiplier);
    const int32_t product = gate(op, x) * on_output_scale / (1 << 15); /* toward zero, against the bias of rounding */
    return qb_rounding_shift_right(product, -op->output.exponent) + op->out_zero_point;
}

static multiplier_s16 quantize_s16(float real)
{
    const qb_multiplier wide = qb_quantize_multiplier((double)real);
    const int32_t half = 1 << 15;
    const int32_t narrow = wide.multiplier >= INT32_MAX - half ? INT16_MAX : (wide.multiplier + half) >> 16;
    return (multiplier_s16){narrow, wide.shift};
}

bool qb_prepare_HARD_SWISH(qb_builder *builder, qb_step *step)
{
    if (!qb_check_map(builder, step)) return false;
    if (step->node->arithmetic == QB_ARITH_F32) {
        step->run = run_f32;
        step->kernel = "hard_swish_f32";
        return true;
    }
    if (step->node->arithmetic != QB_ARITH_INT8) return qb_refuse(builder, step, "the op has no such arithmetic");
    const float fine_scale = (1.0f / 128.0f) * step->in[0]->scales[0];
    const hard_swish op = {
        .in_zero_point = step->in[0]->zero_point,
        .out_zero_point = step->out[0]->zero_point,
        .output = quantize_s16(fine_scale / step->out[0]->scales[0]),
        .reluish = quantize_s16(fine_scale / (3.0f / 32768.0f)),
    };
    if (op.output.exponent > 0) return qb_refuse(builder, step, "the output's scale is too small for the input's");
    return qb_prepare_table(builder, step, map, &op);
}
