/* profile: the time of each node. */
#include <stdlib.h>

#include "json.h"
#include "ops.h"
#include "runner.h"

static const uint64_t most_runs = 10000;

static int64_t bytes_touched(const qb_step *step)
{
    int64_t bytes = 0;
    for (uint32_t i = 0; i < step->in_count; i++) bytes += step->in[i] != NULL ? (int64_t)step->in[i]->size : 0;
    for (uint32_t i = 0; i < step->out_count; i++) bytes += (int64_t)step->out[i]->size;
    return bytes;
}

static void write_node(const runner *runner, uint32_t index, const uint64_t *ns)
{
    const qb_step *step = &runner->session->steps[index];
    begin_event("node");
    json_integer("index", index);
    json_text("name", step->name);
    json_text("op", qb_op_find(step->node->op)->name);
    json_text("arithmetic", qb_arithmetic_name(step->node->arithmetic));
    json_text("kernel", step->kernel);
    json_integer("macs", (int64_t)step->macs);
    json_integer("bytes", bytes_touched(step));
    json_list_begin("ns");
    for (uint64_t r = 0; r < runner->options.runs; r++) json_item_integer((int64_t)ns[r]);
    json_list_end();
    json_end();
}

void run_profile(runner *runner)
{
    const qb_session *session = runner->session;
    const uint32_t nodes = session->model->node_count;
    const uint64_t runs = runner->options.runs;
    if (runs < 1 || runs > most_runs) fail("--runs must be between 1 and %llu", (unsigned long long)most_runs);
    uint64_t *ns = checked_malloc((size_t)nodes * (size_t)runs * sizeof *ns); /* [node][run] */
    choose_inputs(runner);
    feed(runner);
    qb_session_run(runner->session); /* warm-up */
    for (uint64_t r = 0; r < runs; r++) {
        feed(runner);
        for (uint32_t n = 0; n < nodes; n++) {
            const uint64_t start = now_ns();
            session->steps[n].run(&session->steps[n]);
            ns[(size_t)n * (size_t)runs + (size_t)r] = now_ns() - start;
        }
    }
    for (uint32_t n = 0; n < nodes; n++) write_node(runner, n, ns + (size_t)n * (size_t)runs);
    free(ns);
}
