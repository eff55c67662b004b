/* accuracy: every sample once, its highest scores and their classes, or how well an auto-encoder repeats it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "samples.h"

enum { BATCH = 64 };

typedef struct best {
    int32_t class;
    float score;
} best;

static float score_at(qb_view output, size_t index)
{
    int32_t q;
    switch (output.dtype) {
    case QB_F32: return ((const float *)output.data)[index];
    case QB_S8: q = ((const int8_t *)output.data)[index]; break;
    case QB_U8: q = ((const uint8_t *)output.data)[index]; break;
    default: q = ((const int16_t *)output.data)[index]; break;
    }
    return (float)(q - output.zero_point) * output.scale;
}

/* The `count` highest scores, highest first, ties to the lower index. False where a score is not finite. */
static bool find_best(qb_view output, size_t classes, best *top, size_t count)
{
    size_t filled = 0;
    for (size_t i = 0; i < classes; i++) {
        const float score = score_at(output, i);
        if (!isfinite(score)) return false;
        size_t place = filled;
        while (place > 0 && top[place - 1].score < score) place--;
        if (place == count) continue;
        if (filled < count) filled++;
        for (size_t k = filled - 1; k > place; k--) top[k] = top[k - 1];
        top[place] = (best){(int32_t)i, score};
    }
    return true;
}

/* Mean squared difference of output and input in real values, which is an auto-encoder's anomaly score. */
static float reconstruction_error(qb_view output, const float *input, size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        const double difference = (double)score_at(output, i) - (double)input[i];
        sum += difference * difference;
    }
    return (float)(sum / (double)count);
}

/* Room for a sample's real values where --score asks for the reconstruction error, else NULL. */
static float *reconstructed(const runner *runner, const dataset *data, size_t outputs)
{
    const char *score = runner->options.score != NULL ? runner->options.score : "top";
    if (strcmp(score, "top") == 0) return NULL;
    if (strcmp(score, "reconstruction") != 0) fail("--score '%s': use top or reconstruction", score);
    const size_t inputs = dataset_sample_count(data);
    if (inputs != outputs) fail("the model gives %zu values for %zu: it does not repeat its input", outputs, inputs);
    return checked_malloc(inputs * sizeof(float));
}

static void write_batch(const best *top, uint64_t first, size_t samples, size_t count)
{
    begin_event("top");
    json_integer("first", (int64_t)first);
    json_list_begin("classes");
    for (size_t s = 0; s < samples; s++) {
        json_list_begin(NULL);
        for (size_t k = 0; k < count; k++) json_item_integer(top[s * count + k].class);
        json_list_end();
    }
    json_list_end();
    json_list_begin("scores");
    for (size_t s = 0; s < samples; s++) {
        json_list_begin(NULL);
        for (size_t k = 0; k < count; k++) json_item_real(top[s * count + k].score);
        json_list_end();
    }
    json_list_end();
    json_end();
}

void run_accuracy(runner *runner)
{
    sample_range range;
    dataset *data = open_samples(runner, &range);
    const qb_view output = qb_session_output(runner->session, 0);
    const bool quantized = output.dtype == QB_S8 || output.dtype == QB_U8 || output.dtype == QB_S16;
    if (output.dtype != QB_F32 && !(quantized && output.scale > 0.0f)) {
        fail("output '%s' is neither float nor quantized", output.name);
    }
    const size_t classes = output.size / qb_dtype_size((uint8_t)output.dtype);
    float *reals = reconstructed(runner, data, classes);
    const size_t most = reals != NULL ? 1 : classes;
    const size_t count = runner->options.top < most ? (size_t)runner->options.top : most;
    if (count == 0) fail("--top must be at least 1");
    best *top = checked_malloc(BATCH * count * sizeof *top);
    size_t filled = 0;
    for (uint64_t i = range.first; i < range.end; i++) {
        qb_session_reset(runner->session);
        feed_sample(runner, data, i);
        qb_session_run(runner->session);
        best *found = top + filled * count;
        if (reals != NULL) {
            dataset_reals(data, i, reals);
            *found = (best){0, reconstruction_error(output, reals, classes)};
        }
        if (reals != NULL ? !isfinite(found->score) : !find_best(output, classes, found, count)) {
            fail("sample %llu: a score is not finite", (unsigned long long)i);
        }
        if (++filled < BATCH && i + 1 < range.end) continue;
        write_batch(top, i + 1 - filled, filled, count);
        filled = 0;
    }
    free(top);
    free(reals);
    dataset_close(data);
}
