/* What the modes of the runner share. Start reading at main.c, then latency.c. */
#ifndef RUNNER_H
#define RUNNER_H

#include "executor.h"
#include "options.h"

typedef struct runner {
    options options;
    int core; /* that the process is pinned to, or -1 */
    qb_model *model;
    qb_session *session;
    uint64_t load_ns; /* opening the model and preparing the session */
    uint8_t *inputs;  /* what feed() copies: all inputs of the model, one after the other */
    size_t inputs_size, outputs_size;
} runner;

/* What the instruction counter (devices/count_instructions.c) knows a mark by: the first argument of a system call
 * that takes none. */
enum { QB_MARK = 0x51424d4b };

/* One function for each mode, in the file of its name. */
#define RUNNER_MODE_FUNCTION(name, NAME) void run_##name(runner *runner);
RUNNER_MODES(RUNNER_MODE_FUNCTION)
#undef RUNNER_MODE_FUNCTION

/* Writes an `error` line and the same text to standard error, then exits with code 2. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Starts a line with the nonce and this event (json.h). */
void begin_event(const char *event);

/* Fills runner->inputs with the first sample of --data, or without it with fixed pseudo-random values. */
void choose_inputs(runner *runner);

/* Copies runner->inputs into the session. Needed before every run: the arena reuses the inputs' memory. */
void feed(runner *runner);

/* Nanoseconds of CLOCK_MONOTONIC_RAW. */
uint64_t now_ns(void);

/* malloc that fails by an error line. */
void *checked_malloc(size_t bytes);

#endif
