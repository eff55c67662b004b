#define _GNU_SOURCE

#include "pin.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner.h"

/* A non-negative number in /sys/devices/system/cpu/cpu<core>/<file>; 0 where it cannot be read. */
static long read_cpu_fact(int core, const char *file)
{
    char path[96];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/%s", core, file);
    FILE *stream = fopen(path, "r");
    if (stream == NULL) return 0;
    char text[32] = "";
    const char *line = fgets(text, sizeof text, stream);
    fclose(stream);
    const long value = line != NULL ? strtol(line, NULL, 10) : 0;
    return value > 0 ? value : 0;
}

/* The allowed core with the highest capacity, then the highest frequency, then the highest number; -1: unknown. */
static int fastest_core(void)
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return -1;
    int best = -1;
    long best_capacity = 0, best_frequency = 0;
    for (int core = 0; core < CPU_SETSIZE; core++) {
        if (!CPU_ISSET(core, &allowed)) continue;
        const long capacity = read_cpu_fact(core, "cpu_capacity");
        const long frequency = read_cpu_fact(core, "cpufreq/cpuinfo_max_freq");
        if (capacity < best_capacity || (capacity == best_capacity && frequency < best_frequency)) continue;
        best = core;
        best_capacity = capacity;
        best_frequency = frequency;
    }
    return best;
}

static bool pin(int core)
{
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(core, &only);
    return sched_setaffinity(0, sizeof only, &only) == 0;
}

int pin_to_core(const char *core, bool pin_by_default)
{
    if (core == NULL) core = pin_by_default ? "auto" : "none";
    if (strcmp(core, "none") == 0) return -1;
    if (strcmp(core, "auto") == 0) {
        const int fastest = fastest_core();
        return fastest >= 0 && pin(fastest) ? fastest : -1;
    }
    char *end;
    errno = 0;
    const long number = strtol(core, &end, 10);
    if (errno != 0 || end == core || *end != 0 || number < 0 || number >= CPU_SETSIZE) {
        fail("--core '%s': use a core's number, auto or none", core);
    }
    if (!pin((int)number)) fail("--core %ld: %s", number, strerror(errno));
    return (int)number;
}
