/* float16 (IEEE 754 binary16) as constants are stored. */
#ifndef QB_FLOAT16_H
#define QB_FLOAT16_H

#include <stddef.h>
#include <stdint.h>

/* `count` values as float32, which holds each of them exactly: subnormal numbers, infinities and NaN too. */
void qb_expand_f16(const uint16_t *values, size_t count, float *expanded);

#endif
