/* The on-device runner: parse the command line, pin, load the model, say `start`, run the mode, say `end`. */
#define _GNU_SOURCE

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "json.h"
#include "lease.h"
#include "pin.h"
#include "runner.h"

static const char *line_nonce = ""; /* repeated on every line */

void fail(const char *format, ...)
{
    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    fprintf(stderr, "%s\n", message);
    json_begin(line_nonce, "error");
    json_text("message", message);
    json_end();
    exit(2);
}

void begin_event(const char *event)
{
    json_begin(line_nonce, event);
}

uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void *checked_malloc(size_t bytes)
{
    void *memory = malloc(bytes > 0 ? bytes : 1);
    if (memory == NULL) fail("out of memory for another %zu bytes", bytes);
    return memory;
}

static void load(runner *runner)
{
    qb_error error;
    /* Without a clock the instructions are the same at every run. */
    const bool timed = runner->options.mode != MODE_REPEAT && runner->options.mode != MODE_MARK;
    const uint64_t start = timed ? now_ns() : 0;
    runner->model = qb_model_open(runner->options.model, &error);
    if (runner->model == NULL) fail("%s", error.text);
    runner->session = qb_session_create(runner->model, getenv("QB_ISA"), &error);
    if (runner->session == NULL) fail("%s", error.text);
    runner->load_ns = timed ? now_ns() - start : 0;
    for (uint32_t i = 0; i < qb_session_input_count(runner->session); i++) {
        runner->inputs_size += qb_session_input(runner->session, i).size;
    }
    for (uint32_t i = 0; i < qb_session_output_count(runner->session); i++) {
        runner->outputs_size += qb_session_output(runner->session, i).size;
    }
}

static void say_start(const runner *runner)
{
    struct qb_isa isa;
    const char *forced = getenv("QB_ISA");
    const char *refusal = qb_isa_choose(forced, &isa);
    if (refusal != NULL) fail("ISA variant '%s': %s", forced, refusal);
    begin_event("start");
    json_text("mode", mode_name(runner->options.mode));
    json_text("version", QB_VERSION);
    json_text("arch", qb_cpu_arch());
    json_text("isa", isa.name);
    if (runner->core >= 0) json_integer("core", runner->core);
    else json_null("core");
    if (runner->model != NULL) {
        json_text("model", runner->model->name);
        json_integer("arena_bytes", (int64_t)runner->model->header->arena_size);
        json_integer("file_bytes", (int64_t)runner->model->size);
        json_integer("load_ns", (int64_t)runner->load_ns);
    }
    json_end();
}

/* repeat and mark do nothing that depends on the machine's state; info counts the cores that the process may use; a lease
 * must not disturb the core that something is being measured on. */
static bool pins_by_default(runner_mode mode)
{
    return mode != MODE_REPEAT && mode != MODE_MARK && mode != MODE_INFO && mode != MODE_LEASE;
}

int main(int argc, char **argv)
{
    runner runner = {.options = parse_options(argc, argv)};
    if (runner.options.nonce != NULL) line_nonce = runner.options.nonce;
    check_fence();
    runner.core = pin_to_core(runner.options.core, pins_by_default(runner.options.mode));
    if (runner.options.model != NULL) load(&runner);
    say_start(&runner);
    static void (*const modes[])(struct runner *) = {
#define RUNNER_MODE_ENTRY(name, NAME) run_##name,
        RUNNER_MODES(RUNNER_MODE_ENTRY)
#undef RUNNER_MODE_ENTRY
    };
    modes[runner.options.mode](&runner);
    check_fence();
    begin_event("end");
    json_text("status", "ok");
    json_end();
    free(runner.inputs);
    qb_session_destroy(runner.session);
    qb_model_close(runner.model);
    return 0;
}
