/* predict: raw tensors in, raw tensors out, one sample after the other; the output file appears when it is whole. */
#define _FILE_OFFSET_BITS 64
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lease.h"
#include "runner.h"

typedef struct files {
    FILE *input, *output;
    char *part; /* the output's name until it is whole */
} files;

static files open_files(const options *options)
{
    files files = {.input = fopen(options->input, "rb")};
    if (files.input == NULL) fail("%s: %s", options->input, strerror(errno));
    const size_t length = strlen(options->output) + sizeof ".part";
    files.part = checked_malloc(length);
    snprintf(files.part, length, "%s.part", options->output);
    files.output = fopen(files.part, "wb");
    if (files.output == NULL) fail("%s: %s", files.part, strerror(errno));
    return files;
}

static void discard(const files *files)
{
    fclose(files->output);
    remove(files->part);
}

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

static bool predict_one(runner *runner, const files *files, bool reset)
{
    if (reset) qb_session_reset(runner->session);
    if (fread(runner->inputs, 1, runner->inputs_size, files->input) != runner->inputs_size) return false;
    feed(runner);
    qb_session_run(runner->session);
    for (uint32_t i = 0; i < qb_session_output_count(runner->session); i++) {
        const qb_view output = qb_session_output(runner->session, i);
        if (fwrite(output.data, 1, output.size, files->output) != output.size) return false;
    }
    return true;
}

void run_predict(runner *runner)
{
    const bool keep = keeps_state(&runner->options);
    const uint64_t count = count_samples(runner);
    const files files = open_files(&runner->options);
    runner->inputs = checked_malloc(runner->inputs_size);
    for (uint64_t i = 0; i < count; i++) {
        if (predict_one(runner, &files, !keep)) continue;
        const int reason = errno;
        discard(&files);
        fail("%s: sample %llu: %s", runner->options.input, (unsigned long long)i, strerror(reason));
    }
    fclose(files.input);
    check_fence(); /* an output must not appear under somebody else's lease */
    if (fclose(files.output) != 0 || rename(files.part, runner->options.output) != 0) {
        const int reason = errno;
        remove(files.part);
        fail("%s: %s", runner->options.output, strerror(reason));
    }
    free(files.part);
}
