/* predict: raw tensors in, raw tensors out, one sample after the other; the output file appears when it is whole. */
#define _FILE_OFFSET_BITS 64
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "output.h"
#include "runner.h"

/* Whole samples in the input file; fails where there is none or a part of one. */
static uint64_t count_samples(const runner *runner)
{
    struct stat status;
    if (stat(runner->options.input, &status) != 0) fail("%s: %s", runner->options.input, strerror(errno));
    const uint64_t size = (uint64_t)status.st_size;
    if (size == 0 || runner->inputs_size == 0 || size % runner->inputs_size != 0) {
        fail("%s: %llu bytes are not one or more samples of %zu bytes", runner->options.input,
             (unsigned long long)size, runner->inputs_size);
    }
    return size / runner->inputs_size;
}

/* Samples are steps of one stream, or each begins anew. */
static bool keeps_state(const options *options)
{
    if (options->state == NULL || strcmp(options->state, "reset") == 0) return false;
    if (strcmp(options->state, "keep") != 0) fail("--state '%s': use reset or keep", options->state);
    return true;
}

static bool predict_one(runner *runner, FILE *input, FILE *output, bool reset)
{
    if (reset) qb_session_reset(runner->session);
    if (fread(runner->inputs, 1, runner->inputs_size, input) != runner->inputs_size) return false;
    feed(runner);
    qb_session_run(runner->session);
    for (uint32_t i = 0; i < qb_session_output_count(runner->session); i++) {
        const qb_view view = qb_session_output(runner->session, i);
        if (fwrite(view.data, 1, view.size, output) != view.size) return false;
    }
    return true;
}

void run_predict(runner *runner)
{
    const bool keep = keeps_state(&runner->options);
    const uint64_t count = count_samples(runner);
    FILE *input = fopen(runner->options.input, "rb");
    if (input == NULL) fail("%s: %s", runner->options.input, strerror(errno));
    output output = output_open(runner->options.output);
    runner->inputs = checked_malloc(runner->inputs_size);
    for (uint64_t i = 0; i < count; i++) {
        if (predict_one(runner, input, output.stream, !keep)) continue;
        const int reason = errno;
        output_discard(&output);
        fail("%s: sample %llu: %s", runner->options.input, (unsigned long long)i, strerror(reason));
    }
    fclose(input);
    output_finish(&output);
}
