/* SVDF: a layer of low rank over time (Alvarez & Park 2018, Nakkiran et al. 2015). Each filter reduces the input to one
 * value, and keeps the last `memory` of these as its state; a unit adds up what `rank` filters make of theirs.
 *
 *     s[f] ← (s[f] without its oldest value, Σ w_feature[f]·x)
 *     y[u] = activation(bias[u] + Σ over the unit's filters f of Σ w_time[f]·s[f])
 *
 *     inputs   x [batch, in], w_feature [filters, in], w_time [filters, memory], [bias [units]],
 *              state [batch, filters · memory]
 *     options  rank, activation, asymmetric inputs if hybrid
 *
 * int8: x and w_feature int8, w_time and the state int16, the bias int32. TFLite's kernel allows ReLU alone and leaves
 * it to the output's range; so does this.
 */
#include <string.h>

#include "../requantize.h"
#include "checks.h"
#include "recurrent.h"

typedef struct svdf {
    int32_t batch, in, filters, memory, units, rank;
    qb_matrix feature;  /* f32, hybrid */
    const float *time;  /* f32, hybrid */
    const void *bias;   /* float or int32; NULL: none */
    void *state;        /* float or int16 */
    int function;
    qb_vector_mode mode;
    qb_multiplier feature_factor, time_factor; /* int8 */
} svdf;

static void run_sample(const svdf *op, const float *x, float *state, float *sums, float *y)
{
    const qb_vector vector = qb_vector_of(x, op->in, op->mode, (int8_t *)(sums + op->filters));
    memset(sums, 0, (size_t)op->filters * sizeof *sums);
    qb_matrix_accumulate(&op->feature, &vector, sums);
    const float *w = op->time;
    for (int32_t f = 0; f < op->filters; f++, w += op->memory, state += op->memory) {
        memmove(state, state + 1, (size_t)(op->memory - 1) * sizeof *state);
        state[op->memory - 1] = sums[f];
        sums[f] = 0.0f;
        for (int32_t m = 0; m < op->memory; m++) sums[f] += w[m] * state[m];
    }
    for (int32_t u = 0; u < op->units; u++) {
        y[u] = 0.0f;
        for (int32_t r = 0; r < op->rank; r++) y[u] += sums[u * op->rank + r];
        if (op->bias != NULL) y[u] += ((const float *)op->bias)[u];
    }
    qb_apply_cell_function(op->function, y, op->units);
}

static void run_float(const qb_step *step)
{
    const svdf *op = step->state;
    const float *x = step->in[0]->data;
    float *state = op->state, *y = step->out[0]->data;
    for (int32_t b = 0; b < op->batch; b++) {
        run_sample(op, x, state, step->scratch, y);
        x += op->in;
        state += (size_t)op->filters * (size_t)op->memory;
        y += op->units;
    }
}

/* Moves the filter's new value into its state; returns Σ w_time·state modulo 2^32. */
static uint32_t run_filter_s8(const svdf *op, const int8_t *x, int32_t zero, const int8_t *feature, const int16_t *time,
                              int16_t *state)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < op->in; i++) sum += feature[i] * (x[i] - zero);
    memmove(state, state + 1, (size_t)(op->memory - 1) * sizeof *state);
    state[op->memory - 1] = (int16_t)qb_clamp(qb_multiply(sum, op->feature_factor), INT16_MIN, INT16_MAX);
    uint32_t total = 0;
    for (int32_t m = 0; m < op->memory; m++) total += (uint32_t)(time[m] * state[m]);
    return total;
}

static void run_s8(const qb_step *step)
{
    const svdf *op = step->state;
    const int32_t *bias = op->bias;
    int8_t *y = step->out[0]->data;
    int16_t *state = op->state;
    for (int32_t b = 0; b < op->batch; b++) {
        const int8_t *x = (const int8_t *)step->in[0]->data + (size_t)b * (size_t)op->in;
        const int8_t *feature = step->in[1]->data;
        const int16_t *time = step->in[2]->data;
        for (int32_t u = 0; u < op->units; u++) {
            uint32_t sum = bias == NULL ? 0 : (uint32_t)bias[u];
            for (int32_t r = 0; r < op->rank; r++) {
                sum += run_filter_s8(op, x, step->in[0]->zero_point, feature, time, state);
                feature += op->in;
                time += op->memory;
                state += op->memory;
            }
            const int32_t scaled = qb_multiply((int32_t)sum, op->time_factor);
            *y++ = (int8_t)qb_clamp(qb_add_wrapping(scaled, step->out[0]->zero_point), INT8_MIN, INT8_MAX);
        }
    }
}

static bool check_shapes(qb_builder *builder, const qb_step *step, svdf *op)
{
    const qb_tensor *x = step->in[0], *feature = step->in[1], *time = step->in[2], *out = step->out[0];
    *op = (svdf){
        .batch = x->dims[0],
        .in = x->dims[1],
        .filters = feature->dims[0],
        .memory = time->dims[1],
        .units = out->dims[1],
        .rank = step->node->options[0],
        .function = step->node->options[1],
        .mode = qb_vector_mode_of(step, step->node->options[2]),
    };
    if (x->rank != 2 || feature->rank != 2 || time->rank != 2 || out->rank != 2 || feature->dims[1] != op->in ||
        time->dims[0] != op->filters || out->dims[0] != op->batch || op->in > 1 << 16 || op->memory < 1 || op->in < 1) {
        return qb_refuse(builder, step, "weights of %d×%d and %d×%d do not fit its input and output", op->filters,
                         feature->dims[1], time->dims[0], op->memory);
    }
    if (op->rank < 1 || op->rank > op->filters || op->units != op->filters / op->rank || op->filters % op->rank != 0) {
        return qb_refuse(builder, step, "%d filters of rank %d are not %d units", op->filters, op->rank, op->units);
    }
    return qb_check_cell_function(builder, step, op->function);
}

static bool prepare_float(qb_builder *builder, qb_step *step, svdf *op)
{
    const size_t taps = (size_t)op->filters * (size_t)op->memory;
    const float *bias;
    if (!qb_check_dtype(builder, step, step->in[0], QB_F32) || !qb_check_dtype(builder, step, step->out[0], QB_F32) ||
        !qb_matrix_input(builder, step, 1, op->filters, op->in, &op->feature) ||
        !qb_weights_input(builder, step, 2, taps, false, &op->time) ||
        !qb_floats_input(builder, step, 3, (size_t)op->units, true, &bias) ||
        !qb_state_input(builder, step, 4, (size_t)op->batch * taps, QB_F32, &op->state)) {
        return false;
    }
    op->bias = bias;
    qb_want_scratch(builder, (size_t)op->filters * sizeof(float) + (size_t)op->in);
    step->run = run_float;
    step->kernel = op->mode.hybrid ? "svdf_hybrid" : "svdf_f32";
    return true;
}

static bool prepare_s8(qb_builder *builder, qb_step *step, svdf *op)
{
    const qb_tensor *x = step->in[0], *feature = step->in[1], *time = step->in[2], *out = step->out[0];
    const qb_tensor *bias = qb_input_or_null(step, 3), *state = qb_input_or_null(step, 4);
    if (!qb_check_dtype(builder, step, x, QB_S8) || !qb_check_dtype(builder, step, feature, QB_S8) ||
        !qb_check_dtype(builder, step, time, QB_S16) || !qb_check_dtype(builder, step, out, QB_S8) ||
        !qb_state_input(builder, step, 4, (size_t)op->batch * (size_t)op->filters * (size_t)op->memory, QB_S16,
                        &op->state) ||
        !qb_check_dtype(builder, step, state, QB_S16)) {
        return false;
    }
    if (op->function != QB_ACT_RELU) return qb_refuse(builder, step, "in int8 its activation must be ReLU");
    if (feature->zero_point != 0 || time->zero_point != 0 || state->zero_point != 0) {
        return qb_refuse(builder, step, "weights and state must have the zero point 0");
    }
    if (bias != NULL && (bias->dtype != QB_S32 || bias->count != (size_t)op->units)) {
        return qb_refuse(builder, step, "the bias '%s' should be %d values of int32", bias->name, op->units);
    }
    op->bias = bias == NULL ? NULL : bias->data;
    op->feature_factor = qb_quantize_multiplier((double)(x->scales[0] * feature->scales[0] / state->scales[0]));
    op->time_factor = qb_quantize_multiplier((double)(state->scales[0] * time->scales[0] / out->scales[0]));
    step->run = run_s8;
    step->kernel = "svdf_s8";
    return true;
}

bool qb_prepare_SVDF(qb_builder *builder, qb_step *step)
{
    if (!qb_check_counts(builder, step, 3, 5) || !qb_check_no_activation(builder, step)) return false;
    svdf *op = qb_alloc(builder, sizeof *op);
    if (op == NULL || !check_shapes(builder, step, op)) return false;
    step->state = op;
    step->macs = (uint64_t)op->batch * (uint64_t)op->filters * (uint64_t)(op->in + op->memory);
    return (step->node->arithmetic == QB_ARITH_INT8 ? prepare_s8 : prepare_float)(builder, step, op);
}
