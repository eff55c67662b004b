/* What prepare functions have in common: checks that refuse with a message, and the bounds of fused activations. */
#ifndef QB_CHECKS_H
#define QB_CHECKS_H

#include "kernel.h"

/* The node has at least min_in inputs, none of these left out, at most max_in, and one output. */
bool qb_check_counts(qb_builder *builder, const qb_step *step, uint32_t min_in, uint32_t max_in);

/* The tensor has this dtype; one that is QB_S8, QB_U8 or QB_S16 must be quantized per tensor. */
bool qb_check_dtype(qb_builder *builder, const qb_step *step, const qb_tensor *tensor, uint8_t dtype);

/* Input 0 and the output have the dtype of the node's arithmetic: QB_F32, or QB_S8 or QB_S16 quantized per tensor. */
bool qb_check_elementary(qb_builder *builder, const qb_step *step);

/* The node has no fused activation. */
bool qb_check_no_activation(qb_builder *builder, const qb_step *step);

/* A constant of dtype QB_S32 or QB_S64 with this many elements: axes, paddings, sizes. */
bool qb_check_index_const(qb_builder *builder, const qb_step *step, const qb_tensor *tensor, size_t count);

/* Element i of a QB_S32 or QB_S64 tensor. */
static inline int64_t qb_index_at(const qb_tensor *tensor, size_t i)
{
    return tensor->dtype == QB_S64 ? ((const int64_t *)tensor->data)[i] : ((const int32_t *)tensor->data)[i];
}

bool qb_same_shape(const qb_tensor *a, const qb_tensor *b);
bool qb_same_quantization(const qb_tensor *a, const qb_tensor *b);

typedef struct qb_range_f32 {
    float min, max;
} qb_range_f32;

typedef struct qb_range_s8 {
    int32_t min, max;
} qb_range_s8;

/* What a fused activation (QB_ACT_…) lets through (TFLite's CalculateActivationRange). Without one a float range is
 * infinite on both sides. */
qb_range_f32 qb_activation_range_f32(uint8_t activation);

/* The same as quantized values of the output, whose scale and zero point decide where 0 and 6 lie
 * (CalculateActivationRangeQuantized). */
qb_range_s8 qb_activation_range_s8(uint8_t activation, const qb_tensor *out);

/* The same for an output that is QB_S16, whose zero point is 0. */
qb_range_s8 qb_activation_range_s16(uint8_t activation, const qb_tensor *out);

static inline float qb_clamp_f32(float value, qb_range_f32 range)
{
    return value < range.min ? range.min : value > range.max ? range.max : value;
}

static inline int8_t qb_clamp_s8(int32_t value, qb_range_s8 range)
{
    return (int8_t)(value < range.min ? range.min : value > range.max ? range.max : value);
}

#endif
