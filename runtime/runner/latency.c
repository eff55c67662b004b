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

/* A series of timed runs: when it began, and what it has come to. Feeding inputs and printing samples lie
 * between the runs, so that the time they fill is less than what has passed. */
typedef struct series {
    uint64_t start_ns, runs, timed_ns;
} series;

static uint64_t next_run(runner *runner, series *series)
{
    const uint64_t ns = timed_run(runner);
    series->runs++;
    series->timed_ns += ns;
    return ns;
}

/* Until both minimums are met, or more time than the cap has passed. */
static bool goes_on(const runner *runner, const series *series, uint64_t min_runs, uint64_t min_ms)
{
    const uint64_t passed_ms = (now_ns() - series->start_ns) / 1000000;
    return passed_ms < runner->options.max_ms &&
           (series->runs < min_runs || series->timed_ns / 1000000 < min_ms);
}

static void warm_up(runner *runner)
{
    const options *options = &runner->options;
    series series = {.start_ns = now_ns()};
    while (goes_on(runner, &series, options->warmup_runs, options->warmup_ms)) next_run(runner, &series);
    begin_event("warmup");
    json_integer("runs", (int64_t)series.runs);
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
    series series = {.start_ns = now_ns()};
    while (goes_on(runner, &series, options->min_runs, options->min_ms)) {
        samples[filled++] = next_run(runner, &series);
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
