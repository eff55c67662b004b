/* From a checked model to steps that run: memory, tensors, one prepare per node.
 *
 * Start reading at qb_session_create, then qb_session_run.
 */
#include "executor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "constants.h"
#include "error.h"
#include "expansion.h"
#include "ops.h"

/* What prepare functions talk to while a session is built. */
struct qb_builder {
    qb_session *session;
    qb_error *error;
    size_t scratch_size;
};

enum { LARGE_MODEL = 16 << 20 }; /* bytes of a file whose constants are worth huge pages */

void *qb_alloc(qb_builder *builder, size_t bytes)
{
    qb_session *session = builder->session;
    const bool large = session->model->size >= LARGE_MODEL;
    void *memory = (large ? qb_memory_take : qb_memory_alloc)(&session->memory, bytes);
    if (memory == NULL) {
        qb_fail(builder->error, "%s: out of memory for another %zu bytes", session->model->path, bytes);
    }
    return memory;
}

void qb_want_scratch(qb_builder *builder, size_t bytes)
{
    if (bytes > builder->scratch_size) builder->scratch_size = bytes;
}

bool qb_refuse(qb_builder *builder, const qb_step *step, const char *format, ...)
{
    const qb_session *session = builder->session;
    char reason[256];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    return qb_fail(builder->error, "%s: node %td '%s' (%s): %s", session->model->path, step - session->steps,
                   step->name, qb_op_find(step->node->op)->name, reason);
}

const struct qb_isa *qb_builder_isa(const qb_builder *builder)
{
    return &builder->session->isa;
}

static void fill_tensor(qb_tensor *tensor, const qb_model *model, const qb_tensor_record *record, uint8_t *arena,
                        uint8_t *state)
{
    tensor->name = model->strings + record->name;
    tensor->rank = record->rank;
    tensor->dtype = record->dtype;
    tensor->kind = record->kind;
    tensor->size = (size_t)record->size;
    tensor->count = tensor->size / qb_dtype_size(record->dtype);
    for (int i = 0; i < QB_MAX_RANK; i++) tensor->dims[i] = record->dims[i];
    tensor->quant_count = record->quant_count;
    tensor->quant_axis = record->quant_axis;
    tensor->scales = model->scales + record->quant_first;
    tensor->zero_point = record->zero_point;
    /* Kernels never write to the file's constants: no node has one as its output (model_check.c). */
    const uint8_t *base = record->kind == QB_CONSTANT ? model->data : record->kind == QB_VARIABLE ? state : arena;
    tensor->data = (void *)(uintptr_t)(base + record->offset);
}

/* Pointers to the tensors that `count` links from `first` name; NULL for a link left out. */
static void fill_links(qb_session *session, qb_tensor **pointers, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t tensor = session->model->links[first + i];
        pointers[i] = tensor == QB_NONE ? NULL : &session->tensors[tensor];
    }
}

static void fill_steps(qb_session *session, qb_tensor **pointers)
{
    const qb_model *model = session->model;
    for (uint32_t i = 0; i < model->node_count; i++) {
        const qb_node_record *node = &model->nodes[i];
        qb_step *step = &session->steps[i];
        step->node = node;
        step->name = model->strings + node->name;
        step->in_count = node->inputs_count;
        step->out_count = node->outputs_count;
        step->in = pointers;
        pointers += node->inputs_count;
        step->out = pointers;
        pointers += node->outputs_count;
        fill_links(session, step->in, node->inputs_first, node->inputs_count);
        fill_links(session, step->out, node->outputs_first, node->outputs_count);
    }
}

/* How many tensor pointers all steps and the model itself hold. Nodes may share links, so this can exceed their number. */
static uint64_t count_pointers(const qb_model *model)
{
    uint64_t count = (uint64_t)model->header->inputs_count + model->header->outputs_count;
    for (uint32_t i = 0; i < model->node_count; i++) {
        count += (uint64_t)model->nodes[i].inputs_count + model->nodes[i].outputs_count;
    }
    return count;
}

static bool allocate(qb_session *session, qb_error *error)
{
    const qb_model *model = session->model;
    const qb_model_header *header = model->header;
    const uint64_t pointer_count = count_pointers(model);
    const uint64_t tensors_size = (uint64_t)model->tensor_count * sizeof *session->tensors;
    const uint64_t steps_size = (uint64_t)model->node_count * sizeof *session->steps;
    qb_tensor **pointers = NULL;
    uint8_t *arena = NULL, *state = NULL;
    if (tensors_size <= QB_MEMORY_LIMIT && steps_size <= QB_MEMORY_LIMIT &&
        pointer_count <= QB_MEMORY_LIMIT / sizeof *pointers) {
        session->tensors = qb_memory_alloc(&session->memory, (size_t)tensors_size);
        session->steps = qb_memory_alloc(&session->memory, (size_t)steps_size);
        pointers = qb_memory_alloc(&session->memory, (size_t)pointer_count * sizeof *pointers);
        arena = qb_memory_alloc(&session->memory, (size_t)header->arena_size);
        state = qb_memory_alloc(&session->memory, (size_t)header->state_size);
    }
    if (session->tensors == NULL || session->steps == NULL || pointers == NULL || arena == NULL || state == NULL) {
        return qb_fail(error, "%s: out of memory for %llu bytes of activations and state", model->path,
                       (unsigned long long)(header->arena_size + header->state_size));
    }
    for (uint32_t i = 0; i < model->tensor_count; i++) {
        fill_tensor(&session->tensors[i], model, &model->tensors[i], arena, state);
    }
    session->inputs = pointers;
    fill_links(session, session->inputs, header->inputs_first, header->inputs_count);
    session->outputs = session->inputs + header->inputs_count;
    fill_links(session, session->outputs, header->outputs_first, header->outputs_count);
    fill_steps(session, session->outputs + header->outputs_count);
    return true;
}

static bool reads_constants_only(const qb_step *step)
{
    for (uint32_t i = 0; i < step->in_count; i++) {
        if (step->in[i] != NULL && step->in[i]->kind != QB_CONSTANT) return false;
    }
    return true;
}

static void do_nothing(const qb_step *step)
{
    (void)step;
}

static void finish_at_load(qb_step *step)
{
    step->run = do_nothing;
    step->kernel = "at_load";
    step->macs = 0;
}

/* Computes a step now and for good. Its outputs leave the arena, which other steps overwrite, and are constants from
 * here on: weights that the file keeps as int8 and a Dequantize are packed like any others. */
static bool run_once(qb_builder *builder, qb_step *step, size_t scratch_size)
{
    for (uint32_t i = 0; i < step->out_count; i++) {
        qb_tensor *out = step->out[i];
        out->data = qb_alloc(builder, out->size);
        if (out->data == NULL) return false;
        out->kind = QB_CONSTANT;
    }
    step->scratch = qb_alloc(builder, scratch_size);
    if (step->scratch == NULL) return false;
    step->run(step);
    finish_at_load(step);
    return true;
}

static bool prepare_step(qb_builder *builder, qb_step *step)
{
    const size_t wished_before = builder->scratch_size;
    builder->scratch_size = 0;
    if (!qb_op_find(step->node->op)->prepare(builder, step)) return false;
    if (qb_expansion_defer(step)) {
        finish_at_load(step);
    } else if (reads_constants_only(step)) {
        if (!run_once(builder, step, builder->scratch_size)) return false;
        builder->scratch_size = 0;
    }
    qb_want_scratch(builder, wished_before);
    return true;
}

/* Lets each op prepare its node. */
static bool prepare_steps(qb_builder *builder, qb_constants *constants)
{
    qb_session *session = builder->session;
    qb_expansion_plan(session);
    for (uint32_t i = 0; i < session->model->node_count; i++) {
        qb_constants_take(constants, &session->steps[i]);
        if (!prepare_step(builder, &session->steps[i])) return false;
        qb_constants_release(constants);
    }
    return true;
}

/* Prepares the steps, then gives all of them one scratch area as large as the largest wish. A file that is damaged may be
 * refused for what the damage did: then its checksum says so. */
static bool prepare(qb_session *session, qb_error *error)
{
    qb_builder builder = {.session = session, .error = error};
    qb_constants constants = {.model = session->model};
    const bool prepared = prepare_steps(&builder, &constants);
    if (!qb_constants_finish(&constants, error) || !prepared) return false;
    void *scratch = qb_alloc(&builder, builder.scratch_size);
    if (scratch == NULL) return false;
    for (uint32_t i = 0; i < session->model->node_count; i++) session->steps[i].scratch = scratch;
    return true;
}

qb_session *qb_session_create(const qb_model *model, const char *isa, qb_error *error)
{
    qb_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        qb_fail(error, "%s: out of memory", model->path);
        return NULL;
    }
    session->model = model;
    const char *refusal = qb_isa_choose(isa, &session->isa);
    if (refusal != NULL) qb_fail(error, "ISA variant '%s': %s", isa, refusal);
    if (refusal != NULL || !allocate(session, error) || !prepare(session, error)) {
        qb_session_destroy(session);
        return NULL;
    }
    qb_session_reset(session);
    return session;
}

void qb_session_destroy(qb_session *session)
{
    if (session == NULL) return;
    qb_memory_free(&session->memory);
    free(session);
}

static void set_to_zero(const qb_tensor *tensor)
{
    memset(tensor->data, 0, tensor->size);
    if (tensor->dtype == QB_S16) {
        int16_t *values = tensor->data;
        for (size_t i = 0; i < tensor->count; i++) values[i] = (int16_t)tensor->zero_point;
    } else if (tensor->dtype == QB_S8 || tensor->dtype == QB_U8) {
        memset(tensor->data, tensor->zero_point, tensor->size);
    }
}

void qb_session_reset(qb_session *session)
{
    for (uint32_t i = 0; i < session->model->tensor_count; i++) {
        if (session->tensors[i].kind == QB_VARIABLE) set_to_zero(&session->tensors[i]);
    }
}

void qb_session_run(qb_session *session)
{
    const uint32_t count = session->model->node_count;
    for (uint32_t i = 0; i < count; i++) session->steps[i].run(&session->steps[i]);
}

static qb_view view_of(const qb_tensor *tensor)
{
    qb_view view = {
        .name = tensor->name,
        .dtype = tensor->dtype,
        .rank = tensor->rank,
        .data = tensor->data,
        .size = tensor->size,
        .scale = tensor->quant_count == 1 ? tensor->scales[0] : 0.0f,
        .zero_point = tensor->zero_point,
    };
    for (int i = 0; i < QB_MAX_RANK; i++) view.dims[i] = tensor->dims[i];
    return view;
}

uint32_t qb_session_input_count(const qb_session *session)
{
    return session->model->header->inputs_count;
}

uint32_t qb_session_output_count(const qb_session *session)
{
    return session->model->header->outputs_count;
}

qb_view qb_session_input(const qb_session *session, uint32_t index)
{
    return view_of(session->inputs[index]);
}

qb_view qb_session_output(const qb_session *session, uint32_t index)
{
    return view_of(session->outputs[index]);
}
