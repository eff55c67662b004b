/* A session: a model made ready to run. Inside the runner, profile and calibrate walk the steps themselves. */
#ifndef QB_EXECUTOR_H
#define QB_EXECUTOR_H

#include "isa.h"
#include "kernels/kernel.h"
#include "memory.h"
#include "model.h"

struct qb_session {
    const qb_model *model;
    struct qb_isa isa;  /* the variant in force, its gaps filled */
    qb_tensor *tensors; /* [model->tensor_count], in the file's order */
    qb_step *steps;     /* [model->node_count], in the order to run */
    qb_memory memory;   /* everything allocated for the session */
    qb_tensor **inputs;  /* [model->header->inputs_count] */
    qb_tensor **outputs; /* [model->header->outputs_count] */
};

#endif
