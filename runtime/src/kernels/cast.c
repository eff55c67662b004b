/* Cast between float32, the integers and bool; floats go toward zero and saturate, numbers but 0 become true.
 * Quantized values are cast as they are stored, as TFLite does. LogicalNot. */
#include <math.h>

#include "checks.h"

static int64_t from_float(float value, int64_t low, int64_t high)
{
    if (isnan(value)) return 0;
    return value <= (float)low ? low : value >= (float)high ? high : (int64_t)value;
}

/* Element i as an integer, limited to [low, high] where it is a float; integers wrap around when they are stored. */
static int64_t integer_at(const qb_tensor *in, size_t i, int64_t low, int64_t high)
{
    switch (in->dtype) {
    case QB_F32: return from_float(((const float *)in->data)[i], low, high);
    case QB_S8: return ((const int8_t *)in->data)[i];
    case QB_U8: return ((const uint8_t *)in->data)[i];
    case QB_S16: return ((const int16_t *)in->data)[i];
    case QB_S32: return ((const int32_t *)in->data)[i];
    case QB_S64: return ((const int64_t *)in->data)[i];
    default: return ((const uint8_t *)in->data)[i] != 0;
    }
}

static float float_at(const qb_tensor *in, size_t i)
{
    return in->dtype == QB_F32 ? ((const float *)in->data)[i] : (float)integer_at(in, i, 0, 0);
}

static void run_cast(const qb_step *step)
{
    const qb_tensor *in = step->in[0], *out = step->out[0];
    for (size_t i = 0; i < out->count; i++) {
        switch (out->dtype) {
        case QB_F32: ((float *)out->data)[i] = float_at(in, i); break;
        case QB_S8: ((int8_t *)out->data)[i] = (int8_t)integer_at(in, i, INT8_MIN, INT8_MAX); break;
        case QB_U8: ((uint8_t *)out->data)[i] = (uint8_t)integer_at(in, i, 0, UINT8_MAX); break;
        case QB_S16: ((int16_t *)out->data)[i] = (int16_t)integer_at(in, i, INT16_MIN, INT16_MAX); break;
        case QB_S32: ((int32_t *)out->data)[i] = (int32_t)integer_at(in, i, INT32_MIN, INT32_MAX); break;
        case QB_S64: ((int64_t *)out->data)[i] = integer_at(in, i, INT64_MIN, INT64_MAX); break;
        default: ((uint8_t *)out->data)[i] = float_at(in, i) != 0.0f; break;
        }
    }
}

static void run_not(const qb_step *step)
{
    const uint8_t *in = step->in[0]->data;
    uint8_t *out = step->out[0]->data;
    for (size_t i = 0; i < step->out[0]->count; i++) out[i] = in[i] == 0;
}

static bool check(qb_builder *builder, const qb_step *step)
{
    if (!qb_check_counts(builder, step, 1, 1) || !qb_check_no_activation(builder, step)) return false;
    if (qb_same_shape(step->in[0], step->out[0])) return true;
    return qb_refuse(builder, step, "input and output differ in shape");
}

bool qb_prepare_CAST(qb_builder *builder, qb_step *step)
{
    if (!check(builder, step)) return false;
    if (step->in[0]->dtype == QB_F16) return qb_refuse(builder, step, "has no kernel for float16");
    step->run = run_cast;
    step->kernel = "cast";
    return true;
}

bool qb_prepare_LOGICAL_NOT(qb_builder *builder, qb_step *step)
{
    if (!check(builder, step) || !qb_check_dtype(builder, step, step->in[0], QB_BOOL) ||
        !qb_check_dtype(builder, step, step->out[0], QB_BOOL)) {
        return false;
    }
    step->run = run_not;
    step->kernel = "logical";
    return true;
}
