#include "samples.h"

dataset *open_samples(runner *runner, sample_range *range)
{
    const options *options = &runner->options;
    dataset *data = dataset_open(options->data, runner->session);
    const uint64_t total = dataset_count(data);
    const bool to_the_end = options->count == UINT64_MAX;
    if (options->first >= total || (!to_the_end && options->count > total - options->first)) {
        fail("%s: holds %llu samples, not those that --first and --count ask for", options->data,
             (unsigned long long)total);
    }
    range->first = options->first;
    range->end = to_the_end ? total : options->first + options->count;
    return data;
}

void feed_sample(runner *runner, const dataset *data, uint64_t index)
{
    dataset_read(data, index, qb_session_input(runner->session, 0).data);
}
