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

#endif
