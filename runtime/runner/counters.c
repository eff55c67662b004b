/* counters: what the processor's own counters say of one warm inference, where the system lets a program read them. */
#define _GNU_SOURCE

#include <linux/perf_event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "json.h"
#include "runner.h"

enum { REPEATS = 5 }; /* an interrupt adds to one of them; the least is without */

/* A counter of this thread in user mode, off until it is enabled, or -1. */
static int open_counter(uint64_t event)
{
    struct perf_event_attr wanted;
    memset(&wanted, 0, sizeof wanted);
    wanted.size = sizeof wanted;
    wanted.type = PERF_TYPE_HARDWARE;
    wanted.config = event;
    wanted.disabled = 1;
    wanted.exclude_kernel = 1; /* without this, ordinary users are refused */
    wanted.exclude_hv = 1;
    return (int)syscall(SYS_perf_event_open, &wanted, 0, -1, -1, 0);
}

/* One inference's count, or -1 where it cannot be counted. Events are counted one at a time: all of them together may be
 * more than the processor has counters for. */
static int64_t count_inference(runner *runner, uint64_t event)
{
    int64_t least = -1;
    const int counter = open_counter(event);
    if (counter < 0) return -1;
    for (int i = 0; i <= REPEATS; i++) {
        uint64_t count = 0;
        feed(runner);
        ioctl(counter, PERF_EVENT_IOC_RESET, 0);
        ioctl(counter, PERF_EVENT_IOC_ENABLE, 0);
        qb_session_run(runner->session);
        ioctl(counter, PERF_EVENT_IOC_DISABLE, 0);
        const bool known = read(counter, &count, sizeof count) == sizeof count && count > 0;
        if (i == 0 || !known) continue; /* the first run is the warm-up */
        if (least < 0 || (int64_t)count < least) least = (int64_t)count;
    }
    close(counter);
    return least;
}

static void say_count(const char *name, int64_t count)
{
    if (count >= 0) json_integer(name, count);
    else json_null(name);
}

void run_counters(runner *runner)
{
    choose_inputs(runner);
    const int64_t instructions = count_inference(runner, PERF_COUNT_HW_INSTRUCTIONS);
    const int64_t cycles = count_inference(runner, PERF_COUNT_HW_CPU_CYCLES);
    begin_event("counters");
    say_count("instructions", instructions);
    say_count("cycles", cycles);
    json_end();
}
