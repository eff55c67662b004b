/* No fast kernels: every op runs its reference loops. */
#include "../isa.h"

const struct qb_isa qb_isa_scalar = {.name = "scalar"};
