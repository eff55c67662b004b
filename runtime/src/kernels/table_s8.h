/* Ops that map every int8 value by itself: of 256 values a table made at load holds whatever the op computes. */
#ifndef QB_TABLE_S8_H
#define QB_TABLE_S8_H

#include "kernel.h"

/* The output's value, not yet saturated, for an input's value q. */
typedef int32_t (*qb_map_s8)(const void *context, int32_t q);

/* One input and one output of the same shape, without a fused activation, and of the node's arithmetic's dtype. */
bool qb_check_map(qb_builder *builder, const qb_step *step);

/* Sets the step to look up the table of `map`; for a step that passed qb_check_map and is QB_S8. */
bool qb_prepare_table(qb_builder *builder, qb_step *step, qb_map_s8 map, const void *context);

/* The same for a real function, as TFLite's LUTPopulate does it:
 * q_out = round(f((q − zero_point) · scale) / scale_out) + zero_point_out, in f32. */
bool qb_prepare_real_table(qb_builder *builder, qb_step *step, float (*function)(float));

#endif
