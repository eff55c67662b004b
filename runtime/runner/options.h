/* The command line: MODE [--option value]…, specified in runtime/RUNNER.md. */
#ifndef RUNNER_OPTIONS_H
#define RUNNER_OPTIONS_H

#include <stdint.h>

/* X(name, NAME): the modes, each with a file and a function run_<name>. */
#define RUNNER_MODES(X)                                                                                      \
    X(info, INFO) X(latency, LATENCY) X(accuracy, ACCURACY) X(profile, PROFILE) X(predict, PREDICT)          \
    X(calibrate, CALIBRATE) X(observe, OBSERVE) X(lease, LEASE) X(repeat, REPEAT) X(mark, MARK)              \
    X(bandwidth, BANDWIDTH) X(counters, COUNTERS)

typedef enum runner_mode {
#define RUNNER_MODE_ENUM(name, NAME) MODE_##NAME,
    RUNNER_MODES(RUNNER_MODE_ENUM)
#undef RUNNER_MODE_ENUM
} runner_mode;

/* What the command line asks for. Texts are NULL where not given. */
typedef struct options {
    runner_mode mode;
    const char *nonce;
    const char *model, *data, *input, *output, *ranges;
    const char *core; /* "auto", "none" or a number */
    uint64_t min_runs, min_ms, max_ms;
    uint64_t warmup_runs, warmup_ms;
    uint64_t first, count; /* samples; count UINT64_MAX: all that follow */
    uint64_t top, runs, bytes, bins;
    const char *state; /* predict: "reset" or "keep" */
    const char *score; /* accuracy: "top" or "reconstruction" */
    const char *action, *file, *holder, *token, *reservation, *gone; /* lease */
    uint64_t ttl_ms;
} options;

/* Parses argv. On a fault nothing is returned: an error line is written and the process exits with code 2. */
options parse_options(int argc, char **argv);

const char *mode_name(runner_mode mode);

#endif
