#include "packing.h"

void *qb_alloc_array(qb_builder *builder, uint64_t count, size_t size)
{
    const uint64_t bytes = count * size, limit = (uint64_t)INT32_MAX + 1; /* one byte more than a session may
                                                                             hold */
    return qb_alloc(builder, (size_t)(bytes < limit ? bytes : limit));
}

bool qb_reserve_scratch(qb_builder *builder, const qb_step *step, uint64_t bytes)
{
    if (bytes > INT32_MAX) return qb_refuse(builder, step, "needs more than 2 GB of scratch memory");
    qb_want_scratch(builder, (size_t)bytes);
    return true;
}

bool qb_shifts_right(const qb_linear *op)
{
    for (int32_t c = 0; c < op->shape.out_c; c++) {
        const qb_multiplier factor = op->factors[c];
        if (factor.shift >= 0 || qb_multiply(op->sum_bounds[c], factor) >= INT16_MAX) return false;
    }
    return true;
}

static bool pack_requant(qb_builder *builder, const qb_linear *op, const int32_t *channel_of, size_t count,
                         int32_t input_offset, int32_t packed_zero, qb_channels *channels)
{
    int32_t *start = qb_alloc_array(builder, count, sizeof *start);
    int32_t *multiplier = qb_alloc_array(builder, count, sizeof *multiplier);
    int32_t *left = qb_alloc_array(builder, count, sizeof *left);
    int32_t *right = qb_alloc_array(builder, count, sizeof *right);
    if (start == NULL || multiplier == NULL || left == NULL || right == NULL) return false;
    const int32_t depth = (int32_t)qb_linear_depth(&op->shape);
    const bool shifts_right = qb_shifts_right(op);
    for (size_t i = 0; i < count; i++) {
        const int32_t c = channel_of[i];
        if (c < 0) continue;
        const int32_t bias = op->bias == NULL ? 0 : ((const int32_t *)op->bias)[c];
        const qb_multiplier factor = op->factors[c];
        const int32_t sum = op->weight_sums[c];
        start[i] = bias - op->input_zero * sum - input_offset * (sum + depth * packed_zero);
        multiplier[i] = factor.multiplier;
        left[i] = factor.shift > 0 ? factor.shift : 0;
        right[i] = factor.shift > 0 ? 0 : -factor.shift;
    }
    channels->start = start;
    channels->requant = (qb_requant){
        .multiplier = multiplier,
        .left = left,
        .right = right,
        .shifts_right = shifts_right,
        .from_zero = shifts_right && op->output_zero == INT8_MIN && op->output_range.min == INT8_MIN &&
                     op->output_range.max == INT8_MAX,
        .zero = (int16_t)op->output_zero,
        .min = (int8_t)op->output_range.min,
        .max = (int8_t)op->output_range.max,
    };
    return true;
}

static bool pack_dequant(qb_builder *builder, const qb_linear *op, const int32_t *channel_of, size_t count,
                         int32_t input_offset, int32_t packed_zero, qb_channels *channels)
{
    int32_t *start = qb_alloc_array(builder, count, sizeof *start);
    int32_t *sum = qb_alloc_array(builder, count, sizeof *sum);
    float *scale = qb_alloc_array(builder, count, sizeof *scale);
    float *bias = qb_alloc_array(builder, count, sizeof *bias);
    if (start == NULL || sum == NULL || scale == NULL || bias == NULL) return false;
    const int32_t depth = (int32_t)qb_linear_depth(&op->shape);
    for (size_t i = 0; i < count; i++) {
        const int32_t c = channel_of[i];
        if (c < 0) continue;
        sum[i] = op->weight_sums[c];
        start[i] = -input_offset * (sum[i] + depth * packed_zero);
        scale[i] = op->weight_scales[c];
        bias[i] = op->bias == NULL ? 0.0f : ((const float *)op->bias)[c];
    }
    channels->start = start;
    channels->dequant =
        (qb_dequant){.weight_scale = scale, .bias = bias, .weight_sum = sum, .range = op->range};
    return true;
}

bool qb_pack_channels(qb_builder *builder, const qb_linear *op, const int32_t *channel_of, size_t count,
                      int32_t input_offset, int32_t packed_zero, qb_channels *channels)
{
    const bool hybrid = op->weight_scales != NULL;
    return (hybrid ? pack_dequant : pack_requant)(builder, op, channel_of, count, input_offset, packed_zero, channels);
}

qb_channels qb_bind_sample(const qb_channels *channels, qb_sample_quant sample, size_t count, int32_t *start,
                           float *factor)
{
    const qb_dequant *d = &channels->dequant;
    for (size_t i = 0; i < count; i++) {
        start[i] = (int32_t)((uint32_t)channels->start[i] - (uint32_t)sample.zero_point * (uint32_t)d->weight_sum[i]);
        factor[i] = d->weight_scale[i] * sample.scale;
    }
    qb_channels bound = *channels;
    bound.start = start;
    bound.dequant.weight_scale = factor;
    return bound;
}
