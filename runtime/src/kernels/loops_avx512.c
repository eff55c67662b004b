/* The loops of loops.h as the compiler makes them for AVX-512. */
#include "loops_body.h"

const qb_loops qb_loops_avx512 = QB_LOOPS;
