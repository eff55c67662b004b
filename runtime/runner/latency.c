/* latency: cold start, warm-up, then timed runs until both minimums or the cap are met. */
#define _GNU_SOURCE

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "json.h"
#include "runner.h"

enum { BATCH = 64 };

static uint64_t timed_run(runner *runner)
{
    feed(runner);
    const uint64_t start = now_ns();
    qb_session_run(runner->session);
    return now_ns() - start;
}

/* Whether a phase that began at `start` and has made `runs` runs goes on. */
static bool goes_on(const runner *runner, uint64_t start, uint64_t runs, uint64_t min_runs, uint64_t min_ms)
{
    const uint64_t ms = (now_ns() - start) / 1000000;
    return ms < runner->options.max_ms && (runs < min_runs || ms < min_ms);
}

static void warm_up(runner *runner)
{
    const options *options = &runner->options;
    const uint64_t start = now_ns();
    uint64_t runs = 0;
    for (; goes_on(runner, start, runs, options->warmup_runs, options->warmup_ms); runs++) timed_run(runner);
    begin_event("warmup");
    json_integer("runs", (int64_t)runs);
    json_end();
}

static void write_samples(const uint64_t *samples, int count)
{
    if (count == 0) return;
    begin_event("samples");
    json_list_begin("ns");
    for (int i = 0; i < count; i++) json_item_integer((int64_t)samples[i]);
    json_list_end();
    json_end();
}

static void measure(runner *runner)
{
    const options *options = &runner->options;
    uint64_t samples[BATCH];
    int filled = 0;
    const uint64_t start = now_ns();
    for (uint64_t runs = 0; goes_on(runner, start, runs, options->min_runs, options->min_ms); runs++) {
        samples[filled++] = timed_run(runner);
        if (filled < BATCH) continue;
        write_samples(samples, filled);
        filled = 0;
    }
    write_samples(samples, filled);
}

/* Peak resident memory in kB from /proc/self/status, -1 where it cannot be read. */
static long read_vm_hwm(void)
{
    FILE *status = fopen("/proc/self/status", "r");
    if (status == NULL) return -1;
    char line[128];
    long kb = -1;
    while (kb < 0 && fgets(line, sizeof line, status) != NULL) {
        if (strncmp(line, "VmHWM:", 6) == 0) kb = strtol(line + 6, NULL, 10);
    }
    fclose(status);
    return kb;
}

static void write_usage(const struct rusage *before)
{
    struct rusage after;
    getrusage(RUSAGE_SELF, &after);
    const long vm_hwm = read_vm_hwm();
    begin_event("usage");
    if (vm_hwm >= 0) json_integer("vm_hwm_kb", vm_hwm);
    else json_null("vm_hwm_kb");
    json_integer("voluntary_switches", after.ru_nvcsw - before->ru_nvcsw);
    json_integer("involuntary_switches", after.ru_nivcsw - before->ru_nivcsw);
    json_end();
}

void run_latency(runner *runner)
{
    choose_inputs(runner);
    const uint64_t cold = timed_run(runner);
    begin_event("cold");
    json_integer("ns", (int64_t)cold);
    json_end();
    warm_up(runner);
    struct rusage before;
    getrusage(RUSAGE_SELF, &before);
    measure(runner);
    write_usage(&before);
}
