/* UnidirectionalSequenceLstm: long short-term memory (Hochreiter & Schmidhuber 1997), as TFLite has it; int8: lstm_s8.c.
 *
 *     i, f, o = σ(W·x + R·h [+ P∘c] + bias),  g = act(W·x + R·h + bias)     each with weights of its own
 *     c ← clip(f∘c + i∘g);  y = h ← o∘act(c), or clip(W_p·(o∘act(c)) + bias_p) with a projection
 *
 * P, the peepholes, see the old c for i and f and the new one for o. Without an input gate i = 1 − f. With layer
 * normalization (Ba et al. 2016) the sums without bias have their mean removed and are divided by their standard
 * deviation, then multiplied by coefficients, before the bias is added.
 *
 *     inputs   0 x [batch, time, in], or [time, batch, in] if time-major · 1–4 W of i f g o [cells, in]
 *              5–8 R of i f g o [cells, out] · 9–11 P of i f o [cells] · 12–15 bias of i f g o [cells]
 *              16 W_p [out, cells] · 17 bias_p [out] · 18 h [batch, out] · 19 c [batch, cells]
 *              20–23 coefficients of i f g o [cells]; those that are optional may be left out
 *     options  act, asymmetric inputs if hybrid, time-major;  parameters  clips of c and of the projection, 0: none
 */
#include <math.h>
#include <string.h>

#include "checks.h"
#include "lstm_s8.h"
#include "recurrent.h"

enum { INPUT, FORGET, CANDIDATE, OUTPUT, GATES };

typedef struct gate {
    qb_matrix input, recurrent;
    const float *peephole, *bias, *norm; /* NULL: none */
} gate;

typedef struct lstm {
    int32_t batch, time, in, cells, out;
    bool time_major, has_input_gate, has_projection;
    gate gates[GATES];
    qb_matrix projection;
    const float *projection_bias;
    float cell_clip, projection_clip;
    float *h, *c; /* [batch][out], [batch][cells] */
    int function;
    qb_vector_mode mode;
    size_t quantized_size; /* of one of the three vectors at the end of scratch */
} lstm;

static void normalize(const float *coefficients, const float *bias, float *values, int32_t count)
{
    float sum = 0.0f, squares = 0.0f;
    for (int32_t i = 0; i < count; i++) sum += values[i];
    const float mean = sum / (float)count;
    for (int32_t i = 0; i < count; i++) squares += (values[i] - mean) * (values[i] - mean);
    const float inverse = 1.0f / sqrtf(squares / (float)count + 1e-8f);
    for (int32_t i = 0; i < count; i++) values[i] = (values[i] - mean) * inverse * coefficients[i] + bias[i];
}

static void clip(float limit, float *values, int32_t count)
{
    if (limit <= 0.0f) return;
    for (int32_t i = 0; i < count; i++) values[i] = qb_clamp_f32(values[i], (qb_range_f32){-limit, limit});
}

static void run_gate(const lstm *op, int which, const qb_vector *x, const qb_vector *h, const float *c, float *values)
{
    const gate *g = &op->gates[which];
    const size_t bytes = (size_t)op->cells * sizeof *values;
    if (g->norm != NULL) {
        memset(values, 0, bytes);
    } else {
        memcpy(values, g->bias, bytes);
    }
    qb_matrix_accumulate(&g->input, x, values);
    qb_matrix_accumulate(&g->recurrent, h, values);
    for (int32_t i = 0; g->peephole != NULL && i < op->cells; i++) values[i] += g->peephole[i] * c[i];
    if (g->norm != NULL) normalize(g->norm, g->bias, values, op->cells);
    if (which == CANDIDATE) {
        qb_apply_cell_function(op->function, values, op->cells);
    } else {
        for (int32_t i = 0; i < op->cells; i++) values[i] = 1.0f / (1.0f + expf(-values[i]));
    }
}

/* h from o∘act(c), which is in `values` */
static void project(const lstm *op, const float *values, float *h, int8_t *room)
{
    const size_t bytes = (size_t)op->out * sizeof *h;
    if (!op->has_projection) {
        memcpy(h, values, bytes);
        return;
    }
    if (op->projection_bias != NULL) {
        memcpy(h, op->projection_bias, bytes);
    } else {
        memset(h, 0, bytes);
    }
    const qb_vector vector = qb_vector_of(values, op->cells, op->mode, room);
    qb_matrix_accumulate(&op->projection, &vector, h);
    clip(op->projection_clip, h, op->out);
}

static void run_cell(const lstm *op, const float *x, float *h, float *c, float *scratch)
{
    float *gates[GATES];
    for (int i = 0; i < GATES; i++) gates[i] = scratch + (size_t)i * (size_t)op->cells;
    int8_t *room = (int8_t *)(scratch + (size_t)GATES * (size_t)op->cells);
    const qb_vector input = qb_vector_of(x, op->in, op->mode, room);
    const qb_vector recurrent = qb_vector_of(h, op->out, op->mode, room + op->quantized_size);
    for (int i = op->has_input_gate ? INPUT : FORGET; i < OUTPUT; i++) run_gate(op, i, &input, &recurrent, c, gates[i]);
    for (int32_t i = 0; i < op->cells; i++) {
        const float share = op->has_input_gate ? gates[INPUT][i] : 1.0f - gates[FORGET][i];
        const float kept = gates[FORGET][i] * c[i];
        c[i] = kept + gates[CANDIDATE][i] * share;
    }
    clip(op->cell_clip, c, op->cells);
    run_gate(op, OUTPUT, &input, &recurrent, c, gates[OUTPUT]);
    float *values = gates[CANDIDATE];
    memcpy(values, c, (size_t)op->cells * sizeof *c);
    qb_apply_cell_function(op->function, values, op->cells);
    for (int32_t i = 0; i < op->cells; i++) values[i] *= gates[OUTPUT][i];
    project(op, values, h, room + 2 * op->quantized_size);
}

static void run(const qb_step *step)
{
    const lstm *op = step->state;
    const float *x = step->in[0]->data;
    float *y = step->out[0]->data;
    for (int32_t b = 0; b < op->batch; b++) {
        float *h = op->h + (size_t)b * (size_t)op->out, *c = op->c + (size_t)b * (size_t)op->cells;
        for (int32_t t = 0; t < op->time; t++) {
            const size_t row = op->time_major ? (size_t)t * (size_t)op->batch + (size_t)b
                                              : (size_t)b * (size_t)op->time + (size_t)t;
            run_cell(op, x + row * (size_t)op->in, h, c, step->scratch);
            memcpy(y + row * (size_t)op->out, h, (size_t)op->out * sizeof *h);
        }
    }
}

static bool read_gate(qb_builder *builder, const qb_step *step, const lstm *op, uint32_t which, gate *g)
{
    static const uint32_t peepholes[GATES] = {9, 10, 0, 11}; /* 0: the candidate has none */
    const size_t cells = (size_t)op->cells;
    if (!qb_matrix_input(builder, step, 1 + which, op->cells, op->in, &g->input) ||
        !qb_matrix_input(builder, step, 5 + which, op->cells, op->out, &g->recurrent) ||
        !qb_floats_input(builder, step, 12 + which, cells, false, &g->bias) ||
        !qb_floats_input(builder, step, 20 + which, cells, true, &g->norm)) {
        return false;
    }
    return peepholes[which] == 0 || qb_weights_input(builder, step, peepholes[which], cells, true, &g->peephole);
}

static bool read_gates(qb_builder *builder, const qb_step *step, lstm *op)
{
    for (uint32_t i = op->has_input_gate ? INPUT : FORGET; i < GATES; i++) {
        if (!read_gate(builder, step, op, i, &op->gates[i])) return false;
        if ((op->gates[i].norm == NULL) != (qb_input_or_null(step, 20 + OUTPUT) == NULL)) {
            return qb_refuse(builder, step, "some of its gates have layer normalization and some have not");
        }
    }
    return true;
}

static bool read_states(qb_builder *builder, const qb_step *step, lstm *op)
{
    void *h, *c;
    const size_t batch = (size_t)op->batch;
    if (!qb_state_input(builder, step, 18, batch * (size_t)op->out, QB_F32, &h) ||
        !qb_state_input(builder, step, 19, batch * (size_t)op->cells, QB_F32, &c)) {
        return false;
    }
    op->h = h;
    op->c = c;
    return true;
}

static bool read_projection(qb_builder *builder, const qb_step *step, lstm *op)
{
    op->has_projection = qb_input_or_null(step, 16) != NULL;
    if (!op->has_projection) {
        return op->out == op->cells || qb_refuse(builder, step, "without a projection outputs are cells");
    }
    return qb_matrix_input(builder, step, 16, op->out, op->cells, &op->projection) &&
           qb_floats_input(builder, step, 17, (size_t)op->out, true, &op->projection_bias);
}

/* Sizes from the input and the output gate's weights, and the options. */
static bool begin(qb_builder *builder, const qb_step *step, lstm *op)
{
    const qb_tensor *x = qb_input_or_null(step, 0), *w = qb_input_or_null(step, 4), *r = qb_input_or_null(step, 8);
    const qb_tensor *y = step->out_count == 1 ? step->out[0] : NULL;
    if ((step->in_count != 20 && step->in_count != 24) || x == NULL || w == NULL || r == NULL || y == NULL ||
        x->rank != 3 || y->rank != 3 || x->dtype != QB_F32 || y->dtype != QB_F32) {
        return qb_refuse(builder, step, "has %u inputs and %u outputs, or not the three of float32 and rank 3",
                         step->in_count, step->out_count);
    }
    const qb_node_record *node = step->node;
    op->function = node->options[0];
    op->mode = qb_vector_mode_of(step, node->options[1]);
    op->time_major = node->options[2] != 0;
    op->batch = x->dims[op->time_major ? 1 : 0];
    op->time = x->dims[op->time_major ? 0 : 1];
    op->in = x->dims[2];
    op->cells = w->dims[0];
    op->out = r->dims[1];
    op->cell_clip = node->parameters[0];
    op->projection_clip = node->parameters[1];
    op->has_input_gate = step->in[1] != NULL;
    if (y->dims[0] != x->dims[0] || y->dims[1] != x->dims[1] || y->dims[2] != op->out) {
        return qb_refuse(builder, step, "the output '%s' should be rows of %d floats", y->name, op->out);
    }
    return qb_check_no_activation(builder, step) && qb_check_cell_function(builder, step, op->function);
}

bool qb_prepare_UNIDIRECTIONAL_SEQUENCE_LSTM(qb_builder *builder, qb_step *step)
{
    if (step->node->arithmetic == QB_ARITH_INT8) return qb_prepare_lstm_s8(builder, step);
    lstm *op = qb_alloc(builder, sizeof *op);
    if (op == NULL || !begin(builder, step, op) || !read_gates(builder, step, op) || !read_states(builder, step, op) ||
        !read_projection(builder, step, op)) {
        return false;
    }
    const int32_t wider = op->in > op->out ? op->in : op->out;
    op->quantized_size = (size_t)(wider > op->cells ? wider : op->cells);
    qb_want_scratch(builder, GATES * (size_t)op->cells * sizeof(float) + 3 * op->quantized_size);
    const uint64_t gates = op->has_input_gate ? 4 : 3, cells = (uint64_t)op->cells, out = (uint64_t)op->out;
    const uint64_t macs = gates * cells * ((uint64_t)op->in + out) + (op->has_projection ? cells * out : 0);
    step->macs = (uint64_t)op->batch * (uint64_t)op->time * macs;
    step->state = op;
    step->run = run;
    step->kernel = op->mode.hybrid ? "lstm_hybrid" : "lstm_f32";
    return true;
}
