/* Float weights that the file keeps as int8 or float16 behind a Dequantize: where only linear ops read them, they are expanded
 * while they are packed (qb_linear_weights_f32), and never lie in memory whole. */
#ifndef QB_EXPANSION_H
#define QB_EXPANSION_H

#include "executor.h"

/* Notes on every tensor whether anything reads its values as they are. Before any step is prepared. */
void qb_expansion_plan(qb_session *session);

/* Whether the prepared step is such a Dequantize: then its output names what it stands for and has no values. */
bool qb_expansion_defer(qb_step *step);

#endif
