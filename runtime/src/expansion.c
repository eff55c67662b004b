#include "expansion.h"

static bool reads_weights(const qb_step *step, uint32_t input)
{
    const uint8_t op = step->node->op;
    return input == 1 && (op == QB_OP_CONV_2D || op == QB_OP_DEPTHWISE_CONV_2D || op == QB_OP_FULLY_CONNECTED);
}

void qb_expansion_plan(qb_session *session)
{
    for (uint32_t i = 0; i < session->model->node_count; i++) {
        const qb_step *step = &session->steps[i];
        for (uint32_t k = 0; k < step->in_count; k++) {
            if (step->in[k] != NULL && !reads_weights(step, k)) step->in[k]->needs_values = true;
        }
    }
    for (uint32_t i = 0; i < session->model->header->outputs_count; i++) session->outputs[i]->needs_values = true;
}

bool qb_expansion_defer(qb_step *step)
{
    if (step->node->op != QB_OP_DEQUANTIZE || step->out[0]->needs_values) return false;
    const qb_tensor *in = step->in[0];
    if (in->kind != QB_CONSTANT || (in->dtype != QB_S8 && in->dtype != QB_F16)) return false;
    step->out[0]->kind = QB_CONSTANT;
    step->out[0]->data = NULL;
    step->out[0]->stored = in;
    return true;
}
