#include "hybrid.h"

#include <string.h>

#include "hybrid_loops.h"
#include "loops.h"
#include "packing.h"

#define SMALLEST_SCALE 1e-30f /* below, the range counts as zero: its reciprocal could overflow */

static uint64_t quant_bytes(const qb_linear_shape *shape)
{
    return qb_round_up((uint64_t)shape->batch * sizeof(qb_sample_quant), QB_ALIGNMENT);
}

static uint64_t padding_bytes(const qb_linear_shape *shape)
{
    return qb_round_up((uint64_t)shape->batch * (uint64_t)shape->in_c, QB_ALIGNMENT);
}

uint64_t qb_hybrid_scratch(const qb_linear_shape *shape)
{
    const uint64_t values = (uint64_t)shape->batch * qb_linear_sample(shape);
    return quant_bytes(shape) + padding_bytes(shape) + qb_round_up(values, QB_ALIGNMENT);
}

static qb_sample_quant choose_quant(const qb_loops *loops, const float *x, size_t count, bool symmetric)
{
    float low, high;
    (loops != NULL ? loops->find_range : qb_find_range)(x, count, &low, &high);
    if (symmetric) {
        high = high > -low ? high : -low;
        const float scale = high / 127.0f;
        return (qb_sample_quant){scale < SMALLEST_SCALE ? 1.0f : scale, 0};
    }
    const float scale = high / 255.0f - low / 255.0f; /* this way round no finite range overflows */
    if (!isfinite(scale)) return (qb_sample_quant){scale, 0};
    if (scale < SMALLEST_SCALE) return (qb_sample_quant){1.0f, 0};
    const float zero = -128.0f - low / scale;
    return (qb_sample_quant){scale, zero > 127.0f ? 127 : qb_round_to_even(zero)};
}

qb_hybrid_input qb_hybrid_quantize(const qb_step *step, const qb_linear_shape *shape)
{
    const qb_loops *loops = ((const qb_linear *)step->state)->loops;
    const float *x = step->in[0]->data;
    const bool symmetric = step->in[1]->quant_axis < 0;
    const size_t sample = qb_linear_sample(shape);
    qb_sample_quant *quant = step->scratch;
    int8_t *padding = (int8_t *)step->scratch + quant_bytes(shape);
    int8_t *values = padding + padding_bytes(shape);
    for (int32_t b = 0; b < shape->batch; b++) {
        const size_t first = (size_t)b * sample;
        quant[b] = choose_quant(loops, x + first, sample, symmetric);
        if (isfinite(quant[b].scale)) {
            (loops != NULL ? loops->quantize_sample : qb_quantize_sample)(x + first, sample, quant[b], values + first);
        } else {
            memset(values + first, 0, sample);
        }
        memset(padding + (size_t)b * (size_t)shape->in_c, quant[b].zero_point, (size_t)shape->in_c);
    }
    return (qb_hybrid_input){values, quant, padding};
}
