#include "linear.h"

#include "../isa.h"
#include "float16.h"
#include "hybrid.h"
#include "loops.h"
#include "packing.h"
#include "reference.h"
#include "weights_range.h"

#define LARGEST_IMAGE                                                                                        \
    (1 << 28) /* height or width with padding: keeps the kernels' coordinates within int32 */

static bool check_weights(qb_builder *builder, const qb_step *step, const qb_linear *op, int channel_axis)
{
    const qb_tensor *w = step->in[1];
    if (w->dtype != QB_S8) return qb_refuse(builder, step, "weights '%s' must be int8", w->name);
    const bool per_channel = w->quant_count == (uint32_t)op->shape.out_c && w->quant_axis == channel_axis;
    if (!per_channel && w->quant_count != 1) {
        return qb_refuse(builder, step, "weights '%s' need one scale, or one for each of %d channels",
                         w->name, op->shape.out_c);
    }
    if (w->zero_point != 0 && (w->quant_axis >= 0 || step->node->arithmetic != QB_ARITH_INT8)) {
        return qb_refuse(builder, step, "weights '%s' have a zero point that is not 0", w->name);
    }
    return true;
}

/* Weight scale of an output channel. */
static float weight_scale(const qb_tensor *weights, int32_t channel)
{
    return weights->scales[weights->quant_count == 1 ? 0 : channel];
}

/* One channel's weights, side by side or `step` apart. */
static qb_weights_range weights_range(const qb_loops *loops, const int8_t *w, size_t count, size_t step)
{
    if (step != 1) return qb_find_weights_range(w, count, step);
    return loops != NULL ? loops->weights_range(w, count) : qb_find_weights_range(w, count, 1);
}

/* Refuses a layer whose int32 sums could overflow, |x − z_x| being at most 255, also where Σ x·w and z_w·Σ x are
 * computed apart; notes the range of the weights and how large sums get. */
static bool check_sums(qb_builder *builder, const qb_step *step, qb_linear *op, const int32_t *bias)
{
    const int8_t *w = op->weights;
    const size_t depth = qb_linear_depth(&op->shape);
    const size_t channels = (size_t)op->shape.out_c;
    const bool interleaved = op->shape.multiplier > 0; /* depthwise weights have the channel innermost */
    const size_t step_between = interleaved ? channels : 1;
    const qb_loops *loops = qb_builder_isa(builder)->loops;
    int32_t *sums = qb_alloc_array(builder, channels, sizeof *sums);
    int32_t *bounds = qb_alloc_array(builder, channels, sizeof *bounds);
    if (sums == NULL || bounds == NULL) return false;
    op->weight_sums = sums;
    op->sum_bounds = bounds;
    const int64_t zero = op->weight_zero < 0 ? -op->weight_zero : op->weight_zero;
    op->lowest_weight = op->highest_weight = w[0];
    op->largest_sum = op->largest_magnitude = 0;
    for (size_t c = 0; c < channels; c++) {
        const qb_weights_range range = weights_range(loops, interleaved ? w + c : w + c * depth, depth, step_between);
        const int64_t sum = range.magnitudes + zero * (int64_t)depth;
        if (range.lowest < op->lowest_weight) op->lowest_weight = range.lowest;
        if (range.highest > op->highest_weight) op->highest_weight = range.highest;
        const int64_t start = bias == NULL ? 0 : bias[c] < 0 ? -(int64_t)bias[c] : bias[c];
        if (sum * 255 + start > INT32_MAX) {
            return qb_refuse(builder, step, "sums of output channel %zu can exceed 32 bits", c);
        }
        sums[c] = range.sum - op->weight_zero * (int32_t)depth;
        if (range.magnitudes > op->largest_magnitude) op->largest_magnitude = (int32_t)range.magnitudes;
        bounds[c] = (int32_t)(sum * 255 + start);
        if (bounds[c] > op->largest_sum) op->largest_sum = bounds[c];
    }
    return true;
}

/* The factor that takes sums to the output's scale, by channel. */
static bool set_factors(qb_builder *builder, const qb_step *step, qb_linear *op)
{
    const qb_tensor *x = step->in[0], *w = step->in[1], *y = step->out[0];
    qb_multiplier *factors = qb_alloc(builder, (size_t)op->shape.out_c * sizeof *factors);
    if (factors == NULL) return false;
    /* TFLite multiplies in float for a fully connected layer with one scale and where the model is uint8
     * (GetQuantizedConvolutionMultipler), in double elsewhere (PopulateConvolutionQuantizationParams). */
    const bool connected = step->node->op == QB_OP_FULLY_CONNECTED;
    op->rounds_once = connected || (step->node->op == QB_OP_CONV_2D && step->node->options[1] == 1);
    const bool in_float = w->quant_count == 1 && (connected || step->node->options[0] == 1);
    for (int32_t c = 0; c < op->shape.out_c; c++) {
        const float scale = weight_scale(w, c);
        const double product =
            in_float ? (double)(x->scales[0] * scale) : (double)x->scales[0] * (double)scale;
        factors[c] = qb_quantize_multiplier(product / (double)y->scales[0]);
    }
    op->factors = factors;
    return true;
}

static bool prepare_s8(qb_builder *builder, qb_step *step, qb_linear *op, int channel_axis)
{
    const qb_tensor *x = step->in[0], *w = step->in[1], *y = step->out[0];
    if (!qb_check_elementary(builder, step)) return false;
    op->weight_zero = w->zero_point;
    if (!check_weights(builder, step, op, channel_axis) || !check_sums(builder, step, op, op->bias))
        return false;
    op->input_zero = x->zero_point;
    op->output_zero = y->zero_point;
    op->output_range = qb_activation_range_s8(step->node->activation, y);
    return set_factors(builder, step, op) && qb_shrink_constant_channels(builder, op);
}

/* Largest magnitude of an int64 bias: added to any sum it stays where qb_multiply_s64 can take it. */
#define LARGEST_WIDE_BIAS (INT64_C(1) << 46)

static bool check_wide_bias(qb_builder *builder, const qb_step *step, const qb_linear *op)
{
    if (qb_linear_depth(&op->shape) > (size_t)1 << 23) return qb_refuse(builder, step, "its sums can exceed 47 bits");
    for (int32_t c = 0; op->wide_bias && c < op->shape.out_c; c++) {
        const int64_t value = ((const int64_t *)op->bias)[c];
        if (value < -LARGEST_WIDE_BIAS || value > LARGEST_WIDE_BIAS) {
            return qb_refuse(builder, step, "the bias of output channel %d exceeds 46 bits", c);
        }
    }
    return true;
}

static bool prepare_s16(qb_builder *builder, qb_step *step, qb_linear *op, int channel_axis)
{
    const qb_tensor *x = step->in[0], *y = step->out[0];
    if (!qb_check_dtype(builder, step, x, QB_S16) || !qb_check_dtype(builder, step, y, QB_S16)) return false;
    if (x->zero_point != 0 || y->zero_point != 0) {
        return qb_refuse(builder, step, "int16 input and output must have the zero point 0");
    }
    op->wide_bias = op->bias != NULL && step->in[2]->dtype == QB_S64;
    if (!check_weights(builder, step, op, channel_axis) || !check_wide_bias(builder, step, op)) return false;
    op->output_range = qb_activation_range_s16(step->node->activation, y);
    if (!set_factors(builder, step, op)) return false;
    for (int32_t c = 0; c < op->shape.out_c; c++) {
        if (op->factors[c].shift > 7) return qb_refuse(builder, step, "the output's scale is too small for its sums");
    }
    return true;
}

static bool prepare_hybrid(qb_builder *builder, qb_step *step, qb_linear *op, int channel_axis)
{
    if (!check_weights(builder, step, op, channel_axis) || !check_sums(builder, step, op, NULL)) return false;
    float *scales = qb_alloc(builder, (size_t)op->shape.out_c * sizeof *scales);
    if (scales == NULL) return false;
    for (int32_t c = 0; c < op->shape.out_c; c++) scales[c] = weight_scale(step->in[1], c);
    op->weight_scales = scales;
    op->loops = qb_builder_isa(builder)->loops;
    return qb_reserve_scratch(builder, step, qb_hybrid_scratch(&op->shape));
}

static bool is_bias_dtype(uint8_t arithmetic, uint8_t dtype)
{
    switch (arithmetic) {
    case QB_ARITH_F16: return dtype == QB_F16 || dtype == QB_F32;
    case QB_ARITH_INT8: return dtype == QB_S32;
    case QB_ARITH_INT16: return dtype == QB_S32 || dtype == QB_S64;
    default: return dtype == QB_F32;
    }
}

static const void *expand(qb_builder *builder, const void *values, size_t count)
{
    float *expanded = qb_alloc_array(builder, count, sizeof *expanded);
    if (expanded != NULL) qb_expand_f16(values, count, expanded);
    return expanded;
}

/* The tensors that every arithmetic needs, and the bias. */
static bool check_constants(qb_builder *builder, qb_step *step, qb_linear *op)
{
    const qb_tensor *w = step->in[1], *bias = step->in_count == 3 ? step->in[2] : NULL;
    if (w->kind != QB_CONSTANT || w->count == 0)
        return qb_refuse(builder, step, "weights '%s' must be constants", w->name);
    op->weights = w->data;
    if (bias == NULL) return true;
    const bool fits = is_bias_dtype(step->node->arithmetic, bias->dtype) && bias->count == (size_t)op->shape.out_c;
    if (bias->kind != QB_CONSTANT || !fits) {
        return qb_refuse(builder, step, "bias '%s' must be %d constants of the arithmetic's dtype", bias->name,
                         op->shape.out_c);
    }
    op->bias = bias->dtype == QB_F16 ? expand(builder, bias->data, bias->count) : bias->data;
    return op->bias != NULL;
}

static void expand_stored(const qb_tensor *from, size_t first, size_t count, float *to)
{
    if (from->dtype == QB_F16) {
        qb_expand_f16((const uint16_t *)from->data + first, count, to);
        return;
    }
    const int8_t *values = (const int8_t *)from->data + first;
    const int32_t zero_point = from->zero_point;
    const float scale = from->scales[0];
    for (size_t i = 0; i < count; i++) to[i] = (float)(values[i] - zero_point) * scale;
}

const float *qb_linear_weights_f32(const qb_linear *op, size_t first, size_t count, float *buffer)
{
    if (op->stored == NULL) return (const float *)op->weights + first;
    expand_stored(op->stored, first, count, buffer);
    return buffer;
}

bool qb_linear_expand(qb_builder *builder, qb_linear *op)
{
    if (op->stored == NULL || op->fast != NULL) return true;
    float *expanded = qb_alloc_array(builder, op->stored->count, sizeof *expanded);
    if (expanded == NULL) return false;
    expand_stored(op->stored, 0, op->stored->count, expanded);
    op->weights = expanded;
    op->stored = NULL;
    return true;
}

bool qb_linear_prepare(qb_builder *builder, qb_step *step, qb_linear *op, int channel_axis,
                       const struct qb_linear_reference *reference)
{
    const qb_tensor *x = step->in[0], *w = step->in[1], *y = step->out[0];
    const uint8_t arithmetic = step->node->arithmetic;
    const bool f32 = qb_sums_floats(step) || arithmetic == QB_ARITH_HYBRID;
    if (!check_constants(builder, step, op)) return false;
    op->range = qb_activation_range_f32(step->node->activation);
    if (f32 && (x->dtype != QB_F32 || y->dtype != QB_F32)) {
        return qb_refuse(builder, step, "input and output must be float32");
    }
    op->reference = reference;
    step->kernel = reference->name;
    step->macs = (uint64_t)y->count * qb_linear_depth(&op->shape);
    step->state = op;
    switch (arithmetic) {
    case QB_ARITH_F32:
    case QB_ARITH_F16:
        step->run = qb_reference_f32;
        op->stored = w->dtype == QB_F16 ? w : w->stored;
        return w->dtype == (arithmetic == QB_ARITH_F32 ? QB_F32 : QB_F16) ||
               qb_refuse(builder, step, "weights '%s' must have the arithmetic's dtype", w->name);
    case QB_ARITH_HYBRID:
        step->run = qb_reference_hybrid;
        return prepare_hybrid(builder, step, op, channel_axis);
    case QB_ARITH_INT8: step->run = qb_reference_s8; return prepare_s8(builder, step, op, channel_axis);
    default: step->run = qb_reference_s16; return prepare_s16(builder, step, op, channel_axis);
    }
}

/* Output length of one dimension, or -1 where the window does not fit. */
static int64_t output_length(int64_t padded, int64_t filter, int64_t dilation, int64_t stride)
{
    const int64_t span = padded - ((filter - 1) * dilation + 1);
    return span < 0 ? -1 : span / stride + 1;
}

bool qb_linear_window(qb_builder *builder, const qb_step *step, qb_linear_shape *s)
{
    const qb_node_record *n = step->node;
    const qb_tensor *x = step->in[0], *w = step->in[1], *y = step->out[0];
    if (x->rank != 4 || w->rank != 4 || y->rank != 4) {
        return qb_refuse(builder, step, "input, weights and output must have rank 4");
    }
    if (n->stride_h < 1 || n->stride_w < 1 || n->dilation_h < 1 || n->dilation_w < 1) {
        return qb_refuse(builder, step, "strides and dilations must be positive");
    }
    if (n->pad_top < 0 || n->pad_bottom < 0 || n->pad_left < 0 || n->pad_right < 0) {
        return qb_refuse(builder, step, "padding must not be negative");
    }
    const int64_t padded_h = (int64_t)x->dims[1] + n->pad_top + n->pad_bottom;
    const int64_t padded_w = (int64_t)x->dims[2] + n->pad_left + n->pad_right;
    if (padded_h > LARGEST_IMAGE || padded_w > LARGEST_IMAGE) {
        return qb_refuse(builder, step, "the padded image is larger than %d pixels", LARGEST_IMAGE);
    }
    *s = (qb_linear_shape){
        .batch = x->dims[0],
        .in_h = x->dims[1],
        .in_w = x->dims[2],
        .in_c = x->dims[3],
        .out_h = y->dims[1],
        .out_w = y->dims[2],
        .out_c = y->dims[3],
        .filter_h = w->dims[1],
        .filter_w = w->dims[2],
        .stride_h = n->stride_h,
        .stride_w = n->stride_w,
        .dilation_h = n->dilation_h,
        .dilation_w = n->dilation_w,
        .pad_top = n->pad_top,
        .pad_left = n->pad_left,
    };
    const int64_t high = output_length(padded_h, s->filter_h, s->dilation_h, s->stride_h);
    const int64_t wide = output_length(padded_w, s->filter_w, s->dilation_w, s->stride_w);
    if (high < 0 || wide < 0) {
        return qb_refuse(builder, step, "a window of %d×%d does not fit into the padded image", s->filter_h,
                         s->filter_w);
    }
    if (y->dims[0] != s->batch || s->out_h != high || s->out_w != wide) {
        return qb_refuse(builder, step, "output must be %d×%lld×%lld, not %d×%d×%d", s->batch,
                         (long long)high, (long long)wide, y->dims[0], s->out_h, s->out_w);
    }
    return true;
}

bool qb_linear_has_headroom(const qb_linear *op)
{
    int left = 0, right = 0;
    for (int32_t c = 0; op->factors != NULL && c < op->shape.out_c; c++) {
        const int shift = op->factors[c].shift;
        if (shift > left) left = shift;
        if (-shift > right) right = -shift;
    }
    const int64_t half = right > 0 ? INT64_C(1) << (right - 1) : 0;
    return ((int64_t)op->largest_sum << left) + half < INT64_C(1) << 31;
}
