/* The outer loop of the reference kernels: every output value in turn, its sum from the op's own function,
 * then the arithmetic's tail. The arithmetic is specified here and the sums in *_reference.c; nothing is
 * packed or blocked. */
#ifndef QB_REFERENCE_H
#define QB_REFERENCE_H

#include "linear.h"

/* Where an output value lies within its sample. */
typedef struct qb_position {
    int32_t y, x, channel;
} qb_position;

/* Σ (x − zero)·(w − z_w) for one output value; `sample` is the sample's first input value. */
typedef int32_t (*qb_sum_s8)(const qb_linear *op, const int8_t *sample, int32_t zero, const qb_position *at);

/* Σ x·w */
typedef int64_t (*qb_sum_s16)(const qb_linear *op, const int16_t *sample, const qb_position *at);

/* start + Σ x·w, each step a fused multiply-add. */
typedef float (*qb_sum_f32)(const qb_linear *op, const float *sample, float start, const qb_position *at);

/* What the reference kernels of one op need of it, and their name for the profile. */
typedef struct qb_linear_reference {
    qb_sum_s8 sum_s8; /* int8 and hybrid */
    qb_sum_s16 sum_s16;
    qb_sum_f32 sum_f32;
    const char *name;
} qb_linear_reference;

/* step->run for each arithmetic, with the sums of the op's `reference`. */
void qb_reference_s8(const qb_step *step);
void qb_reference_s16(const qb_step *step);
void qb_reference_f32(const qb_step *step);
void qb_reference_hybrid(const qb_step *step);

/* The first channel of the input pixel under tap (ky, kx) of the output pixel `at`, or NULL outside the
 * image. */
static inline const void *qb_tap(const qb_linear_shape *s, const void *sample, size_t value_size,
                                 const qb_position *at, int32_t ky, int32_t kx)
{
    const int64_t y = (int64_t)at->y * s->stride_h + (int64_t)ky * s->dilation_h - s->pad_top;
    const int64_t x = (int64_t)at->x * s->stride_w + (int64_t)kx * s->dilation_w - s->pad_left;
    if (y < 0 || y >= s->in_h || x < 0 || x >= s->in_w) return NULL;
    return (const char *)sample + (size_t)((y * s->in_w + x) * s->in_c) * value_size;
}

extern const qb_linear_reference qb_conv_reference;
extern const qb_linear_reference qb_depthwise_reference;
extern const qb_linear_reference qb_fully_connected_reference;

#endif
