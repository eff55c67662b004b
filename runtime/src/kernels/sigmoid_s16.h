/* Logistic and Tanh of int16, symmetric, the output in Q0.15: TFLite's interpolation in a table of 256 values. */
#ifndef QB_SIGMOID_S16_H
#define QB_SIGMOID_S16_H

#include "kernel.h"

bool qb_prepare_logistic_s16(qb_builder *builder, qb_step *step);
bool qb_prepare_tanh_s16(qb_builder *builder, qb_step *step);

#endif
