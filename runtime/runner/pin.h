/* Which core the process runs on. */
#ifndef RUNNER_PIN_H
#define RUNNER_PIN_H

#include <stdbool.h>

/* Pins the process to `core`: a number, "auto", "none", or NULL for auto or none by `pin_by_default`. Returns the core,
 * or -1 where nothing was pinned because none was asked for or auto was refused; a numbered core refused fails. */
int pin_to_core(const char *core, bool pin_by_default);

#endif
