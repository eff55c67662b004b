/* EmbeddingLookup: rows of a table, by index. int8 rows become real values where the output is float. As in Gather an
 * index out of range reads the nearest. */
#include <string.h>

#include "checks.h"

static size_t row_of(const qb_step *step, size_t i)
{
    const int64_t index = qb_index_at(step->in[0], i), last = step->in[1]->dims[0] - 1;
    return (size_t)(index < 0 ? 0 : index > last ? last : index);
}

static void copy(const qb_step *step)
{
    const qb_tensor *table = step->in[1];
    const size_t row = table->size / (size_t)table->dims[0];
    char *out = step->out[0]->data;
    for (size_t i = 0; i < step->in[0]->count; i++) {
        memcpy(out + i * row, (const char *)table->data + row_of(step, i) * row, row);
    }
}

static void dequantize(const qb_step *step)
{
    const qb_tensor *table = step->in[1];
    const size_t row = table->count / (size_t)table->dims[0];
    const double scale = (double)table->scales[0];
    float *out = step->out[0]->data;
    for (size_t i = 0; i < step->in[0]->count; i++) {
        const int8_t *values = (const int8_t *)table->data + row_of(step, i) * row;
        for (size_t j = 0; j < row; j++) *out++ = (float)(values[j] * scale);
    }
}

bool qb_prepare_EMBEDDING_LOOKUP(qb_builder *builder, qb_step *step)
{
    if (!qb_check_counts(builder, step, 2, 2) || !qb_check_no_activation(builder, step)) return false;
    const qb_tensor *indices = step->in[0], *table = step->in[1], *out = step->out[0];
    const bool hybrid = step->node->arithmetic == QB_ARITH_HYBRID;
    if (indices->rank != 1 || (indices->dtype != QB_S32 && indices->dtype != QB_S64)) {
        return qb_refuse(builder, step, "'%s' is no list of indices", indices->name);
    }
    if (table->rank < 2 || table->count == 0 || out->rank != table->rank || out->dims[0] != indices->dims[0] ||
        memcmp(out->dims + 1, table->dims + 1, (size_t)(table->rank - 1) * sizeof *out->dims) != 0) {
        return qb_refuse(builder, step, "table and indices do not lead to the output's shape");
    }
    if (hybrid) {
        if (!qb_check_dtype(builder, step, table, QB_S8) || !qb_check_dtype(builder, step, out, QB_F32)) return false;
        if (table->zero_point != 0) return qb_refuse(builder, step, "'%s' has a zero point", table->name);
    } else if (table->dtype != out->dtype) {
        return qb_refuse(builder, step, "table and output differ in dtype");
    }
    step->run = hybrid ? dequantize : copy;
    step->kernel = hybrid ? "embedding_lookup_hybrid" : "embedding_lookup";
    return true;
}
