#include "output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lease.h"
#include "runner.h"

output output_open(const char *name)
{
    const size_t length = strlen(name) + sizeof ".part";
    output output = {.name = name, .part = checked_malloc(length)};
    snprintf(output.part, length, "%s.part", name);
    output.stream = fopen(output.part, "wb");
    if (output.stream == NULL) fail("%s: %s", output.part, strerror(errno));
    return output;
}

void output_discard(output *output)
{
    fclose(output->stream);
    remove(output->part);
}

void output_finish(output *output)
{
    check_fence(); /* an output must not appear under somebody else's lease */
    const int failed = ferror(output->stream);
    if (fclose(output->stream) != 0 || failed != 0 || rename(output->part, output->name) != 0) {
        const int reason = errno;
        remove(output->part);
        fail("%s: %s", output->name, strerror(reason));
    }
    free(output->part);
}
