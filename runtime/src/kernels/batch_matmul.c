/* Products of matrices: y[…][i][j] = Σ a[…][i][k] · b[…][k][j], the dimensions before the last two broadcast. Either
 * operand may be stored with its last two dimensions swapped.
 *
 * int8 as TFLite's reference kernel: int32 sums of centred values, requantized with one factor.
 */
#include "../requantize.h"
#include "checks.h"

/* How far apart neighbours lie along a row, a column and each dimension of the batch; 0 where it repeats. */
typedef struct operand {
    size_t row, column;
    size_t batch[QB_MAX_RANK];
    int32_t zero_point;
} operand;

typedef struct matmul {
    size_t rows, depth, columns;
    int outer; /* dimensions of the batch */
    size_t dims[QB_MAX_RANK];
    size_t batches;
    operand a, b;
    int32_t out_zero_point;
    qb_multiplier rescale;
    void (*product)(const struct matmul *op, const qb_step *step, size_t a, size_t b, size_t out);
} matmul;

static void product_f32(const matmul *op, const qb_step *step, size_t a_start, size_t b_start, size_t out_start)
{
    const float *a = (const float *)step->in[0]->data + a_start, *b = (const float *)step->in[1]->data + b_start;
    float *out = (float *)step->out[0]->data + out_start;
    for (size_t i = 0; i < op->rows; i++) {
        for (size_t j = 0; j < op->columns; j++) {
            float sum = 0.0f;
            for (size_t k = 0; k < op->depth; k++) {
                sum += a[i * op->a.row + k * op->a.column] * b[k * op->b.row + j * op->b.column];
            }
            *out++ = sum;
        }
    }
}

static void product_s8(const matmul *op, const qb_step *step, size_t a_start, size_t b_start, size_t out_start)
{
    static const qb_range_s8 whole = {INT8_MIN, INT8_MAX};
    const int8_t *a = (const int8_t *)step->in[0]->data + a_start, *b = (const int8_t *)step->in[1]->data + b_start;
    int8_t *out = (int8_t *)step->out[0]->data + out_start;
    for (size_t i = 0; i < op->rows; i++) {
        for (size_t j = 0; j < op->columns; j++) {
            int32_t sum = 0;
            for (size_t k = 0; k < op->depth; k++) {
                sum += (a[i * op->a.row + k * op->a.column] - op->a.zero_point) *
                       (b[k * op->b.row + j * op->b.column] - op->b.zero_point);
            }
            *out++ = qb_clamp_s8(qb_add_wrapping(qb_multiply(sum, op->rescale), op->out_zero_point), whole);
        }
    }
}

static void run(const qb_step *step)
{
    const matmul *op = step->state;
    size_t at[QB_MAX_RANK] = {0};
    for (size_t batch = 0; batch < op->batches; batch++) {
        size_t a = 0, b = 0;
        for (int d = 0; d < op->outer; d++) {
            a += at[d] * op->a.batch[d];
            b += at[d] * op->b.batch[d];
        }
        op->product(op, step, a, b, batch * op->rows * op->columns);
        for (int d = op->outer - 1; d >= 0 && ++at[d] == op->dims[d]; d--) at[d] = 0;
    }
}

/* Sets the strides of an operand of rows × columns as the product sees it. */
static bool set_operand(qb_builder *builder, const qb_step *step, const matmul *op, const qb_tensor *tensor,
                        bool swapped, size_t rows, size_t columns, operand *operand)
{
    const int outer = tensor->rank - 2;
    const size_t last = (size_t)tensor->dims[tensor->rank - 1], before = (size_t)tensor->dims[tensor->rank - 2];
    if (rows != (swapped ? last : before) || columns != (swapped ? before : last) || outer > op->outer) {
        return qb_refuse(builder, step, "the shape of '%s' does not fit the others'", tensor->name);
    }
    operand->row = swapped ? 1 : last;
    operand->column = swapped ? last : 1;
    operand->zero_point = tensor->zero_point;
    size_t stride = rows * columns;
    for (int d = outer - 1, o = op->outer - 1; d >= 0; d--, o--) {
        const size_t length = (size_t)tensor->dims[d];
        if (length != 1 && length != op->dims[o]) {
            return qb_refuse(builder, step, "the shape of '%s' does not broadcast to the output's", tensor->name);
        }
        operand->batch[o] = length == 1 ? 0 : stride;
        stride *= length;
    }
    return true;
}

static bool set_shape(qb_builder *builder, const qb_step *step, matmul *op)
{
    const qb_tensor *a = step->in[0], *b = step->in[1], *out = step->out[0];
    const bool swap_a = step->node->options[0] != 0, swap_b = step->node->options[1] != 0;
    if (a->rank < 2 || b->rank < 2 || out->rank < 2 || a->count == 0 || b->count == 0) {
        return qb_refuse(builder, step, "inputs and output are no matrices");
    }
    op->rows = (size_t)out->dims[out->rank - 2];
    op->columns = (size_t)out->dims[out->rank - 1];
    op->depth = (size_t)a->dims[a->rank - (swap_a ? 2 : 1)];
    op->outer = out->rank - 2;
    op->batches = 1;
    for (int d = 0; d < op->outer; d++) {
        op->dims[d] = (size_t)out->dims[d];
        op->batches *= op->dims[d];
    }
    return set_operand(builder, step, op, a, swap_a, op->rows, op->depth, &op->a) &&
           set_operand(builder, step, op, b, swap_b, op->depth, op->columns, &op->b);
}

bool qb_prepare_BATCH_MATMUL(qb_builder *builder, qb_step *step)
{
    if (!qb_check_counts(builder, step, 2, 2) || !qb_check_elementary(builder, step) ||
        !qb_check_dtype(builder, step, step->in[1], step->in[0]->dtype) || !qb_check_no_activation(builder, step)) {
        return false;
    }
    matmul *op = qb_alloc(builder, sizeof *op);
    if (op == NULL || !set_shape(builder, step, op)) return false;
    const bool quantized = step->in[0]->dtype == QB_S8;
    if (quantized) {
        if (op->depth > INT32_MAX / (255 * 255)) return qb_refuse(builder, step, "its sums can exceed 32 bits");
        const float product = step->in[0]->scales[0] * step->in[1]->scales[0]; /* in f32, as TFLite does */
        op->rescale = qb_quantize_multiplier((double)product / (double)step->out[0]->scales[0]);
        op->out_zero_point = step->out[0]->zero_point;
    }
    op->product = quantized ? product_s8 : product_f32;
    step->state = op;
    step->run = run;
    step->kernel = quantized ? "batch_matmul_s8" : "batch_matmul_f32";
    step->macs = (uint64_t)step->out[0]->count * op->depth;
    return true;
}
