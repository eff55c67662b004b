/* Exponential, reciprocal and logarithm in fixed point, exactly as gemmlowp's fixedpoint.h and TFLite's common.h
 * compute them for softmax and its logarithm.
 *
 * Qm.n: an int32 read as raw · 2^-n, with m integer bits. A product of Qa and Qb is a doubling high multiplication
 * and has a + b integer bits.
 */
#ifndef QB_FIXED_EXP_H
#define QB_FIXED_EXP_H

#include <stdint.h>

#include "../requantize.h"

enum {
    QB_EXP_INTEGER_BITS = 5,      /* arguments of the exponential: Q5.26 */
    QB_EXP_SUM_INTEGER_BITS = 12, /* sums of exponentials: Q12.19 */
};

/* exp(x) in Q0.31 for x <= 0 in Q5.26. */
int32_t qb_exp_of_negative(int32_t x);

/* 1 / sum = value · 2^-bits_over_unit. */
typedef struct qb_reciprocal {
    int32_t value; /* Q0.31, in [1/2, 1) */
    int bits_over_unit;
} qb_reciprocal;

/* The reciprocal of a positive number in Q12.19. */
qb_reciprocal qb_reciprocal_of_sum(int32_t sum);

/* log(sum) in Q5.26 for a sum >= 1 in Q12.19. */
int32_t qb_log_of_sum(int32_t sum);

#endif
