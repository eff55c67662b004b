/* L2Normalization and LogSoftmax over the last dimension.
 *
 * int8 as TFLite's reference kernels, in fixed point: lengths by Newton's inverse root, the output in 128ths; the
 * logarithm of the sum of exponentials in Q5.26, the output in 16ths below 127.
 */
#include <math.h>

#include "../requantize.h"
#include "checks.h"
#include "fixed_exp.h"
#include "inverse_sqrt.h"
#include "table_s8.h"

typedef struct rows {
    size_t count, depth;
} rows;

static void run_l2_f32(const qb_step *step)
{
    const rows *op = step->state;
    const float *in = step->in[0]->data;
    float *out = step->out[0]->data;
    for (size_t row = 0; row < op->count; row++, in += op->depth, out += op->depth) {
        float squares = 0.0f;
        for (size_t c = 0; c < op->depth; c++) squares += in[c] * in[c];
        const float length = sqrtf(squares), norm = length > 1e-6f ? length : 1e-6f;
        for (size_t c = 0; c < op->depth; c++) out[c] = in[c] / norm;
    }
}

static void run_l2_s8(const qb_step *step)
{
    enum { OUTPUT_BITS = 7 };
    const rows *op = step->state;
    const int8_t *in = step->in[0]->data;
    int8_t *out = step->out[0]->data;
    const int32_t zero = step->in[0]->zero_point;
    for (size_t row = 0; row < op->count; row++, in += op->depth, out += op->depth) {
        int32_t squares = 0; /* of at most 2^15 numbers below 2^16 (prepare) */
        for (size_t c = 0; c < op->depth; c++) squares += (in[c] - zero) * (in[c] - zero);
        const qb_multiplier inverse = qb_inverse_sqrt(squares);
        const qb_multiplier factor = {inverse.multiplier, inverse.shift + OUTPUT_BITS};
        for (size_t c = 0; c < op->depth; c++) {
            out[c] = (int8_t)qb_clamp(qb_multiply(in[c] - zero, factor), INT8_MIN, INT8_MAX);
        }
    }
}

static void run_log_softmax_f32(const qb_step *step)
{
    const rows *op = step->state;
    const float *in = step->in[0]->data;
    float *out = step->out[0]->data;
    for (size_t row = 0; row < op->count; row++, in += op->depth, out += op->depth) {
        float max = in[0], sum = 0.0f;
        for (size_t c = 1; c < op->depth; c++) max = in[c] > max ? in[c] : max;
        for (size_t c = 0; c < op->depth; c++) sum += expf(in[c] - max);
        const float log_sum = logf(sum);
        for (size_t c = 0; c < op->depth; c++) out[c] = in[c] - max - log_sum;
    }
}

typedef struct log_softmax {
    rows rows;
    qb_multiplier factor;  /* of differences, to Q5.26 */
    qb_multiplier reverse; /* and back */
    int32_t lowest;        /* the smallest difference that counts */
    int32_t exps[256];     /* in Q12.19, indexed by max − x */
} log_softmax;

/* The smallest difference whose result is not saturated, less one. */
static int32_t lowest_difference(const log_softmax *op, int32_t log_sum)
{
    const int32_t bound = qb_multiply(qb_add_wrapping(log_sum, INT32_MIN), op->reverse);
    return bound > op->lowest - 1 ? bound : op->lowest - 1;
}

static void run_log_softmax_s8(const qb_step *step)
{
    const log_softmax *op = step->state;
    const int8_t *in = step->in[0]->data;
    int8_t *out = step->out[0]->data;
    for (size_t row = 0; row < op->rows.count; row++, in += op->rows.depth, out += op->rows.depth) {
        int8_t max = in[0];
        int64_t sum = 0;
        for (size_t c = 1; c < op->rows.depth; c++) max = in[c] > max ? in[c] : max;
        for (size_t c = 0; c < op->rows.depth; c++) sum += op->exps[max - in[c]];
        const int32_t log_sum = qb_log_of_sum(sum > INT32_MAX ? INT32_MAX : (int32_t)sum);
        const int32_t lowest = lowest_difference(op, log_sum);
        for (size_t c = 0; c < op->rows.depth; c++) {
            const int32_t difference = in[c] - max;
            const int32_t exact =
                difference > lowest ? qb_add_wrapping(qb_multiply(difference, op->factor), -log_sum) : INT32_MIN;
            const int32_t rounded = qb_rounding_shift_right(exact, 31 - QB_EXP_INTEGER_BITS - 4) + 127;
            out[c] = (int8_t)qb_clamp(rounded, INT8_MIN, INT8_MAX);
        }
    }
}

static bool set_rows(qb_builder *builder, const qb_step *step, rows *rows)
{
    const qb_tensor *in = step->in[0];
    if (in->rank < 1 || in->count == 0) return qb_refuse(builder, step, "the input has no dimension");
    rows->depth = (size_t)in->dims[in->rank - 1];
    rows->count = in->count / rows->depth;
    return true;
}

/* The output must have this quantization. */
static bool check_output(qb_builder *builder, const qb_step *step, float scale, int32_t zero_point)
{
    const qb_tensor *out = step->out[0];
    if (out->scales[0] == scale && out->zero_point == zero_point) return true;
    return qb_refuse(builder, step, "the output's scale is not %g or its zero point not %d", (double)scale, zero_point);
}

bool qb_prepare_L2_NORMALIZATION(qb_builder *builder, qb_step *step)
{
    if (!qb_check_map(builder, step)) return false;
    rows *op = qb_alloc(builder, sizeof *op);
    if (op == NULL || !set_rows(builder, step, op)) return false;
    const bool quantized = step->node->arithmetic == QB_ARITH_INT8;
    if (step->node->arithmetic == QB_ARITH_INT16) return qb_refuse(builder, step, "the op has no such arithmetic");
    if (quantized && (op->depth > 1 << 15 || !check_output(builder, step, 1.0f / 128.0f, 0))) {
        return op->depth > 1 << 15 ? qb_refuse(builder, step, "rows of %zu values are too long", op->depth) : false;
    }
    step->state = op;
    step->run = quantized ? run_l2_s8 : run_l2_f32;
    step->kernel = "l2_normalization";
    return true;
}

/* As softmax.c does, TFLite's PreprocessLogSoftmaxScalingExp and CalculateInputRadius. */
static bool prepare_log_softmax_s8(qb_builder *builder, qb_step *step, log_softmax *op)
{
    const double scale = (double)step->in[0]->scales[0];
    const double real = fmin(scale * (1 << (31 - QB_EXP_INTEGER_BITS)), 2147483647.0);
    if (!check_output(builder, step, 16.0f / 256.0f, 127)) return false;
    if (!(real > 1.0)) return qb_refuse(builder, step, "the input's scale is too small");
    op->factor = qb_quantize_multiplier(real);
    op->reverse = qb_quantize_multiplier(ldexp(1.0, 31 - op->factor.shift) / (double)op->factor.multiplier);
    const double whole = (1 << QB_EXP_INTEGER_BITS) - 1;
    op->lowest = -(int32_t)floor(ldexp(whole, 31 - QB_EXP_INTEGER_BITS - op->factor.shift));
    for (int32_t d = 0; d < 256; d++) {
        if (-d < op->lowest) break;
        const int32_t exp = qb_exp_of_negative(qb_multiply(-d, op->factor));
        op->exps[d] = qb_rounding_shift_right(exp, QB_EXP_SUM_INTEGER_BITS);
    }
    step->run = run_log_softmax_s8;
    return true;
}

bool qb_prepare_LOG_SOFTMAX(qb_builder *builder, qb_step *step)
{
    if (!qb_check_map(builder, step)) return false;
    log_softmax *op = qb_alloc(builder, sizeof *op);
    if (op == NULL || !set_rows(builder, step, &op->rows)) return false;
    step->state = op;
    step->kernel = "log_softmax";
    step->run = run_log_softmax_f32;
    if (step->node->arithmetic == QB_ARITH_INT16) return qb_refuse(builder, step, "the op has no such arithmetic");
    return step->node->arithmetic == QB_ARITH_F32 || prepare_log_softmax_s8(builder, step, op);
}
