/* The loops of loops.h as the compiler makes them for AVX2. */
#include "loops_body.h"

const qb_loops qb_loops_avx2 = QB_LOOPS;
