/* FULLY_CONNECTED as a plain loop over the definition: the specification of every faster path.
 *
 *     y[row][o] = Σ over k of x[row][k] · w[o][k]
 */
#include "reference.h"

static int32_t sum_s8(const qb_linear *op, const int8_t *row, int32_t zero, const qb_position *at)
{
    const int32_t depth = op->shape.in_c;
    const int8_t *w = (const int8_t *)op->weights + (size_t)at->channel * (size_t)depth;
    int32_t sum = 0;
    for (int32_t k = 0; k < depth; k++) sum += (row[k] - zero) * (w[k] - op->weight_zero);
    return sum;
}

static int64_t sum_s16(const qb_linear *op, const int16_t *row, const qb_position *at)
{
    const int32_t depth = op->shape.in_c;
    const int8_t *w = (const int8_t *)op->weights + (size_t)at->channel * (size_t)depth;
    int64_t sum = 0;
    for (int32_t k = 0; k < depth; k++) sum += row[k] * w[k];
    return sum;
}

static float sum_f32(const qb_linear *op, const float *row, float start, const qb_position *at)
{
    const int32_t depth = op->shape.in_c;
    const float *w = (const float *)op->weights + (size_t)at->channel * (size_t)depth;
    float sum = start;
    for (int32_t k = 0; k < depth; k++) sum = fmaf(row[k], w[k], sum);
    return sum;
}

const qb_linear_reference qb_fully_connected_reference = {sum_s8, sum_s16, sum_f32, "fully_connected_reference"};
