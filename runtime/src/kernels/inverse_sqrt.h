/* 1 / √x of a positive integer in fixed point, exactly as TFLite's GetInvSqrtQuantizedMultiplierExp. */
#ifndef QB_INVERSE_SQRT_H
#define QB_INVERSE_SQRT_H

#include "../requantize.h"

/* 0 counts as 1. */
qb_multiplier qb_inverse_sqrt(int32_t x);

#endif
