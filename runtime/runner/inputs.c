/* What the session is fed where a mode runs the same sample again and again. */
#include <string.h>

#include "dataset.h"
#include "runner.h"

/* Numerical Recipes' linear congruential generator: the same values on every machine. */
static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8; /* 24 bits; the low ones are the poor ones */
}

static void fill_random(qb_view input, uint8_t *values, uint32_t *state)
{
    if (input.dtype != QB_F32) {
        for (size_t i = 0; i < input.size; i++) values[i] = (uint8_t)next_random(state);
        return;
    }
    for (size_t i = 0; i < input.size; i += sizeof(float)) {
        const float value = (float)next_random(state) / 8388608.0f - 1.0f; /* in [-1, 1) */
        memcpy(values + i, &value, sizeof value);
    }
}

void choose_inputs(runner *runner)
{
    runner->inputs = checked_malloc(runner->inputs_size);
    if (runner->options.data != NULL) {
        dataset *data = dataset_open(runner->options.data, runner->session);
        if (dataset_count(data) == 0) fail("%s: holds no samples", runner->options.data);
        dataset_read(data, 0, runner->inputs);
        dataset_close(data);
        return;
    }
    uint32_t state = 1;
    uint8_t *at = runner->inputs;
    for (uint32_t i = 0; i < qb_session_input_count(runner->session); i++) {
        const qb_view input = qb_session_input(runner->session, i);
        fill_random(input, at, &state);
        at += input.size;
    }
}

void feed(runner *runner)
{
    const uint8_t *at = runner->inputs;
    for (uint32_t i = 0; i < qb_session_input_count(runner->session); i++) {
        const qb_view input = qb_session_input(runner->session, i);
        memcpy(input.data, at, input.size);
        at += input.size;
    }
}
