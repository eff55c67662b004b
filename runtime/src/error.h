/* Filling in the public qb_error. */
#ifndef QB_ERROR_H
#define QB_ERROR_H

#include <stdbool.h>

#include "../include/quantbench.h"

/* Formats the message, cut where it does not fit. Returns false so that a check can `return qb_fail(…)`. */
bool qb_fail(qb_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
