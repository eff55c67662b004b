/* Dataset files (.qbd, specified in include/format.def), read as inputs of a model. */
#ifndef RUNNER_DATASET_H
#define RUNNER_DATASET_H

#include "../include/quantbench.h"

typedef struct dataset dataset;

/* Maps and checks the file, and that its samples fit the session's only input. A fault ends the process (fail). */
dataset *dataset_open(const char *path, const qb_session *session);
void dataset_close(dataset *data);

uint64_t dataset_count(const dataset *data);

/* Sample `index` as the model's input: real values (stored − offset) · scale, quantized where the input is int8. */
void dataset_read(const dataset *data, uint64_t index, void *input);

/* The real values of a sample, and how many there are. */
void dataset_reals(const dataset *data, uint64_t index, float *reals);
size_t dataset_sample_count(const dataset *data);

#endif
