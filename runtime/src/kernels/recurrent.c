#include "recurrent.h"

#include <math.h>
#include <string.h>

#include "checks.h"

enum { MOST_COLUMNS = 1 << 16 }; /* as long as sums of products of int8 and 9 bits stay within 32 bits */

qb_vector_mode qb_vector_mode_of(const qb_step *step, int asymmetric)
{
    return (qb_vector_mode){step->node->arithmetic == QB_ARITH_HYBRID, asymmetric != 0};
}

/* NaN too becomes the lowest value. */
static int8_t saturate(float value, float low)
{
    return (int8_t)(value >= 127.0f ? 127.0f : value > low ? value : low);
}

static qb_vector quantize_symmetric(const float *values, int32_t count, int8_t *room)
{
    float largest = 0.0f;
    for (int32_t i = 0; i < count; i++) largest = fabsf(values[i]) > largest ? fabsf(values[i]) : largest;
    if (largest == 0.0f) {
        memset(room, 0, (size_t)count);
        return (qb_vector){values, room, 1.0f, 0};
    }
    const float inverse = 127.0f / largest;
    for (int32_t i = 0; i < count; i++) room[i] = saturate(roundf(values[i] * inverse), -127.0f);
    return (qb_vector){values, room, largest / 127.0f, 0};
}

/* The zero point computed from the bound of the range whose quantized value has the smaller error. */
static int32_t choose_zero_point(double low, double high, double scale)
{
    const double error_of_low = 128.0 + fabs(low / scale), error_of_high = 127.0 + fabs(high / scale);
    const double zero = error_of_low < error_of_high ? -128.0 - low / scale : 127.0 - high / scale;
    return zero >= 127.0 ? 127 : zero > -128.0 ? (int32_t)round(zero) : -128;
}

static qb_vector quantize_asymmetric(const float *values, int32_t count, int8_t *room)
{
    float low = 0.0f, high = 0.0f;
    for (int32_t i = 0; i < count; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
    }
    if (low == high) {
        memset(room, 0, (size_t)count);
        return (qb_vector){values, room, 1.0f, 0};
    }
    const double exact = ((double)high - (double)low) / 255.0;
    const int32_t zero = choose_zero_point((double)low, (double)high, exact);
    const float scale = (float)exact, inverse = scale == 0.0f ? 0.0f : (float)(1.0 / (double)scale);
    for (int32_t i = 0; i < count; i++) {
        room[i] = saturate(roundf((float)zero + values[i] * inverse), -128.0f);
    }
    return (qb_vector){values, room, scale, zero};
}

qb_vector qb_vector_of(const float *values, int32_t count, qb_vector_mode mode, int8_t *room)
{
    if (!mode.hybrid) return (qb_vector){.values = values};
    return (mode.asymmetric ? quantize_asymmetric : quantize_symmetric)(values, count, room);
}

static void accumulate_f32(const qb_matrix *matrix, const float *x, float *sums)
{
    const float *w = matrix->values;
    for (int32_t r = 0; r < matrix->rows; r++, w += matrix->columns) {
        float sum = 0.0f;
        for (int32_t c = 0; c < matrix->columns; c++) sum += w[c] * x[c];
        sums[r] += sum;
    }
}

void qb_matrix_accumulate(const qb_matrix *matrix, const qb_vector *vector, float *sums)
{
    if (vector->quantized == NULL) {
        accumulate_f32(matrix, vector->values, sums);
        return;
    }
    const int8_t *w = matrix->values;
    const float factor = vector->scale * matrix->scale;
    for (int32_t r = 0; r < matrix->rows; r++, w += matrix->columns) {
        int32_t sum = 0;
        for (int32_t c = 0; c < matrix->columns; c++) sum += w[c] * (vector->quantized[c] - vector->zero_point);
        sums[r] += (float)sum * factor;
    }
}

void qb_apply_cell_function(int function, float *values, int32_t count)
{
    if (function == QB_CELL_TANH) {
        for (int32_t i = 0; i < count; i++) values[i] = tanhf(values[i]);
        return;
    }
    const qb_range_f32 range = qb_activation_range_f32((uint8_t)function);
    for (int32_t i = 0; i < count; i++) values[i] = qb_clamp_f32(values[i], range);
}

static bool wrong_input(qb_builder *builder, const qb_step *step, uint32_t index)
{
    const qb_tensor *tensor = qb_input_or_null(step, index);
    if (tensor == NULL) return qb_refuse(builder, step, "input %u is left out", index);
    return qb_refuse(builder, step, "input %u, '%s', has the wrong dtype or shape", index, tensor->name);
}

/* int8 with one scale and no zero point */
static bool is_symmetric(const qb_tensor *tensor)
{
    return tensor->dtype == QB_S8 && tensor->quant_count == 1 && tensor->quant_axis == -1 && tensor->zero_point == 0;
}

static bool suits_arithmetic(const qb_step *step, const qb_tensor *tensor)
{
    return step->node->arithmetic == QB_ARITH_HYBRID ? is_symmetric(tensor) : tensor->dtype == QB_F32;
}

bool qb_matrix_input(qb_builder *builder, const qb_step *step, uint32_t index, int32_t rows, int32_t columns,
                     qb_matrix *matrix)
{
    const qb_tensor *tensor = qb_input_or_null(step, index);
    if (tensor == NULL || tensor->rank != 2 || tensor->dims[0] != rows || tensor->dims[1] != columns ||
        columns > MOST_COLUMNS || !suits_arithmetic(step, tensor)) {
        return wrong_input(builder, step, index);
    }
    *matrix = (qb_matrix){tensor->data, rows, columns, tensor->quant_count == 1 ? tensor->scales[0] : 0.0f};
    return true;
}

bool qb_floats_input(qb_builder *builder, const qb_step *step, uint32_t index, size_t count, bool optional,
                     const float **values)
{
    const qb_tensor *tensor = qb_input_or_null(step, index);
    *values = NULL;
    if (tensor == NULL && optional) return true;
    if (tensor == NULL || tensor->dtype != QB_F32 || tensor->count != count) return wrong_input(builder, step, index);
    *values = tensor->data;
    return true;
}

bool qb_weights_input(qb_builder *builder, const qb_step *step, uint32_t index, size_t count, bool optional,
                      const float **values)
{
    const qb_tensor *tensor = qb_input_or_null(step, index);
    const bool hybrid = step->node->arithmetic == QB_ARITH_HYBRID;
    if (tensor == NULL || !hybrid) return qb_floats_input(builder, step, index, count, optional, values);
    if (!is_symmetric(tensor) || tensor->count != count || tensor->kind != QB_CONSTANT) {
        return wrong_input(builder, step, index);
    }
    float *real = qb_alloc(builder, count * sizeof *real);
    if (real == NULL) return false;
    for (size_t i = 0; i < count; i++) real[i] = (float)((const int8_t *)tensor->data)[i] * tensor->scales[0];
    *values = real;
    return true;
}

bool qb_state_input(qb_builder *builder, const qb_step *step, uint32_t index, size_t count, uint8_t dtype, void **values)
{
    const qb_tensor *tensor = qb_input_or_null(step, index);
    if (tensor == NULL || tensor->dtype != dtype || tensor->count != count) return wrong_input(builder, step, index);
    if (tensor->kind != QB_VARIABLE) return qb_refuse(builder, step, "the state '%s' is not a variable", tensor->name);
    *values = tensor->data;
    return true;
}

bool qb_check_cell_function(qb_builder *builder, const qb_step *step, int function)
{
    if (function >= QB_ACT_NONE && function <= QB_CELL_TANH) return true;
    return qb_refuse(builder, step, "unknown function %d of its cells", function);
}
