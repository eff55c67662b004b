/* A file that appears under its name only when it is whole: until then it is called NAME.part. */
#ifndef RUNNER_OUTPUT_H
#define RUNNER_OUTPUT_H

#include <stddef.h>
#include <stdio.h>

typedef struct output {
    const char *name;
    char *part; /* the file's name until it is whole */
    FILE *stream;
} output;

/* Fails by an error line where it cannot be made. */
output output_open(const char *name);

/* Removes what was written; for a fault elsewhere. */
void output_discard(output *output);

/* Lets the file appear, unless the lease has become somebody else's or it could not be written. */
void output_finish(output *output);

#endif
