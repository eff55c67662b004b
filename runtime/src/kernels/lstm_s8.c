/* The integer LSTM of TFLite ("8x8_16"); inputs as in lstm.c, without peepholes, projection and layer normalization.
 *
 *     gate  = sat16(sat16(rescale(bias + Σ W·(x − z_x))) + rescale(Σ R·(h − z_h)))          in Q3.12
 *     c     ← clip(sat16((f·c >> 15) + (i·g >> (30 + log2(s_c)))))                           i, f, o, g in Q0.15
 *     y = h ← clamp(rescale(o·tanh(c)) + z_h, -128, 127)
 *
 * x, W, R, h and y are int8, the biases int32, c int16 with a scale that is a power of two. Shifts round to nearest.
 */
#include "lstm_s8.h"

#include <string.h>

#include "../requantize.h"
#include "checks.h"
#include "fixed_s16.h"
#include "recurrent.h"

enum { INPUT, FORGET, CANDIDATE, OUTPUT, GATES };
enum { MOST_COLUMNS = 1 << 16 };

typedef struct gate {
    const int8_t *input, *recurrent; /* [cells][in], [cells][cells] */
    const int32_t *bias;
    qb_multiplier input_factor, recurrent_factor;
} gate;

typedef struct lstm {
    int32_t batch, time, in, cells;
    bool time_major, has_input_gate;
    gate gates[GATES];
    int32_t input_zero, hidden_zero;
    int8_t *h;
    int16_t *c;
    int16_t cell_clip; /* 0: none */
    int scale_exponent; /* of c */
    qb_multiplier hidden_factor;
} lstm;

static int32_t dot(const int8_t *w, const int8_t *x, int32_t zero, int32_t count)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < count; i++) sum += w[i] * (x[i] - zero);
    return sum;
}

static int16_t saturate(int32_t value)
{
    return (int16_t)qb_clamp(value, INT16_MIN, INT16_MAX);
}

static int16_t gate_sum(const lstm *op, const gate *g, const int8_t *x, const int8_t *h, int32_t cell)
{
    const int8_t *w = g->input + (size_t)cell * (size_t)op->in, *r = g->recurrent + (size_t)cell * (size_t)op->cells;
    const int32_t from_input = qb_add_wrapping(dot(w, x, op->input_zero, op->in), g->bias[cell]);
    const int32_t first = saturate(qb_multiply(from_input, g->input_factor));
    const int32_t second = qb_multiply(dot(r, h, op->hidden_zero, op->cells), g->recurrent_factor);
    return saturate((int32_t)qb_clamp(second, -65536, 65535) + first);
}

/* a·b / 2^shift, as many bits as 16 hold */
static int16_t product(int16_t a, int16_t b, int shift)
{
    return (int16_t)qb_rounding_shift_right((int32_t)a * b, shift);
}

static void run_cell(const lstm *op, const int8_t *x, int8_t *h, int16_t *c, int8_t *next)
{
    for (int32_t i = 0; i < op->cells; i++) {
        const int16_t forget = qb_logistic_s16(gate_sum(op, &op->gates[FORGET], x, h, i));
        const int16_t candidate = qb_tanh_s16(gate_sum(op, &op->gates[CANDIDATE], x, h, i), 3);
        const int16_t output = qb_logistic_s16(gate_sum(op, &op->gates[OUTPUT], x, h, i));
        const int16_t share = op->has_input_gate ? qb_logistic_s16(gate_sum(op, &op->gates[INPUT], x, h, i))
                                                 : (int16_t)(INT16_MAX - forget);
        const int16_t kept = product(forget, c[i], 15), added = product(share, candidate, 30 + op->scale_exponent);
        c[i] = saturate(kept + added);
        if (op->cell_clip > 0) c[i] = (int16_t)qb_clamp(c[i], -op->cell_clip, op->cell_clip);
        const int32_t value = (int32_t)output * qb_tanh_s16(c[i], 15 + op->scale_exponent);
        const int32_t scaled = qb_add_wrapping(qb_multiply(value, op->hidden_factor), op->hidden_zero);
        next[i] = (int8_t)qb_clamp(scaled, INT8_MIN, INT8_MAX);
    }
    memcpy(h, next, (size_t)op->cells);
}

static void run(const qb_step *step)
{
    const lstm *op = step->state;
    const int8_t *x = step->in[0]->data;
    int8_t *y = step->out[0]->data;
    const size_t cells = (size_t)op->cells;
    for (int32_t b = 0; b < op->batch; b++) {
        int8_t *h = op->h + (size_t)b * cells;
        for (int32_t t = 0; t < op->time; t++) {
            const size_t row = op->time_major ? (size_t)t * (size_t)op->batch + (size_t)b
                                              : (size_t)b * (size_t)op->time + (size_t)t;
            run_cell(op, x + row * (size_t)op->in, h, op->c + (size_t)b * cells, step->scratch);
            memcpy(y + row * cells, h, cells);
        }
    }
}

static bool read_matrix(qb_builder *builder, const qb_step *step, uint32_t index, int32_t rows, int32_t columns,
                        const int8_t **values)
{
    const qb_tensor *tensor = qb_input_or_null(step, index);
    if (tensor == NULL || tensor->rank != 2 || tensor->dims[0] != rows || tensor->dims[1] != columns ||
        columns > MOST_COLUMNS) {
        return qb_refuse(builder, step, "input %u should be weights of %d×%d", index, rows, columns);
    }
    if (tensor->zero_point != 0) return qb_refuse(builder, step, "weights '%s' have a zero point", tensor->name);
    *values = tensor->data;
    return qb_check_dtype(builder, step, tensor, QB_S8);
}

static bool read_gate(qb_builder *builder, const qb_step *step, const lstm *op, uint32_t which, gate *g)
{
    const qb_tensor *bias = qb_input_or_null(step, 12 + which);
    if (!read_matrix(builder, step, 1 + which, op->cells, op->in, &g->input) ||
        !read_matrix(builder, step, 5 + which, op->cells, op->cells, &g->recurrent)) {
        return false;
    }
    if (bias == NULL || bias->dtype != QB_S32 || bias->count != (size_t)op->cells) {
        return qb_refuse(builder, step, "input %u should be a bias of %d values of int32", 12 + which, op->cells);
    }
    g->bias = bias->data;
    const float unit = 1.0f / 4096.0f; /* of Q3.12 */
    const float in = step->in[1 + which]->scales[0] * step->in[0]->scales[0] / unit;
    const float recurrent = step->in[5 + which]->scales[0] * step->in[18]->scales[0] / unit;
    g->input_factor = qb_quantize_multiplier((double)in);
    g->recurrent_factor = qb_quantize_multiplier((double)recurrent);
    return true;
}

static bool read_states(qb_builder *builder, const qb_step *step, lstm *op)
{
    void *h, *c;
    const size_t count = (size_t)op->batch * (size_t)op->cells;
    if (!qb_state_input(builder, step, 18, count, QB_S8, &h) || !qb_state_input(builder, step, 19, count, QB_S16, &c) ||
        !qb_check_dtype(builder, step, step->in[18], QB_S8) || !qb_check_dtype(builder, step, step->in[19], QB_S16)) {
        return false;
    }
    const float scale = step->in[19]->scales[0];
    int exponent;
    const bool power = frexpf(scale, &exponent) == 0.5f;
    op->scale_exponent = exponent - 1;
    if (!power || op->scale_exponent < -15 || op->scale_exponent > -9 || step->in[19]->zero_point != 0) {
        return qb_refuse(builder, step, "the cell's scale %g should be a power of two from 2^-15 to 2^-9", (double)scale);
    }
    if (!qb_same_quantization(step->in[18], step->out[0])) {
        return qb_refuse(builder, step, "state and output differ in quantization");
    }
    op->h = h;
    op->c = c;
    op->hidden_zero = step->in[18]->zero_point;
    const double clip = (double)(step->node->parameters[0] / scale);
    op->cell_clip = (int16_t)(clip >= 32767.0 ? 32767.0 : clip > 0.0 ? clip : 0.0);
    op->hidden_factor = qb_quantize_multiplier((double)(float)(0x1p-15 / (double)step->out[0]->scales[0] * 0x1p-15));
    return true;
}

static bool begin(qb_builder *builder, const qb_step *step, lstm *op)
{
    const qb_tensor *x = qb_input_or_null(step, 0), *w = qb_input_or_null(step, 4);
    const qb_tensor *y = step->out_count == 1 ? step->out[0] : NULL;
    if (step->in_count < 20 || x == NULL || w == NULL || y == NULL || x->rank != 3 || y->rank != 3 ||
        y->dims[0] != x->dims[0] || y->dims[1] != x->dims[1] || y->dims[2] != w->dims[0]) {
        return qb_refuse(builder, step, "its input, output and weights do not fit");
    }
    for (uint32_t i = 9; i < step->in_count; i++) {
        const bool unknown = i < 12 || i == 16 || i == 17 || i >= 20;
        if (unknown && step->in[i] != NULL) {
            return qb_refuse(builder, step, "in int8 it has no peepholes, projection or layer normalization");
        }
    }
    op->time_major = step->node->options[2] != 0;
    op->batch = x->dims[op->time_major ? 1 : 0];
    op->time = x->dims[op->time_major ? 0 : 1];
    op->in = x->dims[2];
    op->cells = w->dims[0];
    op->input_zero = x->zero_point;
    op->has_input_gate = step->in[1] != NULL;
    if (step->node->options[0] != QB_CELL_TANH) return qb_refuse(builder, step, "in int8 its cells have tanh alone");
    return qb_check_no_activation(builder, step) && qb_check_dtype(builder, step, x, QB_S8) &&
           qb_check_dtype(builder, step, y, QB_S8);
}

bool qb_prepare_lstm_s8(qb_builder *builder, qb_step *step)
{
    lstm *op = qb_alloc(builder, sizeof *op);
    if (op == NULL || !begin(builder, step, op) || !read_states(builder, step, op)) return false;
    for (uint32_t i = op->has_input_gate ? INPUT : FORGET; i < GATES; i++) {
        if (!read_gate(builder, step, op, i, &op->gates[i])) return false;
    }
    qb_want_scratch(builder, (size_t)op->cells);
    const uint64_t gates = op->has_input_gate ? 4 : 3, cells = (uint64_t)op->cells;
    step->macs = (uint64_t)op->batch * (uint64_t)op->time * gates * cells * ((uint64_t)op->in + cells);
    step->state = op;
    step->run = run;
    step->kernel = "lstm_s8";
    return true;
}
