/* The checks of a model file's records: tensors, nodes, and the order in which values come to be. */
#include <math.h>
#include <stdlib.h>

#include "error.h"
#include "model.h"
#include "ops.h"

size_t qb_dtype_size(uint8_t dtype)
{
    switch (dtype) {
    case QB_F32:
    case QB_S32: return 4;
    case QB_S64: return 8;
    case QB_F16:
    case QB_S16: return 2;
    case QB_S8:
    case QB_U8:
    case QB_BOOL: return 1;
    default: return 0;
    }
}

/* Whether [first, first + count) lies in [0, total). */
static bool spans(uint64_t first, uint64_t count, uint64_t total)
{
    return first <= total && count <= total - first;
}

static const char *text(const qb_model *model, uint32_t offset)
{
    return model->strings + offset;
}

static bool tensor_fails(const qb_model *model, qb_error *error, uint32_t index, const char *what)
{
    return qb_fail(error, "%s: tensor %u '%s': %s", model->path, index, text(model, model->tensors[index].name), what);
}

/* Bytes that the dims and dtype ask for; UINT64_MAX where they are not allowed. Only a constant may be empty. */
static uint64_t size_of_dims(const qb_tensor_record *tensor)
{
    const int32_t smallest = tensor->kind == QB_CONSTANT ? 0 : 1;
    uint64_t size = qb_dtype_size(tensor->dtype);
    for (int i = 0; i < QB_MAX_RANK; i++) {
        const int32_t dim = tensor->dims[i];
        if (dim < smallest || (i >= tensor->rank && dim != 1)) return UINT64_MAX;
        size *= (uint64_t)dim; /* both factors are below 2^31 */
        if (size > QB_MEMORY_LIMIT) return UINT64_MAX;
    }
    return size;
}

/* A quantized tensor's zero point is one of its dtype's values; of the wide dtypes, which are quantized symmetrically
 * or not at all, only 0. */
static bool is_zero_point(uint8_t dtype, int32_t value)
{
    switch (dtype) {
    case QB_S8: return value >= INT8_MIN && value <= INT8_MAX;
    case QB_U8: return value >= 0 && value <= UINT8_MAX;
    case QB_S16: return value >= INT16_MIN && value <= INT16_MAX;
    default: return value == 0;
    }
}

static bool is_never_quantized(uint8_t dtype)
{
    return dtype == QB_F32 || dtype == QB_F16 || dtype == QB_BOOL;
}

/* Bytes of the section or area that holds tensors of this kind. */
static uint64_t room_of(const qb_model *model, uint8_t kind)
{
    switch (kind) {
    case QB_CONSTANT: return model->data_size;
    case QB_VARIABLE: return model->header->state_size;
    default: return model->header->arena_size;
    }
}

static bool check_quantization(const qb_model *model, qb_error *error, uint32_t index)
{
    const qb_tensor_record *tensor = &model->tensors[index];
    const uint32_t count = tensor->quant_count;
    if (!spans(tensor->quant_first, count, model->scale_count)) {
        return tensor_fails(model, error, index, "its quantization lies outside the table");
    }
    const bool per_channel = tensor->quant_axis >= 0;
    const bool fits = per_channel ? tensor->quant_axis < tensor->rank &&
                                        count == (uint32_t)tensor->dims[tensor->quant_axis]
                                  : tensor->quant_axis == -1 && count <= 1;
    if (!fits || (is_never_quantized(tensor->dtype) && count != 0) ||
        (count == 0 && tensor->zero_point != 0)) {
        return tensor_fails(model, error, index, "its number of scales does not fit");
    }
    if (!is_zero_point(tensor->dtype, tensor->zero_point)) {
        return tensor_fails(model, error, index, "its zero point is out of range");
    }
    for (uint32_t i = 0; i < count; i++) {
        const float scale = model->scales[tensor->quant_first + i];
        if (!isfinite(scale) || scale <= 0.0f) {
            return tensor_fails(model, error, index, "a scale is out of range");
        }
    }
    return true;
}

static bool check_tensor(const qb_model *model, qb_error *error, uint32_t index)
{
    const qb_tensor_record *tensor = &model->tensors[index];
    if (tensor->name >= model->strings_size) {
        return qb_fail(error, "%s: tensor %u: its name lies outside the strings", model->path, index);
    }
    if (qb_dtype_size(tensor->dtype) == 0 || tensor->kind > QB_VARIABLE || tensor->rank > QB_MAX_RANK) {
        return tensor_fails(model, error, index, "unknown dtype or kind, or too many dimensions");
    }
    if (tensor->dtype == QB_F16 && tensor->kind != QB_CONSTANT) {
        return tensor_fails(model, error, index, "only constants can be float16");
    }
    if (size_of_dims(tensor) != tensor->size) {
        return tensor_fails(model, error, index, "its size does not follow from its dimensions");
    }
    if (tensor->offset % QB_ALIGNMENT != 0 || !spans(tensor->offset, tensor->size, room_of(model, tensor->kind))) {
        return tensor_fails(model, error, index, "its data lies outside its section or is not aligned");
    }
    return check_quantization(model, error, index);
}

static bool node_fails(const qb_model *model, qb_error *error, uint32_t index, const char *what)
{
    const qb_node_record *node = &model->nodes[index];
    const qb_op *op = qb_op_find(node->op);
    return qb_fail(error, "%s: node %u '%s' (%s): %s", model->path, index, text(model, node->name),
                   op != NULL ? op->name : "unknown op", what);
}

static bool check_node(const qb_model *model, qb_error *error, uint32_t index)
{
    const qb_node_record *node = &model->nodes[index];
    if (node->name >= model->strings_size) {
        return qb_fail(error, "%s: node %u: its name lies outside the strings", model->path, index);
    }
    const qb_op *op = qb_op_find(node->op);
    if (op == NULL) return node_fails(model, error, index, "this runner does not know the op");
    const uint8_t arithmetic = node->arithmetic;
    if (arithmetic == 0 || (arithmetic & (arithmetic - 1)) != 0 || (arithmetic & ~op->arithmetics) != 0) {
        return node_fails(model, error, index, "the op does not have this arithmetic");
    }
    if (node->activation > QB_ACT_RELU_N1_TO_1) return node_fails(model, error, index, "unknown activation");
    if (!spans(node->inputs_first, node->inputs_count, model->link_count) ||
        !spans(node->outputs_first, node->outputs_count, model->link_count) || node->outputs_count == 0) {
        return node_fails(model, error, index, "its inputs or outputs lie outside the links");
    }
    return true;
}

/* Marks the model's inputs as there. `there[t]`: tensor t has its value. */
static bool check_inputs(const qb_model *model, qb_error *error, bool *there)
{
    const qb_model_header *header = model->header;
    if (!spans(header->inputs_first, header->inputs_count, model->link_count) || header->inputs_count == 0 ||
        !spans(header->outputs_first, header->outputs_count, model->link_count) || header->outputs_count == 0) {
        return qb_fail(error, "%s: the model's inputs or outputs are missing or outside the links", model->path);
    }
    for (uint32_t i = 0; i < header->inputs_count; i++) {
        const uint32_t tensor = model->links[header->inputs_first + i];
        if (tensor >= model->tensor_count || there[tensor]) {
            return qb_fail(error, "%s: input %u of the model is no activation or given twice", model->path, i);
        }
        there[tensor] = true;
    }
    return true;
}

/* A node reads what is there by now and writes activations that are not there yet. */
static bool check_edges(const qb_model *model, qb_error *error, uint32_t index, bool *there)
{
    const qb_node_record *node = &model->nodes[index];
    for (uint32_t i = 0; i < node->inputs_count; i++) {
        const uint32_t tensor = model->links[node->inputs_first + i];
        if (tensor != QB_NONE && (tensor >= model->tensor_count || !there[tensor])) {
            return node_fails(model, error, index, "it reads a tensor that nothing has written");
        }
    }
    for (uint32_t i = 0; i < node->outputs_count; i++) {
        const uint32_t tensor = model->links[node->outputs_first + i];
        if (tensor >= model->tensor_count || there[tensor]) {
            return node_fails(model, error, index, "it writes a constant, a variable, an input or a tensor written before");
        }
        there[tensor] = true;
    }
    return true;
}

/* An output shares no memory with an input, but where the op works in place and the two take the same bytes, or where
 * a concatenation moves its inputs to where they belong. */
static bool check_places(const qb_model *model, qb_error *error, uint32_t index)
{
    const qb_node_record *node = &model->nodes[index];
    const bool in_place = (qb_op_find(node->op)->arithmetics & QB_OP_IN_PLACE) != 0;
    if (node->op == QB_OP_CONCATENATION) return true;
    for (uint32_t o = 0; o < node->outputs_count; o++) {
        const qb_tensor_record *out = &model->tensors[model->links[node->outputs_first + o]];
        for (uint32_t i = 0; i < node->inputs_count; i++) {
            const uint32_t tensor = model->links[node->inputs_first + i];
            if (tensor == QB_NONE || model->tensors[tensor].kind != out->kind) continue;
            const qb_tensor_record *in = &model->tensors[tensor];
            const bool apart = in->offset + in->size <= out->offset || out->offset + out->size <= in->offset;
            if (!apart && !(in_place && in->offset == out->offset && in->size == out->size)) {
                return node_fails(model, error, index, "its output lies over an input");
            }
        }
    }
    return true;
}

static bool check_flow(const qb_model *model, qb_error *error, bool *there)
{
    for (uint32_t i = 0; i < model->tensor_count; i++) there[i] = model->tensors[i].kind != QB_ACTIVATION;
    if (!check_inputs(model, error, there)) return false;
    for (uint32_t i = 0; i < model->node_count; i++) {
        if (!check_node(model, error, i) || !check_edges(model, error, i, there) || !check_places(model, error, i)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < model->header->outputs_count; i++) {
        const uint32_t tensor = model->links[model->header->outputs_first + i];
        if (tensor >= model->tensor_count || !there[tensor]) {
            return qb_fail(error, "%s: output %u of the model is written by nothing", model->path, i);
        }
    }
    return true;
}

bool qb_model_check_records(const qb_model *model, qb_error *error)
{
    if (model->header->name >= model->strings_size) {
        return qb_fail(error, "%s: the model's name lies outside the strings", model->path);
    }
    const uint64_t arena_size = model->header->arena_size, state_size = model->header->state_size;
    if (arena_size > QB_MEMORY_LIMIT || state_size > QB_MEMORY_LIMIT) {
        return qb_fail(error, "%s: asks for %llu bytes of activations and %llu of state, more than this runner allows",
                       model->path, (unsigned long long)arena_size, (unsigned long long)state_size);
    }
    for (uint32_t i = 0; i < model->tensor_count; i++) {
        if (!check_tensor(model, error, i)) return false;
    }
    bool *there = calloc(model->tensor_count + 1, sizeof *there);
    if (there == NULL) return qb_fail(error, "%s: out of memory", model->path);
    const bool good = check_flow(model, error, there);
    free(there);
    return good;
}
