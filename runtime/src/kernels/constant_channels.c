/* int8 channels without weights: training leaves them behind, and their bias is often near 2^30. Whatever it is, such a channel
 * has one output. */
#include <stdlib.h>
#include <string.h>

#include "linear.h"
#include "packing.h"

static bool is_constant(const qb_linear *op, const int32_t *bias, int32_t channel)
{
    return op->sum_bounds[channel] == abs(bias[channel]);
}

bool qb_shrink_constant_channels(qb_builder *builder, qb_linear *op)
{
    const size_t channels = (size_t)op->shape.out_c;
    int32_t *bias = op->bias == NULL ? NULL : qb_alloc_array(builder, channels, sizeof *bias);
    if (bias == NULL) return op->bias == NULL;
    memcpy(bias, op->bias, channels * sizeof *bias);
    op->largest_sum = 0;
    for (int32_t c = 0; c < op->shape.out_c; c++) {
        if (is_constant(op, bias, c)) {
            bias[c] = 4 * qb_clamp(qb_scale_sum(op, c, bias[c]), 2 * INT8_MIN, 2 * INT8_MAX + 1);
            op->factors[c] = (qb_multiplier){1 << 30, -1};
            op->sum_bounds[c] = abs(bias[c]);
        }
        if (op->sum_bounds[c] > op->largest_sum) op->largest_sum = op->sum_bounds[c];
    }
    op->bias = bias;
    return true;
}
