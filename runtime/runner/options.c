#include "options.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "runner.h"

#define BIT(mode) (1u << MODE_##mode)
enum {
    EVERY = BIT(INFO) | BIT(LATENCY) | BIT(ACCURACY) | BIT(PROFILE) | BIT(PREDICT) | BIT(CALIBRATE) | BIT(OBSERVE) |
            BIT(REPEAT) | BIT(LEASE) | BIT(MARK) | BIT(BANDWIDTH) | BIT(COUNTERS),
    WITH_MODEL = EVERY & ~BIT(INFO) & ~BIT(LEASE) & ~BIT(BANDWIDTH),
    WITH_DATA = WITH_MODEL & ~BIT(PREDICT),
    SAMPLES = BIT(ACCURACY) | BIT(CALIBRATE) | BIT(OBSERVE),
};

typedef struct option {
    const char *name;
    enum { TEXT, NUMBER } kind;
    size_t offset; /* in struct options */
    unsigned modes, required;
} option;

static const option known[] = {
    {"--nonce", TEXT, offsetof(options, nonce), EVERY, 0},
    {"--core", TEXT, offsetof(options, core), EVERY, 0},
    {"--model", TEXT, offsetof(options, model), WITH_MODEL, WITH_MODEL},
    {"--data", TEXT, offsetof(options, data), WITH_DATA, SAMPLES},
    {"--input", TEXT, offsetof(options, input), BIT(PREDICT), BIT(PREDICT)},
    {"--output", TEXT, offsetof(options, output), BIT(PREDICT) | BIT(OBSERVE), BIT(PREDICT) | BIT(OBSERVE)},
    {"--ranges", TEXT, offsetof(options, ranges), BIT(OBSERVE), BIT(OBSERVE)},
    {"--bins", NUMBER, offsetof(options, bins), BIT(OBSERVE), BIT(OBSERVE)},
    {"--state", TEXT, offsetof(options, state), BIT(PREDICT), 0},
    {"--min-runs", NUMBER, offsetof(options, min_runs), BIT(LATENCY), BIT(LATENCY)},
    {"--min-ms", NUMBER, offsetof(options, min_ms), BIT(LATENCY), BIT(LATENCY)},
    {"--max-ms", NUMBER, offsetof(options, max_ms), BIT(LATENCY), BIT(LATENCY)},
    {"--warmup-runs", NUMBER, offsetof(options, warmup_runs), BIT(LATENCY), 0},
    {"--warmup-ms", NUMBER, offsetof(options, warmup_ms), BIT(LATENCY), 0},
    {"--first", NUMBER, offsetof(options, first), SAMPLES, 0},
    {"--count", NUMBER, offsetof(options, count), SAMPLES, 0},
    {"--top", NUMBER, offsetof(options, top), BIT(ACCURACY), 0},
    {"--score", TEXT, offsetof(options, score), BIT(ACCURACY), 0},
    {"--runs", NUMBER, offsetof(options, runs), BIT(PROFILE) | BIT(REPEAT), BIT(REPEAT)},
    {"--bytes", NUMBER, offsetof(options, bytes), BIT(BANDWIDTH), BIT(BANDWIDTH)},
    {"--action", TEXT, offsetof(options, action), BIT(LEASE), BIT(LEASE)},
    {"--file", TEXT, offsetof(options, file), BIT(LEASE), BIT(LEASE)},
    {"--holder", TEXT, offsetof(options, holder), BIT(LEASE), 0},
    {"--token", TEXT, offsetof(options, token), BIT(LEASE), 0},
    {"--reservation", TEXT, offsetof(options, reservation), BIT(LEASE), 0},
    {"--gone", TEXT, offsetof(options, gone), BIT(LEASE), 0},
    {"--ttl-ms", NUMBER, offsetof(options, ttl_ms), BIT(LEASE), 0},
};
enum { KNOWN_COUNT = sizeof known / sizeof *known };

/* Numbers are limited so that sums and conversions of times cannot overflow. */
static const uint64_t largest_number = 1000000000;

const char *mode_name(runner_mode mode)
{
    static const char *const names[] = {
#define RUNNER_MODE_NAME(name, NAME) #name,
        RUNNER_MODES(RUNNER_MODE_NAME)
#undef RUNNER_MODE_NAME
    };
    return names[mode];
}

static runner_mode parse_mode(const char *text)
{
    for (runner_mode mode = MODE_INFO; mode <= MODE_COUNTERS; mode++) {
        if (text != NULL && strcmp(text, mode_name(mode)) == 0) return mode;
    }
    fail("mode '%s': use info, latency, accuracy, profile, predict, calibrate, observe, lease, repeat, mark, bandwidth or "
         "counters",
         text != NULL ? text : "");
}

static uint64_t parse_number(const char *name, const char *text)
{
    uint64_t value = 0;
    for (const char *at = text; *at != 0; at++) {
        if (*at < '0' || *at > '9' || value > largest_number) fail("%s '%s' is not a number in range", name, text);
        value = value * 10 + (uint64_t)(*at - '0');
    }
    if (*text == 0 || value > largest_number) fail("%s '%s' is not a number in range", name, text);
    return value;
}

static void check_nonce(const char *nonce)
{
    const size_t length = strlen(nonce);
    for (size_t i = 0; i < length; i++) {
        const char c = nonce[i];
        const bool allowed = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!allowed || length > 64) fail("--nonce takes at most 64 letters and digits");
    }
}

static int find_option(const char *name)
{
    for (int i = 0; i < KNOWN_COUNT; i++) {
        if (strcmp(name, known[i].name) == 0) return i;
    }
    return -1;
}

options parse_options(int argc, char **argv)
{
    options result = {.count = UINT64_MAX, .warmup_runs = 3, .warmup_ms = 500, .top = 5, .runs = 10, .ttl_ms = 60000};
    bool given[KNOWN_COUNT] = {false};
    result.mode = parse_mode(argc > 1 ? argv[1] : NULL);
    for (int i = 2; i < argc; i += 2) {
        const int index = find_option(argv[i]);
        if (index < 0 || (known[index].modes & (1u << result.mode)) == 0) {
            fail("%s does not take '%s'", mode_name(result.mode), argv[i]);
        }
        if (given[index]) fail("%s is given twice", argv[i]);
        if (i + 1 >= argc) fail("%s needs a value", argv[i]);
        void *field = (char *)&result + known[index].offset;
        if (known[index].kind == TEXT) *(const char **)field = argv[i + 1];
        if (known[index].kind == NUMBER) *(uint64_t *)field = parse_number(argv[i], argv[i + 1]);
        given[index] = true;
    }
    for (int i = 0; i < KNOWN_COUNT; i++) {
        if ((known[i].required & (1u << result.mode)) != 0 && !given[i]) {
            fail("%s needs %s", mode_name(result.mode), known[i].name);
        }
    }
    if (result.nonce != NULL) check_nonce(result.nonce);
    return result;
}
