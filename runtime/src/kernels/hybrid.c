#include "hybrid.h"

#include <string.h>

#include "packing.h"

enum { LANES = 16 };
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

/* Nearest integer to a value of magnitude under 2^22, ties to even: adding 1.5·2^23 leaves it in the low
 * bits. */
static inline int32_t round_to_even(float value)
{
    const float shifted = value + 12582912.0f;
    int32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    return bits - 0x4B400000;
}

/* The smallest and largest value, 0 included. Lanes, so that compilers can use vector minimum and maximum: a
 * plain loop would fix the order of comparisons, which only NaN could tell, and NaN never wins one. */
static void find_range(const float *x, size_t count, float *smallest, float *largest)
{
    float low[LANES] = {0}, high[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        for (size_t lane = 0; lane < LANES; lane++) {
            const float value = x[i + lane];
            low[lane] = value < low[lane] ? value : low[lane];
            high[lane] = value > high[lane] ? value : high[lane];
        }
    }
    for (; i < count; i++) {
        low[0] = x[i] < low[0] ? x[i] : low[0];
        high[0] = x[i] > high[0] ? x[i] : high[0];
    }
    for (size_t lane = 1; lane < LANES; lane++) {
        low[0] = low[lane] < low[0] ? low[lane] : low[0];
        high[0] = high[lane] > high[0] ? high[lane] : high[0];
    }
    *smallest = low[0];
    *largest = high[0];
}

static qb_sample_quant choose_quant(const float *x, size_t count, bool symmetric)
{
    float low, high;
    find_range(x, count, &low, &high);
    if (symmetric) {
        high = high > -low ? high : -low;
        const float scale = high / 127.0f;
        return (qb_sample_quant){scale < SMALLEST_SCALE ? 1.0f : scale, 0};
    }
    const float scale = high / 255.0f - low / 255.0f; /* this way round no finite range overflows */
    if (!isfinite(scale)) return (qb_sample_quant){scale, 0};
    if (scale < SMALLEST_SCALE) return (qb_sample_quant){1.0f, 0};
    const float zero = -128.0f - low / scale;
    return (qb_sample_quant){scale, zero > 127.0f ? 127 : round_to_even(zero)};
}

/* The bounds are whole numbers, so that clamping before rounding is clamping after it. */
static void quantize(const float *x, size_t count, qb_sample_quant quant, int8_t *q)
{
    const float inverse = 1.0f / quant.scale;
    const float low = (float)(-128 - quant.zero_point), high = (float)(127 - quant.zero_point);
    for (size_t i = 0; i < count; i++) {
        const float scaled = x[i] * inverse;
        const float not_low = scaled > low ? scaled : low; /* NaN too becomes the lowest value */
        const float bounded = not_low < high ? not_low : high;
        q[i] = (int8_t)(round_to_even(bounded) + quant.zero_point);
    }
}

qb_hybrid_input qb_hybrid_quantize(const qb_step *step, const qb_linear_shape *shape)
{
    const float *x = step->in[0]->data;
    const bool symmetric = step->in[1]->quant_axis < 0;
    const size_t sample = qb_linear_sample(shape);
    qb_sample_quant *quant = step->scratch;
    int8_t *padding = (int8_t *)step->scratch + quant_bytes(shape);
    int8_t *values = padding + padding_bytes(shape);
    for (int32_t b = 0; b < shape->batch; b++) {
        const size_t first = (size_t)b * sample;
        quant[b] = choose_quant(x + first, sample, symmetric);
        if (isfinite(quant[b].scale)) {
            quantize(x + first, sample, quant[b], values + first);
        } else {
            memset(values + first, 0, sample);
        }
        memset(padding + (size_t)b * (size_t)shape->in_c, quant[b].zero_point, (size_t)shape->in_c);
    }
    return (qb_hybrid_input){values, quant, padding};
}
