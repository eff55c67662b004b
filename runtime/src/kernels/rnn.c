/* Rnn, UnidirectionalSequenceRnn and BidirectionalSequenceRnn: cells whose output is their state.
 *
 *     h ← f(bias + W·x [+ W_aux·x_aux] + R·h);  y = h
 *
 *     inputs of a direction   W [units, in], R [units, units], bias [units], state [batch, units]
 *     sequences               x [batch, time, in], or [time, batch, in] if time-major; the output likewise
 *     bidirectional           x, forward direction, backward direction, [x_aux, [W_aux of both]]: the backward one runs
 *                             from the last step to the first. Its outputs follow the forward one's in the last
 *                             dimension (merged), or are an output of their own
 *     options                 f, asymmetric inputs if hybrid, time-major, merged
 *
 * Two things are as TFLite's kernel of bidirectional sequences does them. Without W_aux the backward direction reads x_aux
 * instead of x if time-major, and else x_aux counts for nothing. And a hybrid sequence that is time-major is run through
 * as many times as it has steps: its state goes from one time to the next, and the last time gives the output.
 */
#include <string.h>

#include "checks.h"
#include "recurrent.h"

typedef struct direction {
    const float *x, *aux; /* NULL: no auxiliary input */
    qb_matrix input, auxiliary, recurrent;
    const float *bias;
    float *state; /* [batch][units] */
    float *y;     /* of the first step's first sample */
    size_t pitch; /* values from one row of y to the next */
} direction;

typedef struct rnn {
    int32_t batch, time;
    bool time_major;
    int32_t passes; /* times that the sequence is run through */
    int function;
    qb_vector_mode mode;
    int directions;
    direction direction[2]; /* forward, backward */
} rnn;

static void add_product(const rnn *op, const qb_matrix *matrix, const float *x, float *sums, int8_t *room)
{
    const qb_vector vector = qb_vector_of(x, matrix->columns, op->mode, room);
    qb_matrix_accumulate(matrix, &vector, sums);
}

static void run_cell(const rnn *op, const direction *d, size_t sample, size_t row, int8_t *room)
{
    const int32_t units = d->recurrent.rows;
    const size_t bytes = (size_t)units * sizeof(float);
    float *state = d->state + sample * (size_t)units, *y = d->y + row * d->pitch;
    memcpy(y, d->bias, bytes);
    add_product(op, &d->input, d->x + row * (size_t)d->input.columns, y, room);
    if (d->aux != NULL) add_product(op, &d->auxiliary, d->aux + row * (size_t)d->auxiliary.columns, y, room);
    add_product(op, &d->recurrent, state, y, room);
    qb_apply_cell_function(op->function, y, units);
    memcpy(state, y, bytes);
}

static void run_sequence(const rnn *op, int d, int32_t sample, int8_t *room)
{
    for (int32_t i = 0; i < op->time; i++) {
        const int32_t t = d == 0 ? i : op->time - 1 - i;
        const size_t row = op->time_major ? (size_t)t * (size_t)op->batch + (size_t)sample
                                          : (size_t)sample * (size_t)op->time + (size_t)t;
        run_cell(op, &op->direction[d], (size_t)sample, row, room);
    }
}

static void run(const qb_step *step)
{
    const rnn *op = step->state;
    for (int d = 0; d < op->directions; d++) {
        for (int32_t b = 0; b < op->batch; b++) {
            for (int32_t pass = 0; pass < op->passes; pass++) run_sequence(op, d, b, step->scratch);
        }
    }
}

/* Reads W, R, bias and state from four inputs on. */
static bool read_direction(qb_builder *builder, qb_step *step, const rnn *op, uint32_t first, const qb_tensor *x,
                           direction *d)
{
    const qb_tensor *weights = qb_input_or_null(step, first);
    const int32_t units = weights == NULL ? 0 : weights->dims[0], depth = x->dims[x->rank - 1];
    void *state;
    if (!qb_matrix_input(builder, step, first, units, depth, &d->input) ||
        !qb_matrix_input(builder, step, first + 1, units, units, &d->recurrent) ||
        !qb_floats_input(builder, step, first + 2, (size_t)units, false, &d->bias) ||
        !qb_state_input(builder, step, first + 3, (size_t)op->batch * (size_t)units, QB_F32, &state)) {
        return false;
    }
    d->x = x->data;
    d->state = state;
    qb_want_scratch(builder, (size_t)(depth > units ? depth : units));
    step->macs += (uint64_t)op->batch * (uint64_t)op->time * (uint64_t)units * (uint64_t)(depth + units);
    return true;
}

/* The output has a row of `width` values for each step of each sample. */
static bool check_output(qb_builder *builder, const qb_step *step, const qb_tensor *x, uint32_t index, int32_t width)
{
    const qb_tensor *out = step->out[index];
    const bool rows = out->rank == x->rank && memcmp(out->dims, x->dims, (size_t)(x->rank - 1) * sizeof *x->dims) == 0;
    if (rows && out->dims[out->rank - 1] == width && out->dtype == QB_F32) return true;
    return qb_refuse(builder, step, "the output '%s' should be rows of %d floats", out->name, width);
}

/* What all three have; `rank` of the input tells sequences from single steps. */
static rnn *begin(qb_builder *builder, qb_step *step, int rank, uint32_t inputs, uint32_t outputs)
{
    const qb_tensor *x = qb_input_or_null(step, 0);
    if (step->in_count != inputs || step->out_count != outputs || x == NULL || x->rank != rank || x->dtype != QB_F32) {
        qb_refuse(builder, step, "should have %u inputs, the first of them float32 of rank %d, and %u outputs", inputs,
                  rank, outputs);
        return NULL;
    }
    if (!qb_check_no_activation(builder, step)) return NULL;
    rnn *op = qb_alloc(builder, sizeof *op);
    if (op == NULL) return NULL;
    const int32_t *options = step->node->options;
    op->function = options[0];
    op->mode = qb_vector_mode_of(step, options[1]);
    op->time_major = rank == 3 && options[2] != 0;
    op->batch = x->dims[op->time_major ? 1 : 0];
    op->time = rank == 3 ? x->dims[op->time_major ? 0 : 1] : 1;
    op->passes = 1;
    step->state = op;
    step->run = run;
    step->kernel = op->mode.hybrid ? "rnn_hybrid" : "rnn_f32";
    return qb_check_cell_function(builder, step, op->function) ? op : NULL;
}

static bool prepare_one_direction(qb_builder *builder, qb_step *step, int rank)
{
    rnn *op = begin(builder, step, rank, 5, 1);
    if (op == NULL) return false;
    direction *d = &op->direction[0];
    const qb_tensor *x = step->in[0];
    if (!read_direction(builder, step, op, 1, x, d) || !check_output(builder, step, x, 0, d->recurrent.rows)) return false;
    op->directions = 1;
    d->y = step->out[0]->data;
    d->pitch = (size_t)d->recurrent.rows;
    return true;
}

bool qb_prepare_RNN(qb_builder *builder, qb_step *step)
{
    return prepare_one_direction(builder, step, 2);
}

bool qb_prepare_UNIDIRECTIONAL_SEQUENCE_RNN(qb_builder *builder, qb_step *step)
{
    return prepare_one_direction(builder, step, 3);
}

/* The auxiliary input, which both directions add, each with weights of its own. */
static bool read_auxiliary(qb_builder *builder, const qb_step *step, const qb_tensor *aux, rnn *op)
{
    for (uint32_t i = 0; i < 2; i++) {
        direction *d = &op->direction[i];
        if (!qb_matrix_input(builder, step, 10 + i, d->recurrent.rows, aux->dims[2], &d->auxiliary)) return false;
        d->aux = aux->data;
    }
    qb_want_scratch(builder, (size_t)aux->dims[2]);
    return true;
}

bool qb_prepare_BIDIRECTIONAL_SEQUENCE_RNN(qb_builder *builder, qb_step *step)
{
    const bool merged = step->node->options[3] != 0;
    rnn *op = begin(builder, step, 3, 12, merged ? 1 : 2);
    if (op == NULL) return false;
    const qb_tensor *x = step->in[0], *aux = step->in[9];
    const bool weighted = step->in[10] != NULL || step->in[11] != NULL;
    if (aux != NULL && (aux->rank != 3 || aux->dims[0] != x->dims[0] || aux->dims[1] != x->dims[1] ||
                        aux->dtype != QB_F32)) {
        return qb_refuse(builder, step, "the auxiliary input '%s' does not run beside the input", aux->name);
    }
    if (aux == NULL && weighted) return qb_refuse(builder, step, "has weights for an auxiliary input it lacks");
    direction *forward = &op->direction[0], *backward = &op->direction[1];
    if (!read_direction(builder, step, op, 1, x, forward) ||
        !read_direction(builder, step, op, 5, aux != NULL && !weighted && op->time_major ? aux : x, backward) ||
        (weighted && !read_auxiliary(builder, step, aux, op))) {
        return false;
    }
    op->directions = 2;
    op->passes = op->mode.hybrid && op->time_major ? op->time : 1;
    step->macs *= (uint64_t)op->passes;
    const int32_t ahead = forward->recurrent.rows, back = backward->recurrent.rows;
    if (!check_output(builder, step, x, 0, merged ? ahead + back : ahead)) return false;
    if (!merged && !check_output(builder, step, x, 1, back)) return false;
    forward->y = step->out[0]->data;
    backward->y = merged ? forward->y + ahead : step->out[1]->data;
    forward->pitch = (size_t)(merged ? ahead + back : ahead);
    backward->pitch = (size_t)(merged ? ahead + back : back);
    return true;
}
