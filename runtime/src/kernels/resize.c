/* Images at another size. Along each axis an output pixel i looks at the position
 *
 *     p = i · in / out,   i · (in − 1) / (out − 1) with aligned corners,   (i + ½) · in / out − ½ with half-pixel centers
 *
 *     nearest    out[i] = in[⌊p⌋]; aligned corners round p half up; half-pixel centers leave the last ½ out
 *     bilinear   out[i] = in[⌊p⌋] · (1 − f) + in[⌈p⌉] · f with f = p − ⌊p⌋, along both axes
 *
 * as TFLite's reference kernels compute it: positions in float32, or in 1/1024 of a pixel for integers, whose weighted
 * sums are rounded half away from zero. What was uint8 is computed in float32 on the values as they were, which are
 * ours plus 128, and rounded half up.
 */
#include <math.h>
#include <string.h>

#include "index_map.h"

enum { FRACTION_BITS = 10, ONE = 1 << FRACTION_BITS };

/* For each output pixel of an axis, the input pixels around its position and how far it is from the lower. */
typedef struct axis {
    size_t *low, *high;
    float *part;         /* float32, and what was uint8 */
    int32_t *part_fixed; /* integers, in 1/1024 */
} axis;

typedef struct bilinear {
    axis y, x;
    size_t in_width, channels;
} bilinear;

static int32_t clamp_pixel(int64_t pixel, int32_t length)
{
    return pixel < 0 ? 0 : pixel >= length ? length - 1 : (int32_t)pixel;
}

static bool is_aligned(const qb_step *step, int32_t out)
{
    return step->node->options[0] != 0 && out > 1;
}

static float scale_of(const qb_step *step, int32_t in, int32_t out)
{
    return is_aligned(step, out) ? (float)(in - 1) / (float)(out - 1) : (float)in / (float)out;
}

static bool was_uint8(const qb_step *step)
{
    return step->node->options[2] != 0 && step->in[0]->dtype == QB_S8;
}

static bool has_half_pixels(const qb_step *step)
{
    return step->node->options[1] != 0;
}

/* Images of one batch, one number of channels and one dtype; the size, input 1, is the output's. */
static bool check_images(qb_builder *builder, const qb_step *step)
{
    if (!qb_check_counts(builder, step, 2, 2) || !qb_check_moved(builder, step)) return false;
    const qb_tensor *in = step->in[0], *out = step->out[0];
    if (in->rank != 4 || out->rank != 4 || in->dims[0] != out->dims[0] || in->dims[3] != out->dims[3]) {
        return qb_refuse(builder, step, "input and output are not NHWC images with the same batch and channels");
    }
    if (!qb_check_index_const(builder, step, step->in[1], 2)) return false;
    if (qb_index_at(step->in[1], 0) == out->dims[1] && qb_index_at(step->in[1], 1) == out->dims[2]) return true;
    return qb_refuse(builder, step, "the size is not the output's");
}

static int32_t nearest(const qb_step *step, int32_t i, int32_t in, int32_t out)
{
    const float position = ((float)i + (has_half_pixels(step) ? 0.5f : 0.0f)) * scale_of(step, in, out);
    const float pixel = step->node->options[0] != 0 ? roundf(position) : floorf(position);
    return pixel < (float)in ? clamp_pixel((int64_t)pixel, in) : in - 1;
}

bool qb_prepare_RESIZE_NEAREST_NEIGHBOR(qb_builder *builder, qb_step *step)
{
    if (!check_images(builder, step)) return false;
    qb_index_map *map = qb_map_new(builder, step->out[0]);
    if (map == NULL) return false;
    size_t strides[QB_MAX_RANK];
    qb_strides(step->in[0], strides);
    qb_map_regular(map, 0, 0, (ptrdiff_t)strides[0]);
    qb_map_regular(map, 3, 0, 1);
    for (int d = 1; d <= 2; d++) {
        const int32_t in = step->in[0]->dims[d], out = step->out[0]->dims[d];
        for (int32_t i = 0; i < out; i++) map->offsets[d][i] = (size_t)nearest(step, i, in, out) * strides[d];
    }
    qb_map_gather(step, map);
    return true;
}

/* Sets the pixels around output pixel i, and the part, in float32. */
static void locate_f32(const qb_step *step, axis *axis, int32_t i, int32_t in, int32_t out)
{
    const float scale = scale_of(step, in, out);
    const float position = has_half_pixels(step) ? ((float)i + 0.5f) * scale - 0.5f : (float)i * scale;
    axis->low[i] = (size_t)clamp_pixel((int64_t)floorf(position), in);
    axis->high[i] = (size_t)clamp_pixel((int64_t)ceilf(position), in);
    axis->part[i] = position - (float)axis->low[i];
}

static void locate_fixed(const qb_step *step, axis *axis, int32_t i, int32_t in, int32_t out)
{
    const bool aligned = is_aligned(step, out);
    const int64_t length = aligned ? in - 1 : in, target = aligned ? out - 1 : out;
    const int64_t scale = (length * ONE + target / 2) / target;
    const int64_t position = i * scale + (has_half_pixels(step) ? scale / 2 - ONE / 2 : 0);
    axis->low[i] = (size_t)clamp_pixel(position / ONE, in);
    axis->high[i] = (size_t)clamp_pixel((position + ONE - 1) / ONE, in);
    axis->part_fixed[i] = (int32_t)(position - (int64_t)axis->low[i] * ONE);
}

static bool locate(qb_builder *builder, const qb_step *step, axis *axis, int dimension)
{
    const int32_t in = step->in[0]->dims[dimension], out = step->out[0]->dims[dimension];
    const size_t count = (size_t)out;
    axis->low = qb_alloc(builder, count * sizeof *axis->low);
    axis->high = qb_alloc(builder, count * sizeof *axis->high);
    axis->part = qb_alloc(builder, count * sizeof *axis->part);
    axis->part_fixed = qb_alloc(builder, count * sizeof *axis->part_fixed);
    if (axis->low == NULL || axis->high == NULL || axis->part == NULL || axis->part_fixed == NULL) return false;
    const bool fixed = step->in[0]->dtype != QB_F32 && !was_uint8(step);
    for (int32_t i = 0; i < out; i++) (fixed ? locate_fixed : locate_f32)(step, axis, i, in, out);
    return true;
}

static inline float blend_f32(float low_low, float high_low, float low_high, float high_high, float y, float x)
{
    return low_low * (1 - y) * (1 - x) + high_low * y * (1 - x) + low_high * (1 - y) * x + high_high * y * x;
}

static inline int blend_unsigned(int low_low, int high_low, int low_high, int high_high, float y, float x)
{
    const float sum = blend_f32((float)(low_low + 128), (float)(high_low + 128), (float)(low_high + 128),
                                (float)(high_high + 128), y, x);
    return (int)(sum + 0.5f) - 128;
}

static inline int64_t blend_fixed(int64_t low_low, int64_t high_low, int64_t low_high, int64_t high_high, int64_t y,
                                  int64_t x)
{
    const int64_t sum = low_low * (ONE - y) * (ONE - x) + high_low * y * (ONE - x) + low_high * (ONE - y) * x +
                        high_high * y * x;
    const int64_t half = INT64_C(1) << (2 * FRACTION_BITS - 1);
    return (sum + (sum > 0 ? half : -half)) / (INT64_C(1) << 2 * FRACTION_BITS);
}

#define DEFINE_RUN(name, type, blend, part)                                                                   \
    static void name(const qb_step *step)                                                                    \
    {                                                                                                        \
        const bilinear *op = step->state;                                                                    \
        const size_t image = step->in[0]->count / (size_t)step->in[0]->dims[0];                              \
        const int32_t *dims = step->out[0]->dims;                                                            \
        type *out = step->out[0]->data;                                                                      \
        for (size_t b = 0; b < (size_t)dims[0]; b++) {                                                       \
            const type *in = (const type *)step->in[0]->data + b * image;                                    \
            for (int32_t y = 0; y < dims[1]; y++) {                                                          \
                const type *low = in + op->y.low[y] * op->in_width, *high = in + op->y.high[y] * op->in_width; \
                for (int32_t x = 0; x < dims[2]; x++, out += op->channels) {                                 \
                    const size_t left = op->x.low[x], right = op->x.high[x];                                 \
                    for (size_t c = 0; c < op->channels; c++) {                                              \
                        out[c] = (type)blend(low[left + c], high[left + c], low[right + c], high[right + c], \
                                             op->y.part[y], op->x.part[x]);                                  \
                    }                                                                                        \
                }                                                                                            \
            }                                                                                                \
        }                                                                                                    \
    }

DEFINE_RUN(run_f32, float, blend_f32, part)
DEFINE_RUN(run_s8, int8_t, blend_fixed, part_fixed)
DEFINE_RUN(run_unsigned, int8_t, blend_unsigned, part)
DEFINE_RUN(run_s16, int16_t, blend_fixed, part_fixed)

bool qb_prepare_RESIZE_BILINEAR(qb_builder *builder, qb_step *step)
{
    if (!check_images(builder, step) || !qb_check_elementary(builder, step)) return false;
    bilinear *op = qb_alloc(builder, sizeof *op);
    if (op == NULL || !locate(builder, step, &op->y, 1) || !locate(builder, step, &op->x, 2)) return false;
    op->channels = (size_t)step->in[0]->dims[3];
    op->in_width = (size_t)step->in[0]->dims[2] * op->channels;
    for (int32_t x = 0; x < step->out[0]->dims[2]; x++) {
        op->x.low[x] *= op->channels;
        op->x.high[x] *= op->channels;
    }
    step->state = op;
    switch (step->in[0]->dtype) {
    case QB_F32:
        step->run = run_f32;
        step->kernel = "resize_bilinear_f32";
        return true;
    case QB_S8:
        step->run = was_uint8(step) ? run_unsigned : run_s8;
        step->kernel = "resize_bilinear_s8";
        return true;
    default:
        step->run = run_s16;
        step->kernel = "resize_bilinear_s16";
        return true;
    }
}
