/* bandwidth: how fast memory is read, for a roofline. A buffer of --bytes is read again and again, so that what of it
 * fits into a cache comes from there, as with a network of that size. */
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "runner.h"

enum { SAMPLES = 10, LANES = 16, LINE = LANES * sizeof(uint64_t) };
static const uint64_t most_bytes = 1 << 30, bytes_per_sample = 1 << 26;

/* The sum in independent parts, so that the loads wait for nothing. */
static uint64_t sum(const uint64_t *words, size_t count)
{
    uint64_t lanes[LANES] = {0}, total = 0;
    for (size_t i = 0; i < count; i += LANES) {
        for (size_t lane = 0; lane < LANES; lane++) lanes[lane] += words[i + lane];
    }
    for (size_t lane = 0; lane < LANES; lane++) total += lanes[lane];
    return total;
}

void run_bandwidth(runner *runner)
{
    const uint64_t bytes = runner->options.bytes;
    if (bytes < LINE || bytes > most_bytes) {
        fail("--bytes must be between %d and %llu", LINE, (unsigned long long)most_bytes);
    }
    const size_t count = (size_t)(bytes / LINE * LANES);
    const uint64_t passes = (bytes_per_sample + bytes - 1) / bytes;
    uint64_t *words = checked_malloc(count * sizeof *words);
    memset(words, 1, count * sizeof *words); /* gives every page memory of its own */
    volatile uint64_t used = 0;              /* or the compiler would leave the reading out */
    begin_event("bandwidth");
    json_integer("bytes", (int64_t)(passes * count * sizeof *words));
    json_list_begin("ns");
    for (int sample = 0; sample < SAMPLES; sample++) {
        const uint64_t start = now_ns();
        for (uint64_t pass = 0; pass < passes; pass++) used += sum(words, count);
        json_item_integer((int64_t)(now_ns() - start));
    }
    json_list_end();
    json_end();
    free(words);
}
