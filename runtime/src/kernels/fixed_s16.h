/* Logistic function and hyperbolic tangent of 16-bit fixed point, exactly as gemmlowp's fixedpoint.h computes them. */
#ifndef QB_FIXED_S16_H
#define QB_FIXED_S16_H

#include <stdint.h>

/* x in Q3.12; the result in Q0.15 */
int16_t qb_logistic_s16(int16_t x);

/* x with 0 to 6 integer bits; the result in Q0.15 */
int16_t qb_tanh_s16(int16_t x, int integer_bits);

#endif
