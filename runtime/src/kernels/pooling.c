/* Average and maximum over windows. Padding is not counted: a window is cut to the image before it is reduced.
 * int8 as TFLite's reference kernels: the same scale on both sides, the average rounded half away from zero, or half
 * up as its uint8 kernel does. */
#include <stddef.h>

#include "../isa.h"
#include "../requantize.h"
#include "checks.h"
#include "loops.h"

typedef struct pooling {
    int32_t batch, in_h, in_w, channels, out_h, out_w;
    int32_t stride_h, stride_w, filter_h, filter_w, pad_top, pad_left;
    const struct qb_loops *loops; /* in place of reduce, or NULL */
    qb_range_f32 range_f32;
    qb_range_s8 range_s8;
    /* Reduces one window to one pixel: rows and columns [y0, y1) × [x0, x1) of image `in`. */
    void (*reduce)(const struct pooling *op, const void *in, void *out, int32_t y0, int32_t y1, int32_t x0,
                   int32_t x1);
    size_t element_size;
    bool half_up;
} pooling;

static size_t pixel_at(const pooling *op, int32_t y, int32_t x)
{
    return ((size_t)y * (size_t)op->in_w + (size_t)x) * (size_t)op->channels;
}

static void average_f32(const pooling *op, const void *image, void *pixel, int32_t y0, int32_t y1, int32_t x0,
                        int32_t x1)
{
    const float *in = image;
    float *out = pixel;
    const float count = (float)((y1 - y0) * (x1 - x0));
    for (int32_t c = 0; c < op->channels; c++) {
        float sum = 0.0f;
        for (int32_t y = y0; y < y1; y++) {
            for (int32_t x = x0; x < x1; x++) sum += in[pixel_at(op, y, x) + (size_t)c];
        }
        out[c] = qb_clamp_f32(sum / count, op->range_f32);
    }
}

/* sum / count to nearest, for a sum of integers; ties away from zero, or up. */
static int32_t divide(int64_t sum, int64_t count, bool half_up)
{
    const int64_t offset = half_up ? 128 : 0; /* the values as uint8: none is negative */
    const int64_t total = sum + offset * count;
    return (int32_t)((total >= 0 ? total + count / 2 : total - count / 2) / count - offset);
}

static void average_s8(const pooling *op, const void *image, void *pixel, int32_t y0, int32_t y1, int32_t x0,
                       int32_t x1)
{
    const int8_t *in = image;
    int8_t *out = pixel;
    const int64_t count = (int64_t)(y1 - y0) * (x1 - x0);
    for (int32_t c = 0; c < op->channels; c++) {
        int64_t sum = 0;
        for (int32_t y = y0; y < y1; y++) {
            for (int32_t x = x0; x < x1; x++) sum += in[pixel_at(op, y, x) + (size_t)c];
        }
        out[c] = qb_clamp_s8(divide(sum, count, op->half_up), op->range_s8);
    }
}

static void average_s16(const pooling *op, const void *image, void *pixel, int32_t y0, int32_t y1, int32_t x0,
                        int32_t x1)
{
    const int16_t *in = image;
    int16_t *out = pixel;
    const int64_t count = (int64_t)(y1 - y0) * (x1 - x0);
    for (int32_t c = 0; c < op->channels; c++) {
        int64_t sum = 0;
        for (int32_t y = y0; y < y1; y++) {
            for (int32_t x = x0; x < x1; x++) sum += in[pixel_at(op, y, x) + (size_t)c];
        }
        out[c] = (int16_t)qb_clamp(divide(sum, count, false), op->range_s8.min, op->range_s8.max);
    }
}

static void max_f32(const pooling *op, const void *image, void *pixel, int32_t y0, int32_t y1, int32_t x0,
                    int32_t x1)
{
    const float *in = image;
    float *out = pixel;
    for (int32_t c = 0; c < op->channels; c++) {
        float max = in[pixel_at(op, y0, x0) + (size_t)c];
        for (int32_t y = y0; y < y1; y++) {
            for (int32_t x = x0; x < x1; x++) {
                const float value = in[pixel_at(op, y, x) + (size_t)c];
                if (value > max) max = value;
            }
        }
        out[c] = qb_clamp_f32(max, op->range_f32);
    }
}

static void max_s8(const pooling *op, const void *image, void *pixel, int32_t y0, int32_t y1, int32_t x0,
                   int32_t x1)
{
    const int8_t *in = image;
    int8_t *out = pixel;
    for (int32_t c = 0; c < op->channels; c++) {
        int8_t max = INT8_MIN;
        for (int32_t y = y0; y < y1; y++) {
            for (int32_t x = x0; x < x1; x++) {
                const int8_t value = in[pixel_at(op, y, x) + (size_t)c];
                if (value > max) max = value;
            }
        }
        out[c] = qb_clamp_s8(max, op->range_s8);
    }
}

static void max_s16(const pooling *op, const void *image, void *pixel, int32_t y0, int32_t y1, int32_t x0,
                    int32_t x1)
{
    const int16_t *in = image;
    int16_t *out = pixel;
    for (int32_t c = 0; c < op->channels; c++) {
        int16_t max = INT16_MIN;
        for (int32_t y = y0; y < y1; y++) {
            for (int32_t x = x0; x < x1; x++) {
                const int16_t value = in[pixel_at(op, y, x) + (size_t)c];
                if (value > max) max = value;
            }
        }
        out[c] = (int16_t)qb_clamp(max, op->range_s8.min, op->range_s8.max);
    }
}

static int32_t at_least_zero(int32_t value)
{
    return value > 0 ? value : 0;
}

static int32_t at_most(int32_t value, int32_t limit)
{
    return value < limit ? value : limit;
}

/* What the reduce functions compute, with the ISA variant's loops. */
static void run_loops(const qb_step *step, const pooling *op, const void *image, void *pixel, int32_t y0, int32_t y1,
                      int32_t x0, int32_t x1)
{
    const qb_window window = {
        .rows = (size_t)(y1 - y0),
        .columns = (size_t)(x1 - x0),
        .channels = (size_t)op->channels,
        .row_step = (size_t)op->in_w * (size_t)op->channels,
        .range_f32 = op->range_f32,
        .range_s8 = op->range_s8,
        .half_up = op->half_up,
    };
    const bool averages = step->node->op == QB_OP_AVERAGE_POOL_2D;
    const size_t first = pixel_at(op, y0, x0);
    if (step->in[0]->dtype == QB_F32) {
        (averages ? op->loops->average_f32 : op->loops->max_f32)(&window, (const float *)image + first, pixel);
    } else {
        (averages ? op->loops->average_s8 : op->loops->max_s8)(&window, (const int8_t *)image + first, pixel);
    }
}

static bool has_loops(const qb_step *step)
{
    const uint8_t dtype = step->in[0]->dtype;
    const int64_t pixels = (int64_t)step->node->filter_h * step->node->filter_w;
    return dtype == QB_F32 || (dtype == QB_S8 && pixels <= QB_MOST_AVERAGED);
}

static void run(const qb_step *step)
{
    const pooling *op = step->state;
    const size_t image_size = (size_t)op->in_h * (size_t)op->in_w * (size_t)op->channels * op->element_size;
    const size_t pixel_size = (size_t)op->channels * op->element_size;
    char *out = step->out[0]->data;
    for (int32_t b = 0; b < op->batch; b++) {
        const char *image = (const char *)step->in[0]->data + (size_t)b * image_size;
        for (int32_t oy = 0; oy < op->out_h; oy++) {
            const int32_t top = oy * op->stride_h - op->pad_top;
            const int32_t y0 = at_least_zero(top), y1 = at_most(top + op->filter_h, op->in_h);
            for (int32_t ox = 0; ox < op->out_w; ox++, out += pixel_size) {
                const int32_t left = ox * op->stride_w - op->pad_left;
                const int32_t x0 = at_least_zero(left), x1 = at_most(left + op->filter_w, op->in_w);
                if (op->loops != NULL) run_loops(step, op, image, out, y0, y1, x0, x1);
                else op->reduce(op, image, out, y0, y1, x0, x1);
            }
        }
    }
}

/* Along one axis the windows fit the padded input, give `out` positions, and each meets at least one input. All
 * coordinates that run computes lie in the padded input, whose size fits in 32 bits. */
static bool axis_fits(int32_t in, int32_t out, int32_t filter, int32_t stride, int32_t before, int32_t after)
{
    if (filter < 1 || stride < 1 || before < 0 || after < 0 || before >= filter || after >= filter) return false;
    const int64_t padded = (int64_t)in + before + after;
    const int64_t room = padded - filter;
    if (padded > INT32_MAX || room < 0 || room / stride + 1 != out) return false;
    return (int64_t)(out - 1) * stride - before < in;
}

static bool check_shapes(qb_builder *builder, const qb_step *step)
{
    const qb_tensor *in = step->in[0], *out = step->out[0];
    const qb_node_record *node = step->node;
    if (in->rank != 4 || out->rank != 4 || in->dims[0] != out->dims[0] || in->dims[3] != out->dims[3]) {
        return qb_refuse(builder, step, "input and output are not NHWC images with the same batch and channels");
    }
    if (!axis_fits(in->dims[1], out->dims[1], node->filter_h, node->stride_h, node->pad_top, node->pad_bottom) ||
        !axis_fits(in->dims[2], out->dims[2], node->filter_w, node->stride_w, node->pad_left, node->pad_right)) {
        return qb_refuse(builder, step, "filter, stride and padding do not lead from the input's size to the output's");
    }
    if (in->dtype != QB_F32 && !qb_same_quantization(in, out)) {
        return qb_refuse(builder, step, "input and output are quantized differently");
    }
    return true;
}

static pooling *prepare(qb_builder *builder, qb_step *step)
{
    if (!qb_check_counts(builder, step, 1, 1) || !qb_check_elementary(builder, step) ||
        !check_shapes(builder, step)) {
        return NULL;
    }
    pooling *op = qb_alloc(builder, sizeof *op);
    if (op == NULL) return NULL;
    const qb_tensor *in = step->in[0], *out = step->out[0];
    const qb_node_record *node = step->node;
    *op = (pooling){
        .batch = in->dims[0],
        .in_h = in->dims[1],
        .in_w = in->dims[2],
        .channels = in->dims[3],
        .out_h = out->dims[1],
        .out_w = out->dims[2],
        .stride_h = node->stride_h,
        .stride_w = node->stride_w,
        .filter_h = node->filter_h,
        .filter_w = node->filter_w,
        .pad_top = node->pad_top,
        .pad_left = node->pad_left,
        .range_f32 = qb_activation_range_f32(node->activation),
        .element_size = in->size / in->count,
    };
    if (in->dtype == QB_S8) op->range_s8 = qb_activation_range_s8(node->activation, out);
    if (has_loops(step)) op->loops = qb_builder_isa(builder)->loops;
    if (in->dtype == QB_S16) op->range_s8 = qb_activation_range_s16(node->activation, out);
    step->state = op;
    step->run = run;
    return op;
}

bool qb_prepare_AVERAGE_POOL_2D(qb_builder *builder, qb_step *step)
{
    pooling *op = prepare(builder, step);
    if (op == NULL) return false;
    const uint8_t dtype = step->in[0]->dtype;
    op->reduce = dtype == QB_S8 ? average_s8 : dtype == QB_S16 ? average_s16 : average_f32;
    op->half_up = step->node->options[0] == 1;
    step->kernel = dtype == QB_S8 ? "average_pool_s8" : dtype == QB_S16 ? "average_pool_s16" : "average_pool_f32";
    return true;
}

bool qb_prepare_MAX_POOL_2D(qb_builder *builder, qb_step *step)
{
    pooling *op = prepare(builder, step);
    if (op == NULL) return false;
    const uint8_t dtype = step->in[0]->dtype;
    op->reduce = dtype == QB_S8 ? max_s8 : dtype == QB_S16 ? max_s16 : max_f32;
    step->kernel = dtype == QB_S8 ? "max_pool_s8" : dtype == QB_S16 ? "max_pool_s16" : "max_pool_f32";
    return true;
}
