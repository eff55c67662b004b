/* calibrate: per sample, the minimum and maximum of the model's float inputs and of every float node output. */
#include <math.h>
#include <stdlib.h>

#include "json.h"
#include "samples.h"

typedef struct ranges {
    uint32_t *tensors; /* indices into the file's tensor table */
    float *min, *max;
    size_t count;
    const qb_tensor *first; /* of the session's tensors */
} ranges;

static void take_range(void *context, const qb_tensor *tensor, uint64_t sample)
{
    if (tensor->dtype != QB_F32) return;
    ranges *ranges = context;
    const float *values = tensor->data;
    float min = values[0], max = values[0];
    bool finite = true;
    for (size_t i = 0; i < tensor->count; i++) {
        finite = finite && isfinite(values[i]);
        if (values[i] < min) min = values[i];
        if (values[i] > max) max = values[i];
    }
    if (!finite) fail("sample %llu: tensor '%s' is not finite", (unsigned long long)sample, tensor->name);
    ranges->tensors[ranges->count] = (uint32_t)(tensor - ranges->first);
    ranges->min[ranges->count] = min;
    ranges->max[ranges->count] = max;
    ranges->count++;
}

static void write_ranges(const ranges *ranges, uint64_t sample)
{
    begin_event("range");
    json_integer("sample", (int64_t)sample);
    json_list_begin("tensors");
    for (size_t i = 0; i < ranges->count; i++) json_item_integer(ranges->tensors[i]);
    json_list_end();
    json_list_begin("min");
    for (size_t i = 0; i < ranges->count; i++) json_item_real(ranges->min[i]);
    json_list_end();
    json_list_begin("max");
    for (size_t i = 0; i < ranges->count; i++) json_item_real(ranges->max[i]);
    json_list_end();
    json_end();
}

void run_calibrate(runner *runner)
{
    sample_range range;
    dataset *data = open_samples(runner, &range);
    const size_t most = runner->model->tensor_count; /* each tensor is written at most once */
    ranges ranges = {
        .tensors = checked_malloc(most * sizeof *ranges.tensors),
        .min = checked_malloc(most * sizeof *ranges.min),
        .max = checked_malloc(most * sizeof *ranges.max),
        .first = runner->session->tensors,
    };
    for (uint64_t i = range.first; i < range.end; i++) {
        ranges.count = 0;
        visit_activations(runner, data, i, take_range, &ranges);
        write_ranges(&ranges, i);
    }
    free(ranges.tensors);
    free(ranges.min);
    free(ranges.max);
    dataset_close(data);
}
