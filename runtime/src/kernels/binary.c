/* Ops of two operands that broadcast, without a fused activation: Maximum, Minimum, SquaredDifference, FloorDiv,
 * FloorMod, Pow; six comparisons and two of logic, whose output is boolean.
 *
 * Quantized comparisons bring both operands to real values times 256, SquaredDifference both to a common scale, 7 bits
 * up, as TFLite's reference kernels do. Maximum and Minimum compare what is stored.
 */
#include <math.h>

#include "../requantize.h"
#include "broadcast.h"
#include "checks.h"

enum { DIFFERENCE_BITS = 7, COMPARISON_BITS = 8 };

typedef struct scaled_operand {
    int32_t zero_point;
    qb_multiplier factor;
} scaled_operand;

typedef struct binary {
    qb_broadcast broadcast;
    qb_row_fn row;
    scaled_operand a, b;
    int32_t out_zero_point;
    qb_multiplier out_rescale;
} binary;

static int32_t scaled(const scaled_operand *operand, int32_t value, int bits)
{
    return qb_multiply(qb_shift_left(value - operand->zero_point, bits), operand->factor);
}

static int32_t squared_difference(const binary *op, int32_t a, int32_t b)
{
    const int32_t difference = scaled(&op->a, a, DIFFERENCE_BITS) - scaled(&op->b, b, DIFFERENCE_BITS);
    const int32_t value = qb_multiply(difference * difference, op->out_rescale);
    return qb_clamp(qb_add_wrapping(value, op->out_zero_point), INT8_MIN, INT8_MAX);
}

static int64_t square_of_difference(int64_t a, int64_t b)
{
    const uint64_t difference = (uint64_t)a - (uint64_t)b;
    return (int64_t)(difference * difference);
}

/* Toward negative infinity; by zero gives zero. */
static int64_t floor_div(int64_t a, int64_t b)
{
    if (b == 0) return 0;
    if (b == -1) return (int64_t)(0u - (uint64_t)a);
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

/* Of the divisor's sign; by zero gives zero. */
static int64_t floor_mod(int64_t a, int64_t b)
{
    if (b == 0 || b == -1) return 0;
    const int64_t rest = a % b;
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

static float fmod_floor(float a, float b)
{
    const float rest = fmodf(a, b);
    return rest != 0.0f && (rest < 0.0f) != (b < 0.0f) ? rest + b : rest;
}

static int32_t power(int32_t a, int32_t b)
{
    const double power = pow(a, b);
    return power >= 2147483647.0 ? INT32_MAX : power > -2147483648.0 ? (int32_t)power : INT32_MIN;
}

#define ROW(name, type, expression) QB_BINARY_ROW(name, binary, type, type, expression)
#define TO_BOOL(name, type, expression) QB_BINARY_ROW(name, binary, type, uint8_t, expression)
#define EVERY_DTYPE(DEFINE, name, expression)  \
    DEFINE(name##_f32, float, expression)      \
    DEFINE(name##_s8, int8_t, expression)      \
    DEFINE(name##_s16, int16_t, expression)    \
    DEFINE(name##_s32, int32_t, expression)    \
    DEFINE(name##_s64, int64_t, expression)

EVERY_DTYPE(ROW, maximum, a > b ? a : b)
EVERY_DTYPE(ROW, minimum, a < b ? a : b)
ROW(squared_difference_f32, float, (a - b) * (a - b))
ROW(squared_difference_s8, int8_t, squared_difference(op, a, b))
ROW(squared_difference_s32, int32_t, square_of_difference(a, b))
ROW(squared_difference_s64, int64_t, square_of_difference(a, b))
ROW(floor_div_f32, float, floor((double)a / (double)b))
ROW(floor_div_s32, int32_t, floor_div(a, b))
ROW(floor_div_s64, int64_t, floor_div(a, b))
ROW(floor_mod_f32, float, fmod_floor(a, b))
ROW(floor_mod_s32, int32_t, floor_mod(a, b))
ROW(floor_mod_s64, int64_t, floor_mod(a, b))
ROW(pow_f32, float, powf(a, b))
ROW(pow_s32, int32_t, power(a, b))
TO_BOOL(logical_and, uint8_t, a && b)
TO_BOOL(logical_or, uint8_t, a || b)

#define COMPARISON(name, operator)                                                                                  \
    TO_BOOL(name##_f32, float, a operator b)                                                                        \
    TO_BOOL(name##_s8, int8_t, scaled(&op->a, a, COMPARISON_BITS) operator scaled(&op->b, b, COMPARISON_BITS))      \
    TO_BOOL(name##_s32, int32_t, a operator b)                                                                      \
    TO_BOOL(name##_s64, int64_t, a operator b)

COMPARISON(equal, ==)
COMPARISON(not_equal, !=)
COMPARISON(less, <)
COMPARISON(less_equal, <=)
COMPARISON(greater, >)
COMPARISON(greater_equal, >=)
TO_BOOL(equal_bool, uint8_t, !a == !b)
TO_BOOL(not_equal_bool, uint8_t, !a != !b)

/* One op's rows by the dtype of its operands; NULL where TFLite has none. */
typedef struct rows {
    qb_row_fn f32, s8, s16, s32, s64, boolean;
} rows;

static qb_row_fn row_for(const rows *rows, uint8_t dtype)
{
    switch (dtype) {
    case QB_F32: return rows->f32;
    case QB_S8: return rows->s8;
    case QB_S16: return rows->s16;
    case QB_S32: return rows->s32;
    case QB_S64: return rows->s64;
    case QB_BOOL: return rows->boolean;
    default: return NULL;
    }
}

static void run(const qb_step *step)
{
    const binary *op = step->state;
    qb_broadcast_run(step, &op->broadcast, op->row, op);
}

/* An op whose output has out_dtype; 0 stands for the operands'. */
static binary *prepare(qb_builder *builder, qb_step *step, const rows *rows, uint8_t out_dtype, const char *kernel)
{
    if (!qb_check_counts(builder, step, 2, 2) || !qb_check_no_activation(builder, step)) return NULL;
    const qb_tensor *a = step->in[0], *b = step->in[1], *out = step->out[0];
    if (!qb_check_dtype(builder, step, a, a->dtype) || !qb_check_dtype(builder, step, b, a->dtype) ||
        !qb_check_dtype(builder, step, out, out_dtype != 0 ? out_dtype : a->dtype)) {
        return NULL;
    }
    binary *op = qb_alloc(builder, sizeof *op);
    if (op == NULL || !qb_broadcast_prepare(builder, step, &op->broadcast)) return NULL;
    op->row = row_for(rows, a->dtype);
    if (op->row == NULL) {
        qb_refuse(builder, step, "the op has no kernel for the dtype of '%s'", a->name);
        return NULL;
    }
    op->a.zero_point = a->zero_point;
    op->b.zero_point = b->zero_point;
    op->out_zero_point = out->zero_point;
    step->state = op;
    step->run = run;
    step->kernel = kernel;
    return op;
}

static bool compare(qb_builder *builder, qb_step *step, const rows *rows)
{
    binary *op = prepare(builder, step, rows, QB_BOOL, "compare");
    if (op == NULL) return false;
    if (step->in[0]->dtype != QB_S8) return true;
    op->a.factor = qb_quantize_multiplier((double)step->in[0]->scales[0]);
    op->b.factor = qb_quantize_multiplier((double)step->in[1]->scales[0]);
    return true;
}

#define DEFINE_PREPARE_COMPARISON(NAME, name, on_bool)                                                        \
    bool qb_prepare_##NAME(qb_builder *builder, qb_step *step)                                                \
    {                                                                                                         \
        static const rows rows = {name##_f32, name##_s8, NULL, name##_s32, name##_s64, on_bool};              \
        return compare(builder, step, &rows);                                                                 \
    }

DEFINE_PREPARE_COMPARISON(EQUAL, equal, equal_bool)
DEFINE_PREPARE_COMPARISON(NOT_EQUAL, not_equal, not_equal_bool)
DEFINE_PREPARE_COMPARISON(LESS, less, NULL)
DEFINE_PREPARE_COMPARISON(LESS_EQUAL, less_equal, NULL)
DEFINE_PREPARE_COMPARISON(GREATER, greater, NULL)
DEFINE_PREPARE_COMPARISON(GREATER_EQUAL, greater_equal, NULL)

bool qb_prepare_LOGICAL_AND(qb_builder *builder, qb_step *step)
{
    static const rows rows = {.boolean = logical_and};
    return prepare(builder, step, &rows, QB_BOOL, "logical") != NULL;
}

bool qb_prepare_LOGICAL_OR(qb_builder *builder, qb_step *step)
{
    static const rows rows = {.boolean = logical_or};
    return prepare(builder, step, &rows, QB_BOOL, "logical") != NULL;
}

bool qb_prepare_MAXIMUM(qb_builder *builder, qb_step *step)
{
    static const rows rows = {maximum_f32, maximum_s8, maximum_s16, maximum_s32, maximum_s64, NULL};
    return prepare(builder, step, &rows, 0, "maximum") != NULL;
}

bool qb_prepare_MINIMUM(qb_builder *builder, qb_step *step)
{
    static const rows rows = {minimum_f32, minimum_s8, minimum_s16, minimum_s32, minimum_s64, NULL};
    return prepare(builder, step, &rows, 0, "minimum") != NULL;
}

bool qb_prepare_FLOOR_DIV(qb_builder *builder, qb_step *step)
{
    static const rows rows = {.f32 = floor_div_f32, .s32 = floor_div_s32, .s64 = floor_div_s64};
    return prepare(builder, step, &rows, 0, "floor_div") != NULL;
}

bool qb_prepare_FLOOR_MOD(qb_builder *builder, qb_step *step)
{
    static const rows rows = {.f32 = floor_mod_f32, .s32 = floor_mod_s32, .s64 = floor_mod_s64};
    return prepare(builder, step, &rows, 0, "floor_mod") != NULL;
}

bool qb_prepare_POW(qb_builder *builder, qb_step *step)
{
    static const rows rows = {.f32 = pow_f32, .s32 = pow_s32};
    return prepare(builder, step, &rows, 0, "pow") != NULL;
}

/* The scale common to both operands is twice the larger one. */
bool qb_prepare_SQUARED_DIFFERENCE(qb_builder *builder, qb_step *step)
{
    static const rows rows = {.f32 = squared_difference_f32,
                              .s8 = squared_difference_s8,
                              .s32 = squared_difference_s32,
                              .s64 = squared_difference_s64};
    binary *op = prepare(builder, step, &rows, 0, "squared_difference");
    if (op == NULL) return false;
    if (step->in[0]->dtype != QB_S8) return true;
    const float a = step->in[0]->scales[0], b = step->in[1]->scales[0];
    const double common = 2.0f * (a > b ? a : b);
    op->a.factor = qb_quantize_multiplier(a / common);
    op->b.factor = qb_quantize_multiplier(b / common);
    const float unit = (float)(1 << (2 * DIFFERENCE_BITS)) * step->out[0]->scales[0];
    op->out_rescale = qb_quantize_multiplier(common * common / (double)unit);
    return true;
}
