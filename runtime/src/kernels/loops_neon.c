/* The loops of loops.h as the compiler makes them for NEON. */
#include "loops_body.h"

const qb_loops qb_loops_neon = QB_LOOPS;
