/* Packing for the micro-kernels of 3×3 depthwise convolution (depthwise.h). */
#include "depthwise.h"

enum { TAPS = 9 };

static bool fits(const qb_depthwise_3x3_s8 *kernel, const qb_linear *op)
{
    if (kernel->shifts_right && op->weight_scales == NULL && !qb_shifts_right(op)) return false;
    const qb_linear_shape *s = &op->shape;
    const int lowest = kernel->symmetric ? -INT8_MAX : INT8_MIN;
    return s->filter_h == 3 && s->filter_w == 3 && s->dilation_h == 1 && s->dilation_w == 1 && s->stride_w <= 2 &&
           (size_t)s->in_c >= kernel->block && op->lowest_weight - op->weight_zero >= lowest &&
           op->highest_weight - op->weight_zero <= INT8_MAX;
}

const qb_depthwise_3x3_s8 *qb_depthwise_3x3_for(const qb_depthwise_3x3_s8 *kernel, const qb_linear *op)
{
    while (kernel != NULL && !fits(kernel, op)) kernel = kernel->next;
    return kernel;
}

bool qb_depthwise_3x3_pack(qb_builder *builder, const qb_depthwise_3x3_s8 *kernel, const qb_linear *op,
                           qb_depthwise_row_s8 *row)
{
    const size_t channels = (size_t)op->shape.in_c, size = kernel->block,
                 blocks = (channels + size - 1) / size;
    char *packed = qb_alloc_array(builder, blocks, kernel->block_bytes);
    int32_t *channel_of = qb_alloc_array(builder, blocks * size, sizeof *channel_of);
    if (packed == NULL || channel_of == NULL) return false;
    for (size_t b = 0; b < blocks; b++) {
        const size_t first = qb_depthwise_block_first(b, size, channels);
        int8_t weights[TAPS * QB_DEPTHWISE_3X3_MOST];
        for (size_t i = 0; i < TAPS * size; i++) {
            const int8_t *from = (const int8_t *)op->weights + i / size * channels + first + i % size;
            weights[i] = (int8_t)(*from - op->weight_zero);
        }
        kernel->pack(weights, packed + b * kernel->block_bytes);
        for (size_t i = 0; i < size; i++) {
            channel_of[b * size + i] = (int32_t)(first + (kernel->order == NULL ? i : kernel->order[i]));
        }
    }
    row->weights = (const int8_t *)packed;
    return qb_pack_channels(builder, op, channel_of, blocks * size, kernel->input_offset, 0, &row->by_channel);
}
