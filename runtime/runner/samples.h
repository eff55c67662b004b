/* The range of samples that --first and --count choose from --data. */
#ifndef RUNNER_SAMPLES_H
#define RUNNER_SAMPLES_H

#include "dataset.h"
#include "runner.h"

typedef struct sample_range {
    uint64_t first, end;
} sample_range;

/* Opens --data and checks the range against it; fails where it holds no such samples. */
dataset *open_samples(runner *runner, sample_range *range);

/* Reads one sample into the session's input. */
void feed_sample(runner *runner, const dataset *data, uint64_t index);

/* Is shown an activation while it holds its values. */
typedef void activation_visitor(void *context, const qb_tensor *tensor, uint64_t sample);

/* Runs one sample from the initial state, and visits the inputs and every node's outputs as soon as they are there. */
void visit_activations(runner *runner, const dataset *data, uint64_t sample, activation_visitor *visit, void *context);

#endif
