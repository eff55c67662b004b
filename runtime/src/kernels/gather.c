/* Gather and GatherNd: indices, known only when the network runs, pick slices of the input.
 *
 *     gather      out[b…][o…][i…][s…] = in[b…][o…][indices[b…][i…]][s…]
 *     gather nd   out[i…][s…]         = in[indices[i…][0]][indices[i…][1]]…[s…]
 *
 * An index out of range reads the nearest: values in the arena never become addresses unchecked.
 */
#include <string.h>

#include "checks.h"

typedef struct gather {
    size_t batches, outer; /* b and o */
    size_t rows;           /* i: slices picked for each of these */
    int depth;             /* indices that make up one place */
    size_t lengths[QB_MAX_RANK], strides[QB_MAX_RANK]; /* [depth]: bounds of the indices, and their steps in bytes */
    size_t slice; /* s, in bytes */
} gather;

/* Bytes from the start of what is picked from to the place that `depth` indices from number `at` name. */
static size_t place(const gather *op, const qb_tensor *indices, size_t at)
{
    size_t offset = 0;
    for (int d = 0; d < op->depth; d++) {
        const int64_t index = qb_index_at(indices, at + (size_t)d);
        const size_t last = op->lengths[d] - 1;
        offset += (index < 0 ? 0 : (uint64_t)index > last ? last : (size_t)index) * op->strides[d];
    }
    return offset;
}

static void run(const qb_step *step)
{
    const gather *op = step->state;
    const char *in = step->in[0]->data;
    char *out = step->out[0]->data;
    const size_t window = step->in[0]->size / op->batches / op->outer;
    for (size_t b = 0; b < op->batches; b++) {
        for (size_t o = 0; o < op->outer; o++, in += window) {
            for (size_t i = 0; i < op->rows; i++, out += op->slice) {
                memcpy(out, in + place(op, step->in[1], (b * op->rows + i) * (size_t)op->depth), op->slice);
            }
        }
    }
}

static bool check_tensors(qb_builder *builder, const qb_step *step)
{
    if (!qb_check_counts(builder, step, 2, 2) || !qb_check_no_activation(builder, step)) return false;
    const qb_tensor *in = step->in[0], *indices = step->in[1];
    if (in->dtype != step->out[0]->dtype) return qb_refuse(builder, step, "input and output differ in dtype");
    if (in->count == 0 || (indices->dtype != QB_S32 && indices->dtype != QB_S64)) {
        return qb_refuse(builder, step, "'%s' and '%s' are no values and indices", in->name, indices->name);
    }
    return true;
}

/* Appends dimensions [from, to) of a tensor to those that the output must have. */
static void expect(int32_t dims[3 * QB_MAX_RANK], int *rank, const qb_tensor *tensor, int from, int to)
{
    for (int d = from; d < to; d++) dims[(*rank)++] = tensor->dims[d];
}

static bool check_output(qb_builder *builder, const qb_step *step, const int32_t *dims, int rank)
{
    const qb_tensor *out = step->out[0];
    if (rank == out->rank && memcmp(dims, out->dims, (size_t)rank * sizeof *dims) == 0) return true;
    return qb_refuse(builder, step, "input and indices do not lead to the output's shape");
}

static size_t product(const qb_tensor *tensor, int from, int to)
{
    size_t count = 1;
    for (int d = from; d < to; d++) count *= (size_t)tensor->dims[d];
    return count;
}

static bool finish(qb_step *step, gather *op)
{
    step->state = op;
    step->run = run;
    step->kernel = "gather";
    return true;
}

bool qb_prepare_GATHER(qb_builder *builder, qb_step *step)
{
    if (!check_tensors(builder, step)) return false;
    const qb_tensor *in = step->in[0], *indices = step->in[1];
    const int axis = step->node->axis, batch = step->node->options[0];
    if (batch < 0 || batch > axis || axis >= in->rank || batch > indices->rank ||
        memcmp(in->dims, indices->dims, (size_t)batch * sizeof *in->dims) != 0) {
        return qb_refuse(builder, step, "there is no axis %d after %d batches", axis, batch);
    }
    int32_t dims[3 * QB_MAX_RANK];
    int rank = 0;
    expect(dims, &rank, in, 0, axis);
    expect(dims, &rank, indices, batch, indices->rank);
    expect(dims, &rank, in, axis + 1, in->rank);
    gather *op = qb_alloc(builder, sizeof *op);
    if (op == NULL || !check_output(builder, step, dims, rank)) return false;
    const size_t slice = product(in, axis + 1, in->rank) * (in->size / in->count);
    *op = (gather){
        .batches = product(in, 0, batch),
        .outer = product(in, batch, axis),
        .rows = product(indices, batch, indices->rank),
        .depth = 1,
        .lengths = {(size_t)in->dims[axis]},
        .strides = {slice},
        .slice = slice,
    };
    return finish(step, op);
}

bool qb_prepare_GATHER_ND(qb_builder *builder, qb_step *step)
{
    if (!check_tensors(builder, step)) return false;
    const qb_tensor *in = step->in[0], *indices = step->in[1];
    const int last = indices->rank - 1;
    if (last < 0 || indices->dims[last] > in->rank) {
        return qb_refuse(builder, step, "the indices do not point into the input");
    }
    const int depth = indices->dims[last];
    int32_t dims[3 * QB_MAX_RANK];
    int rank = 0;
    expect(dims, &rank, indices, 0, last);
    expect(dims, &rank, in, depth, in->rank);
    gather *op = qb_alloc(builder, sizeof *op);
    if (op == NULL || !check_output(builder, step, dims, rank)) return false;
    op->batches = op->outer = 1;
    op->rows = product(indices, 0, last);
    op->depth = depth;
    op->slice = product(in, depth, in->rank) * (in->size / in->count);
    size_t stride = op->slice;
    for (int d = depth - 1; d >= 0; d--) {
        op->lengths[d] = (size_t)in->dims[d];
        op->strides[d] = stride;
        stride *= op->lengths[d];
    }
    return finish(step, op);
}
