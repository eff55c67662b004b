#include "checks.h"

#include <math.h>
#include <string.h>

#include "../requantize.h"

bool qb_check_counts(qb_builder *builder, const qb_step *step, uint32_t min_in, uint32_t max_in)
{
    if (step->in_count < min_in || step->in_count > max_in || step->out_count != 1) {
        return qb_refuse(builder, step, "has %u inputs and %u outputs", step->in_count, step->out_count);
    }
    for (uint32_t i = 0; i < min_in; i++) {
        if (step->in[i] == NULL) return qb_refuse(builder, step, "input %u is left out", i);
    }
    return true;
}

bool qb_check_dtype(qb_builder *builder, const qb_step *step, const qb_tensor *tensor, uint8_t dtype)
{
    if (tensor->dtype != dtype) return qb_refuse(builder, step, "tensor '%s' has the wrong dtype", tensor->name);
    const bool quantized = dtype == QB_S8 || dtype == QB_U8 || dtype == QB_S16;
    if (quantized && (tensor->quant_count != 1 || tensor->quant_axis != -1)) {
        return qb_refuse(builder, step, "tensor '%s' is not quantized per tensor", tensor->name);
    }
    return true;
}

bool qb_check_elementary(qb_builder *builder, const qb_step *step)
{
    const uint8_t arithmetic = step->node->arithmetic;
    const uint8_t dtype = arithmetic == QB_ARITH_F32 ? QB_F32 : arithmetic == QB_ARITH_INT16 ? QB_S16 : QB_S8;
    return qb_check_dtype(builder, step, step->in[0], dtype) && qb_check_dtype(builder, step, step->out[0], dtype);
}

bool qb_check_no_activation(qb_builder *builder, const qb_step *step)
{
    if (step->node->activation == QB_ACT_NONE) return true;
    return qb_refuse(builder, step, "the op cannot have a fused activation");
}

bool qb_check_index_const(qb_builder *builder, const qb_step *step, const qb_tensor *tensor, size_t count)
{
    const bool index = tensor->dtype == QB_S32 || tensor->dtype == QB_S64;
    if (tensor->kind == QB_CONSTANT && index && tensor->count == count) return true;
    return qb_refuse(builder, step, "tensor '%s' should be a constant of %zu integers", tensor->name, count);
}

bool qb_same_shape(const qb_tensor *a, const qb_tensor *b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, sizeof a->dims) == 0;
}

bool qb_same_quantization(const qb_tensor *a, const qb_tensor *b)
{
    return a->quant_count == 1 && b->quant_count == 1 && a->scales[0] == b->scales[0] &&
           a->zero_point == b->zero_point;
}

qb_range_f32 qb_activation_range_f32(uint8_t activation)
{
    switch (activation) {
    case QB_ACT_RELU: return (qb_range_f32){0.0f, INFINITY};
    case QB_ACT_RELU6: return (qb_range_f32){0.0f, 6.0f};
    case QB_ACT_RELU_N1_TO_1: return (qb_range_f32){-1.0f, 1.0f};
    default: return (qb_range_f32){-INFINITY, INFINITY};
    }
}

qb_range_s8 qb_activation_range_s8(uint8_t activation, const qb_tensor *out)
{
    const qb_range_f32 real = qb_activation_range_f32(activation);
    return (qb_range_s8){
        .min = qb_quantize_s8(real.min, out->scales[0], out->zero_point),
        .max = qb_quantize_s8(real.max, out->scales[0], out->zero_point),
    };
}

qb_range_s8 qb_activation_range_s16(uint8_t activation, const qb_tensor *out)
{
    const qb_range_f32 real = qb_activation_range_f32(activation);
    return (qb_range_s8){
        .min = qb_quantize(real.min, out->scales[0], 0, INT16_MIN, INT16_MAX),
        .max = qb_quantize(real.max, out->scales[0], 0, INT16_MIN, INT16_MAX),
    };
}
