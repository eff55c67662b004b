/* The tail of a tile of 256-bit int8 kernels: sums in two registers a row become sixteen outputs. */
#ifndef QB_GEMM_FINISH_AVX2_H
#define QB_GEMM_FINISH_AVX2_H

#include <immintrin.h>
#include <string.h>

#include "gemm.h"

enum { QB_FINISH_COLUMNS = 16 };

/* At most sixteen columns from `column` on; sums is [rows][2]. */
void qb_finish_avx2(const qb_tile_s8 *tile, size_t column, const __m256i *sums);

#endif
