/* Softmax over the last dimension: y = exp(β·x) / Σ exp(β·x), computed from x − max(x).
 *
 * int8 as TFLite's reference kernel, integers only: the exponential of each of the 256 possible differences is
 * tabulated at load with gemmlowp's fixed-point exp; the sum is held with 12 integer bits; its reciprocal comes from
 * Newton's iteration. The output's scale is 1/256 and its zero point -128, always. (fixed_exp.h)
 */
#include <math.h>

#include "checks.h"
#include "fixed_exp.h"

typedef struct softmax {
    size_t rows, depth;
    float beta;
    int32_t exps[256]; /* Q0.31, indexed by max − x */
} softmax;

static void run_f32(const qb_step *step)
{
    const softmax *op = step->state;
    const float *in = step->in[0]->data;
    float *out = step->out[0]->data;
    for (size_t row = 0; row < op->rows; row++, in += op->depth, out += op->depth) {
        float max = in[0];
        for (size_t c = 1; c < op->depth; c++) max = in[c] > max ? in[c] : max;
        float sum = 0.0f;
        for (size_t c = 0; c < op->depth; c++) {
            out[c] = expf((in[c] - max) * op->beta);
            sum += out[c];
        }
        for (size_t c = 0; c < op->depth; c++) out[c] /= sum;
    }
}

/* The sum of a row's exponentials, saturated, in Q12.19. */
static int32_t sum_exps(const softmax *op, const int8_t *in, int8_t max)
{
    int64_t sum = 0;
    for (size_t c = 0; c < op->depth; c++) {
        sum += qb_rounding_shift_right(op->exps[max - in[c]], QB_EXP_SUM_INTEGER_BITS);
    }
    return sum > INT32_MAX ? INT32_MAX : (int32_t)sum;
}

static void run_s8(const qb_step *step)
{
    static const qb_range_s8 whole = {INT8_MIN, INT8_MAX};
    const softmax *op = step->state;
    const int8_t *in = step->in[0]->data;
    int8_t *out = step->out[0]->data;
    for (size_t row = 0; row < op->rows; row++, in += op->depth, out += op->depth) {
        int8_t max = in[0];
        for (size_t c = 1; c < op->depth; c++) max = in[c] > max ? in[c] : max;
        const qb_reciprocal reciprocal = qb_reciprocal_of_sum(sum_exps(op, in, max));
        const int shift = reciprocal.bits_over_unit + 31 - 8; /* from Q0.31 to 256ths */
        for (size_t c = 0; c < op->depth; c++) {
            const int32_t share = qb_doubling_high_mul(reciprocal.value, op->exps[max - in[c]]);
            /* Beyond 31 bits nothing is left: the row sums to over 256 times its largest share. */
            const int32_t rounded = shift > 31 ? 0 : qb_rounding_shift_right(share, shift);
            out[c] = qb_clamp_s8(rounded + INT8_MIN, whole);
        }
    }
}

/* The exponentials of −d·scale·β for d = 0…255; differences beyond the range of Q5.26 count as zero, as in TFLite's
 * PreprocessSoftmaxScaling and CalculateInputRadius. Those take no factor below one step of Q5.26, where all of the 256
 * differences together are less than 4e-6: then they are rounded to steps. */
static void tabulate_exps(softmax *op, double beta, double scale)
{
    const double real = fmin(beta * scale * (1 << (31 - QB_EXP_INTEGER_BITS)), 2147483647.0);
    if (real <= 1.0) {
        for (int32_t d = 0; d < 256; d++) op->exps[d] = qb_exp_of_negative(-(int32_t)round(d * real));
        return;
    }
    const qb_multiplier factor = qb_quantize_multiplier(real);
    const double whole = (1 << QB_EXP_INTEGER_BITS) - 1;
    const double radius = floor(ldexp(whole, 31 - QB_EXP_INTEGER_BITS - factor.shift));
    for (int32_t d = 0; d < 256; d++) {
        const bool counts = d <= radius;
        const int32_t shifted = qb_shift_left(-d, factor.shift);
        op->exps[d] = counts ? qb_exp_of_negative(qb_doubling_high_mul(shifted, factor.multiplier)) : 0;
    }
}

static bool prepare_s8(qb_builder *builder, qb_step *step, softmax *op)
{
    const qb_tensor *out = step->out[0];
    if (out->scales[0] != 1.0f / 256.0f || out->zero_point != -128) {
        return qb_refuse(builder, step, "the output's scale is not 1/256 or its zero point not -128");
    }
    tabulate_exps(op, (double)op->beta, (double)step->in[0]->scales[0]);
    step->run = run_s8;
    step->kernel = "softmax_s8";
    return true;
}

bool qb_prepare_SOFTMAX(qb_builder *builder, qb_step *step)
{
    if (!qb_check_counts(builder, step, 1, 1) || !qb_check_elementary(builder, step) ||
        !qb_check_no_activation(builder, step)) {
        return false;
    }
    const qb_tensor *in = step->in[0];
    if (in->rank < 1 || !qb_same_shape(in, step->out[0])) {
        return qb_refuse(builder, step, "input and output differ in shape or have no dimension");
    }
    const float beta = step->node->parameters[0];
    if (!isfinite(beta) || beta <= 0.0f) return qb_refuse(builder, step, "beta is not positive");
    softmax *op = qb_alloc(builder, sizeof *op);
    if (op == NULL) return false;
    op->depth = (size_t)in->dims[in->rank - 1];
    op->rows = in->count / op->depth;
    op->beta = beta;
    step->state = op;
    if (in->dtype == QB_S8) return prepare_s8(builder, step, op);
    step->run = run_f32;
    step->kernel = "softmax_f32";
    return true;
}
