/* Add, Sub, Mul, Div with broadcasting and a fused activation. out = activation(a ∘ b).
 *
 * Quantized as TFLite's reference kernels: Add and Sub bring both operands to a common scale, 20 bits up (15 for
 * int16); Mul rescales the product of the centred operands; Div multiplies by a fixed-point reciprocal. Integers wrap
 * around; what an integer divided by 0 gives is 0.
 */
#include "../isa.h"
#include "broadcast.h"
#include "checks.h"
#include "fixed_exp.h"
#include "loops.h"

typedef struct operand {
    int32_t zero_point;
    qb_multiplier rescale; /* Add, Sub: to the common scale */
} operand;

typedef struct elementwise {
    qb_broadcast broadcast;
    operand a, b;
    int common_scale_bits;
    int32_t out_zero_point;
    qb_multiplier out_rescale;
    qb_range_f32 range_f32;
    qb_range_s8 range;        /* quantized */
    int64_t int_min, int_max; /* integers that stand for themselves */
    qb_row_fn row;
    const qb_loops *loops; /* with binary_s8: for rows whose operands both run along, or NULL */
    qb_binary_s8 binary_s8;
} elementwise;

static int32_t to_common_scale(const elementwise *op, const operand *operand, int32_t value)
{
    return qb_multiply(qb_shift_left(value - operand->zero_point, op->common_scale_bits), operand->rescale);
}

static int32_t clamp_output(const elementwise *op, int32_t rescaled)
{
    return qb_clamp(qb_add_wrapping(rescaled, op->out_zero_point), op->range.min, op->range.max);
}

static int32_t add(const elementwise *op, int32_t a, int32_t b)
{
    const int32_t sum = qb_add_wrapping(to_common_scale(op, &op->a, a), to_common_scale(op, &op->b, b));
    return clamp_output(op, qb_multiply(sum, op->out_rescale));
}

static int32_t sub(const elementwise *op, int32_t a, int32_t b)
{
    const int32_t negated = (int32_t)(0u - (uint32_t)to_common_scale(op, &op->b, b));
    return clamp_output(op, qb_multiply(qb_add_wrapping(to_common_scale(op, &op->a, a), negated), op->out_rescale));
}

static int32_t mul(const elementwise *op, int32_t a, int32_t b)
{
    return clamp_output(op, qb_multiply((a - op->a.zero_point) * (b - op->b.zero_point), op->out_rescale));
}

/* The quotient is shifted up as far as it goes before it is rescaled (TFLite's DivElementwise). */
static int32_t div(const elementwise *op, int32_t a, int32_t b)
{
    const int32_t divisor = b - op->b.zero_point;
    const int32_t dividend = divisor < 0 ? op->a.zero_point - a : a - op->a.zero_point;
    if (divisor == 0) return clamp_output(op, 0);
    const qb_reciprocal reciprocal = qb_reciprocal_of_sum(divisor < 0 ? -divisor : divisor);
    const int bits_over_unit = reciprocal.bits_over_unit + 31 - QB_EXP_SUM_INTEGER_BITS; /* of an integer */
    const int headroom = __builtin_clrsb(dividend);
    const int32_t quotient = qb_doubling_high_mul(qb_shift_left(dividend, headroom), reciprocal.value);
    const int right = headroom + bits_over_unit - op->out_rescale.shift;
    const int32_t product = qb_doubling_high_mul(quotient, op->out_rescale.multiplier);
    if (right < 0) return clamp_output(op, qb_shift_left(product, -right & 31));
    return clamp_output(op, right > 31 ? 0 : qb_rounding_shift_right(product, right));
}

static int64_t clamp_int(const elementwise *op, int64_t value)
{
    return value < op->int_min ? op->int_min : value > op->int_max ? op->int_max : value;
}

static int64_t wrapping_add(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static int64_t wrapping_mul(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a * (uint64_t)b);
}

static int64_t wrapping_negative(int64_t a)
{
    return (int64_t)(0u - (uint64_t)a);
}

static int64_t divide(int64_t a, int64_t b)
{
    return b == 0 ? 0 : b == -1 ? wrapping_negative(a) : a / b;
}

#define ROW(name, type, expression) QB_BINARY_ROW(name, elementwise, type, type, expression)

ROW(add_f32, float, qb_clamp_f32(a + b, op->range_f32))
ROW(sub_f32, float, qb_clamp_f32(a - b, op->range_f32))
ROW(mul_f32, float, qb_clamp_f32(a * b, op->range_f32))
ROW(div_f32, float, qb_clamp_f32(a / b, op->range_f32))
ROW(add_s8, int8_t, add(op, a, b))
ROW(sub_s8, int8_t, sub(op, a, b))
ROW(mul_s8, int8_t, mul(op, a, b))
ROW(div_s8, int8_t, div(op, a, b))
ROW(add_s16, int16_t, add(op, a, b))
ROW(sub_s16, int16_t, sub(op, a, b))
ROW(mul_s16, int16_t, mul(op, a, b))
ROW(add_s32, int32_t, clamp_int(op, (int32_t)wrapping_add(a, b)))
ROW(sub_s32, int32_t, clamp_int(op, (int32_t)wrapping_add(a, wrapping_negative(b))))
ROW(mul_s32, int32_t, clamp_int(op, (int32_t)wrapping_mul(a, b)))
ROW(div_s32, int32_t, clamp_int(op, (int32_t)divide(a, b)))
ROW(add_s64, int64_t, clamp_int(op, wrapping_add(a, b)))
ROW(sub_s64, int64_t, clamp_int(op, wrapping_add(a, wrapping_negative(b))))
ROW(mul_s64, int64_t, clamp_int(op, wrapping_mul(a, b)))
ROW(div_s64, int64_t, clamp_int(op, divide(a, b)))

/* Defines name_loops: the row function `name` with the ISA variant's loop where no operand repeats. */
#define LOOP_ROW(name, type, parameters)                                                                            \
    static void name##_loops(const void *state, const char *const *in, const size_t *steps, void *out, size_t count) \
    {                                                                                                               \
        const elementwise *op = state;                                                                              \
        if (steps[0] == sizeof(type) && steps[1] == sizeof(type)) {                                                 \
            op->loops->name(parameters, (const type *)in[0], (const type *)in[1], out, count);                      \
        } else {                                                                                                    \
            name(state, in, steps, out, count);                                                                     \
        }                                                                                                           \
    }

LOOP_ROW(add_f32, float, op->range_f32)
LOOP_ROW(mul_f32, float, op->range_f32)
LOOP_ROW(add_s8, int8_t, &op->binary_s8)
LOOP_ROW(mul_s8, int8_t, &op->binary_s8)

/* One op's rows by dtype; NULL where TFLite has none. */
typedef struct rows {
    qb_row_fn f32, s8, s16, s32, s64;
} rows;

static qb_row_fn row_for(const rows *rows, uint8_t dtype)
{
    switch (dtype) {
    case QB_F32: return rows->f32;
    case QB_S8: return rows->s8;
    case QB_S16: return rows->s16;
    case QB_S32: return rows->s32;
    case QB_S64: return rows->s64;
    default: return NULL;
    }
}

static void run(const qb_step *step)
{
    const elementwise *op = step->state;
    qb_broadcast_run(step, &op->broadcast, op->row, op);
}

static void set_ranges(const qb_step *step, elementwise *op)
{
    const uint8_t activation = step->node->activation, dtype = step->out[0]->dtype;
    op->range_f32 = qb_activation_range_f32(activation);
    if (dtype == QB_S8) op->range = qb_activation_range_s8(activation, step->out[0]);
    if (dtype == QB_S16) op->range = qb_activation_range_s16(activation, step->out[0]);
    op->int_min = isinf(op->range_f32.min) ? INT64_MIN : (int64_t)op->range_f32.min;
    op->int_max = isinf(op->range_f32.max) ? INT64_MAX : (int64_t)op->range_f32.max;
}

static elementwise *prepare(qb_builder *builder, qb_step *step, const rows *rows, const char *kernel)
{
    if (!qb_check_counts(builder, step, 2, 2)) return NULL;
    const qb_tensor *a = step->in[0], *b = step->in[1], *out = step->out[0];
    if (!qb_check_dtype(builder, step, a, out->dtype) || !qb_check_dtype(builder, step, b, out->dtype) ||
        !qb_check_dtype(builder, step, out, out->dtype)) {
        return NULL;
    }
    if (out->dtype == QB_S16 && (a->zero_point != 0 || b->zero_point != 0 || out->zero_point != 0)) {
        qb_refuse(builder, step, "an int16 tensor has a zero point that is not 0");
        return NULL;
    }
    elementwise *op = qb_alloc(builder, sizeof *op);
    if (op == NULL || !qb_broadcast_prepare(builder, step, &op->broadcast)) return NULL;
    op->row = row_for(rows, out->dtype);
    if (op->row == NULL) {
        qb_refuse(builder, step, "the op has no kernel for the dtype of '%s'", out->name);
        return NULL;
    }
    op->a.zero_point = a->zero_point;
    op->b.zero_point = b->zero_point;
    op->out_zero_point = out->zero_point;
    set_ranges(step, op);
    step->state = op;
    step->run = run;
    step->kernel = kernel;
    return op;
}

static bool quantized(const qb_step *step)
{
    return step->out[0]->dtype == QB_S8 || step->out[0]->dtype == QB_S16;
}

/* Add and Sub: a common scale of twice the larger one, so that the sum of both cannot overflow. */
static bool set_sum_rescale(const qb_step *step, elementwise *op)
{
    if (op == NULL) return false;
    if (!quantized(step)) return true;
    op->common_scale_bits = step->out[0]->dtype == QB_S16 ? 15 : 20;
    const float a = step->in[0]->scales[0], b = step->in[1]->scales[0];
    const double common = 2.0 * (a > b ? a : b);
    op->a.rescale = qb_quantize_multiplier(a / common);
    op->b.rescale = qb_quantize_multiplier(b / common);
    const double unit = (double)(1 << op->common_scale_bits);
    op->out_rescale = qb_quantize_multiplier(common / (unit * (double)step->out[0]->scales[0]));
    return true;
}

/* Replaces the row function by one of the ISA variant's loops, which add roundings up: what they rescale stays under
 * 2^30 with factors of less than 2. */
static void use_loops(const qb_builder *builder, const qb_step *step, elementwise *op, qb_row_fn f32, qb_row_fn s8)
{
    const uint8_t dtype = step->out[0]->dtype;
    op->loops = qb_builder_isa(builder)->loops;
    if (op->loops == NULL || op->out_rescale.shift > 1) return;
    op->binary_s8 = (qb_binary_s8){
        .a_zero = op->a.zero_point,
        .b_zero = op->b.zero_point,
        .zero = op->out_zero_point,
        .a = qb_rescale_by(op->a.rescale),
        .b = qb_rescale_by(op->b.rescale),
        .out = qb_rescale_by(op->out_rescale),
        .common_bits = op->common_scale_bits,
        .range = op->range,
    };
    if (dtype == QB_F32) op->row = f32;
    if (dtype == QB_S8) op->row = s8;
}

bool qb_prepare_ADD(qb_builder *builder, qb_step *step)
{
    static const rows rows = {add_f32, add_s8, add_s16, add_s32, add_s64};
    elementwise *op = prepare(builder, step, &rows, "add");
    if (!set_sum_rescale(step, op)) return false;
    use_loops(builder, step, op, add_f32_loops, add_s8_loops);
    if (op->row == add_s8_loops && op->loops->find_sum != NULL) {
        const double a = (double)step->in[0]->scales[0], b = (double)step->in[1]->scales[0];
        const double unit = (double)step->out[0]->scales[0];
        op->binary_s8.sum = op->loops->find_sum(&op->binary_s8, a / unit, b / unit);
    }
    return true;
}

bool qb_prepare_SUB(qb_builder *builder, qb_step *step)
{
    static const rows rows = {sub_f32, sub_s8, sub_s16, sub_s32, sub_s64};
    return set_sum_rescale(step, prepare(builder, step, &rows, "sub"));
}

/* The factors of Mul and Div are computed in f32, as TFLite does. */
bool qb_prepare_MUL(qb_builder *builder, qb_step *step)
{
    static const rows rows = {mul_f32, mul_s8, mul_s16, mul_s32, mul_s64};
    elementwise *op = prepare(builder, step, &rows, "mul");
    if (op == NULL) return false;
    if (quantized(step)) {
        const float factor = step->in[0]->scales[0] * step->in[1]->scales[0] / step->out[0]->scales[0];
        op->out_rescale = qb_quantize_multiplier(factor);
    }
    use_loops(builder, step, op, mul_f32_loops, mul_s8_loops);
    return true;
}

bool qb_prepare_DIV(qb_builder *builder, qb_step *step)
{
    static const rows rows = {div_f32, div_s8, NULL, div_s32, div_s64};
    elementwise *op = prepare(builder, step, &rows, "div");
    if (op == NULL) return false;
    if (!quantized(step)) return true;
    const float factor = step->in[0]->scales[0] / (step->in[1]->scales[0] * step->out[0]->scales[0]);
    op->out_rescale = qb_quantize_multiplier(factor);
    return true;
}
