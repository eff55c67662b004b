/* Add, Sub, Mul with broadcasting. out[i] = activation(a[i] ∘ b[i]); a dimension of length 1 is repeated.
 *
 * int8 as TFLite's reference kernels: Add and Sub bring both operands to a common scale, 20 bits up; Mul rescales the
 * product of the centred operands.
 */
#include <stddef.h>

#include "../requantize.h"
#include "checks.h"

/* One operand per input: how far apart its elements lie along each dimension of the output, 0 where it repeats. */
typedef struct operand {
    size_t strides[QB_MAX_RANK];
    int32_t zero_point;
    qb_multiplier rescale; /* Add, Sub: to the common scale */
} operand;

typedef struct elementwise {
    int rank;
    size_t dims[QB_MAX_RANK];
    operand a, b;
    int32_t out_zero_point;
    qb_multiplier out_rescale;
    qb_range_f32 range_f32;
    qb_range_s8 range_s8;
    size_t element_size;
    /* Computes the innermost dimension. */
    void (*row)(const struct elementwise *op, const void *a, const void *b, void *out);
} elementwise;

enum { COMMON_SCALE_BITS = 20 };

static int32_t to_common_scale(const operand *operand, int8_t value)
{
    return qb_multiply((value - operand->zero_point) * (1 << COMMON_SCALE_BITS), operand->rescale);
}

static int8_t to_output(const elementwise *op, int32_t value)
{
    const int32_t rescaled = qb_multiply(value, op->out_rescale);
    return qb_clamp_s8(qb_add_wrapping(rescaled, op->out_zero_point), op->range_s8);
}

#define DEFINE_ROW(name, type, expression)                                                                   \
    static void name(const elementwise *op, const void *a_row, const void *b_row, void *out_row)             \
    {                                                                                                        \
        const type *a = a_row;                                                                               \
        const type *b = b_row;                                                                               \
        type *out = out_row;                                                                                 \
        const size_t a_step = op->a.strides[op->rank - 1];                                                   \
        const size_t b_step = op->b.strides[op->rank - 1];                                                   \
        for (size_t i = 0; i < op->dims[op->rank - 1]; i++, a += a_step, b += b_step) out[i] = (expression); \
    }

DEFINE_ROW(add_f32, float, qb_clamp_f32(*a + *b, op->range_f32))
DEFINE_ROW(sub_f32, float, qb_clamp_f32(*a - *b, op->range_f32))
DEFINE_ROW(mul_f32, float, qb_clamp_f32((*a) * (*b), op->range_f32))
DEFINE_ROW(add_s8, int8_t, to_output(op, to_common_scale(&op->a, *a) + to_common_scale(&op->b, *b)))
DEFINE_ROW(sub_s8, int8_t, to_output(op, to_common_scale(&op->a, *a) - to_common_scale(&op->b, *b)))
DEFINE_ROW(mul_s8, int8_t, to_output(op, (*a - op->a.zero_point) * (*b - op->b.zero_point)))

/* Walks all rows of the output, the offsets of a and b along with them. */
static void run(const qb_step *step)
{
    const elementwise *op = step->state;
    const char *a = step->in[0]->data, *b = step->in[1]->data;
    char *out = step->out[0]->data;
    const size_t row_size = op->dims[op->rank - 1] * op->element_size;
    size_t at[QB_MAX_RANK] = {0};
    size_t a_offset = 0, b_offset = 0;
    for (size_t done = 0; done < step->out[0]->size; done += row_size) {
        op->row(op, a + a_offset * op->element_size, b + b_offset * op->element_size, out + done);
        for (int d = op->rank - 2; d >= 0; d--) {
            a_offset += op->a.strides[d];
            b_offset += op->b.strides[d];
            if (++at[d] < op->dims[d]) break;
            a_offset -= op->a.strides[d] * at[d];
            b_offset -= op->b.strides[d] * at[d];
            at[d] = 0;
        }
    }
}

/* Strides of an input against the output's dimensions, aligned at the innermost. */
static bool set_strides(qb_builder *builder, const qb_step *step, const qb_tensor *in, size_t *strides)
{
    const qb_tensor *out = step->out[0];
    size_t stride = 1;
    for (int i = in->rank - 1, o = out->rank - 1; i >= 0; i--, o--) {
        if (o < 0 || (in->dims[i] != out->dims[o] && in->dims[i] != 1)) {
            return qb_refuse(builder, step, "the shape of '%s' does not broadcast to the output's", in->name);
        }
        strides[o] = in->dims[i] == 1 ? 0 : stride;
        stride *= (size_t)in->dims[i];
    }
    return true;
}

/* Every dimension of the output is that of one of the inputs, not longer than both. */
static bool check_output_shape(qb_builder *builder, const qb_step *step, const elementwise *op)
{
    const qb_tensor *out = step->out[0];
    for (int d = 0; d < out->rank; d++) {
        if (out->dims[d] != 1 && op->a.strides[d] == 0 && op->b.strides[d] == 0) {
            return qb_refuse(builder, step, "the output is larger than both inputs");
        }
    }
    return true;
}

static bool set_shape(qb_builder *builder, const qb_step *step, elementwise *op)
{
    const qb_tensor *out = step->out[0];
    if (!set_strides(builder, step, step->in[0], op->a.strides) ||
        !set_strides(builder, step, step->in[1], op->b.strides) || !check_output_shape(builder, step, op)) {
        return false;
    }
    op->rank = out->rank;
    for (int d = 0; d < out->rank; d++) op->dims[d] = (size_t)out->dims[d];
    if (out->rank == 0 || (qb_same_shape(step->in[0], out) && qb_same_shape(step->in[1], out))) {
        op->rank = 1;
        op->dims[0] = out->count;
        op->a.strides[0] = op->b.strides[0] = 1;
    }
    return true;
}

/* Add and Sub: a common scale of twice the larger one, so that the sum of both cannot overflow. */
static void set_sum_rescale(const qb_step *step, elementwise *op)
{
    const float a = step->in[0]->scales[0], b = step->in[1]->scales[0];
    const double common = 2.0 * (a > b ? a : b);
    op->a.rescale = qb_quantize_multiplier(a / common);
    op->b.rescale = qb_quantize_multiplier(b / common);
    op->out_rescale = qb_quantize_multiplier(common / ((1 << COMMON_SCALE_BITS) * (double)step->out[0]->scales[0]));
}

/* Mul: the factor is computed in f32, as TFLite does. */
static void set_product_rescale(const qb_step *step, elementwise *op)
{
    const float factor = step->in[0]->scales[0] * step->in[1]->scales[0] / step->out[0]->scales[0];
    op->out_rescale = qb_quantize_multiplier(factor);
}

static elementwise *prepare(qb_builder *builder, qb_step *step)
{
    if (!qb_check_counts(builder, step, 2, 2) || !qb_check_elementary(builder, step) ||
        !qb_check_dtype(builder, step, step->in[1], step->in[0]->dtype)) {
        return NULL;
    }
    elementwise *op = qb_alloc(builder, sizeof *op);
    if (op == NULL || !set_shape(builder, step, op)) return NULL;
    const uint8_t activation = step->node->activation;
    if (step->in[0]->dtype == QB_S8) {
        op->a.zero_point = step->in[0]->zero_point;
        op->b.zero_point = step->in[1]->zero_point;
        op->out_zero_point = step->out[0]->zero_point;
        op->range_s8 = qb_activation_range_s8(activation, step->out[0]);
    }
    op->range_f32 = qb_activation_range_f32(activation);
    op->element_size = step->in[0]->dtype == QB_S8 ? sizeof(int8_t) : sizeof(float);
    step->state = op;
    step->run = run;
    step->kernel = step->in[0]->dtype == QB_S8 ? "elementwise_s8" : "elementwise_f32";
    return op;
}

bool qb_prepare_ADD(qb_builder *builder, qb_step *step)
{
    elementwise *op = prepare(builder, step);
    if (op == NULL) return false;
    const bool quantized = step->in[0]->dtype == QB_S8;
    if (quantized) set_sum_rescale(step, op);
    op->row = quantized ? add_s8 : add_f32;
    return true;
}

bool qb_prepare_SUB(qb_builder *builder, qb_step *step)
{
    elementwise *op = prepare(builder, step);
    if (op == NULL) return false;
    const bool quantized = step->in[0]->dtype == QB_S8;
    if (quantized) set_sum_rescale(step, op);
    op->row = quantized ? sub_s8 : sub_f32;
    return true;
}

bool qb_prepare_MUL(qb_builder *builder, qb_step *step)
{
    elementwise *op = prepare(builder, step);
    if (op == NULL) return false;
    const bool quantized = step->in[0]->dtype == QB_S8;
    if (quantized) set_product_rescale(step, op);
    op->row = quantized ? mul_s8 : mul_f32;
    return true;
}
