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

/* Step by step, since the arena lets later outputs take the place of earlier ones. */
void visit_activations(runner *runner, const dataset *data, uint64_t sample, activation_visitor *visit, void *context)
{
    qb_session *session = runner->session;
    qb_session_reset(session);
    feed_sample(runner, data, sample);
    for (uint32_t i = 0; i < qb_session_input_count(session); i++) visit(context, session->inputs[i], sample);
    for (uint32_t n = 0; n < session->model->node_count; n++) {
        const qb_step *step = &session->steps[n];
        step->run(step);
        for (uint32_t i = 0; i < step->out_count; i++) {
            if (step->out[i]->stored == NULL) visit(context, step->out[i], sample);
        }
    }
}
