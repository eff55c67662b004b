/* observe: over all samples, a histogram of each chosen activation and what each of its channels does. */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "samples.h"

enum { MOST_BINS = 1 << 16 };

/* Of one activation. Integers count as the numbers that are stored. */
typedef struct observed {
    float low, bins_per_unit;
    uint64_t *bins;
    size_t channels; /* length of the last dimension */
    double *least, *largest, *sum; /* [channels], in one block that begins with least */
} observed;

typedef struct observer {
    observed *tensors; /* by index into the file's table; bins is NULL where nobody asked for the tensor */
    size_t bins;
    const qb_tensor *first; /* of the session's tensors */
} observer;

static double value_at(const qb_tensor *tensor, size_t i)
{
    if (tensor->dtype == QB_F32) return ((const float *)tensor->data)[i];
    if (tensor->dtype == QB_S16) return ((const int16_t *)tensor->data)[i];
    return ((const int8_t *)tensor->data)[i];
}

/* What lies outside of the range is counted in the outer bins. */
static size_t bin_of(const observed *observed, double value, size_t bins)
{
    const float place = ((float)value - observed->low) * observed->bins_per_unit;
    if (!(place > 0.0f)) return 0;
    return place < (float)bins ? (size_t)place : bins - 1;
}

static void count_values(void *context, const qb_tensor *tensor, uint64_t sample)
{
    const observer *observer = context;
    observed *observed = &observer->tensors[tensor - observer->first];
    if (observed->bins == NULL) return;
    for (size_t i = 0, c = 0; i < tensor->count; i++, c = c + 1 == observed->channels ? 0 : c + 1) {
        const double value = value_at(tensor, i);
        if (!isfinite(value)) {
            fail("sample %llu: tensor '%s' is not finite", (unsigned long long)sample, tensor->name);
        }
        observed->bins[bin_of(observed, value, observer->bins)]++;
        if (value < observed->least[c]) observed->least[c] = value;
        if (value > observed->largest[c]) observed->largest[c] = value;
        observed->sum[c] += value;
    }
}

static void *zeros(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL) fail("out of memory for %zu values", count);
    return memory;
}

static void begin(observed *observed, const qb_tensor *tensor, const float range[2], size_t bins)
{
    if (tensor->dtype != QB_F32 && tensor->dtype != QB_S16 && tensor->dtype != QB_S8) {
        fail("tensor '%s' is neither float32, int8 nor int16", tensor->name);
    }
    observed->low = range[0];
    observed->bins_per_unit = range[1] > range[0] ? (float)bins / (range[1] - range[0]) : 0.0f;
    observed->bins = zeros(bins, sizeof *observed->bins);
    const size_t channels = tensor->rank > 0 ? (size_t)tensor->dims[tensor->rank - 1] : 1;
    observed->channels = channels;
    observed->least = zeros(3 * channels, sizeof *observed->least);
    observed->largest = observed->least + channels;
    observed->sum = observed->largest + channels;
    for (size_t c = 0; c < channels; c++) observed->least[c] = DBL_MAX, observed->largest[c] = -DBL_MAX;
}

/* The ranges file: float32 low and high of every tensor in the model file's table; low > high is not observed. */
static observer read_ranges(const runner *runner)
{
    const uint32_t count = runner->model->tensor_count;
    const options *options = &runner->options;
    if (options->bins < 1 || options->bins > MOST_BINS) fail("--bins takes 1 to %d", MOST_BINS);
    observer observer = {zeros(count, sizeof(struct observed)), (size_t)options->bins, runner->session->tensors};
    FILE *file = fopen(options->ranges, "rb");
    if (file == NULL) fail("%s: %s", options->ranges, strerror(errno));
    for (uint32_t i = 0; i < count; i++) {
        float range[2];
        if (fread(range, sizeof *range, 2, file) != 2) fail("%s: does not hold %u ranges", options->ranges, count);
        if (range[0] <= range[1]) begin(&observer.tensors[i], &observer.first[i], range, observer.bins);
    }
    fclose(file);
    return observer;
}

/* One observed tensor after the other: its bins as uint64, then least, largest and sum as float64. */
static void write_observed(const runner *runner, const observer *observer)
{
    output output = output_open(runner->options.output);
    for (uint32_t i = 0; i < runner->model->tensor_count; i++) {
        const observed *observed = &observer->tensors[i];
        if (observed->bins == NULL) continue;
        fwrite(observed->bins, sizeof *observed->bins, observer->bins, output.stream);
        fwrite(observed->least, sizeof *observed->least, 3 * observed->channels, output.stream);
    }
    output_finish(&output);
}

void run_observe(runner *runner)
{
    sample_range range;
    dataset *data = open_samples(runner, &range);
    observer observer = read_ranges(runner);
    for (uint64_t i = range.first; i < range.end; i++) visit_activations(runner, data, i, count_values, &observer);
    write_observed(runner, &observer);
    for (uint32_t i = 0; i < runner->model->tensor_count; i++) {
        free(observer.tensors[i].bins);
        free(observer.tensors[i].least);
    }
    free(observer.tensors);
    dataset_close(data);
}
