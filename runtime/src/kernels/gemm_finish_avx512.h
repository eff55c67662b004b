/* The tail of a tile of 512-bit int8 kernels: sums in a register a row become sixteen outputs. */
#ifndef QB_GEMM_FINISH_AVX512_H
#define QB_GEMM_FINISH_AVX512_H

#include "gemm.h"
#include "tail_avx512.h"

enum { QB_FINISH_COLUMNS = 16 };

static inline void qb_finish_s8_avx512(const qb_tile_s8 *tile, size_t column, __mmask16 lanes, const __m512i *sums,
                                        size_t step)
{
    const qb_requant_avx512 requant = qb_requant_load_avx512(&tile->channels.requant, column);
    int8_t *out = (int8_t *)tile->out + column;
    for (size_t r = 0; r < tile->rows; r++, sums += step, out += tile->out_stride) {
        _mm_mask_storeu_epi8(out, lanes, qb_requantize_avx512(*sums, &requant));
    }
}

static inline void qb_finish_f32_avx512(const qb_tile_s8 *tile, size_t column, __mmask16 lanes, const __m512i *sums,
                                        size_t step)
{
    const qb_dequant *d = &tile->channels.dequant;
    float *out = (float *)tile->out + column;
    for (size_t r = 0; r < tile->rows; r++, sums += step, out += tile->out_stride) {
        _mm512_mask_storeu_ps(out, lanes, qb_dequantize_avx512(*sums, d, tile->quant[r], column));
    }
}

static inline void qb_finish_s32_avx512(const qb_tile_s8 *tile, size_t column, __mmask16 lanes, const __m512i *sums,
                                        size_t step)
{
    int32_t *out = (int32_t *)tile->out + column;
    for (size_t r = 0; r < tile->rows; r++, sums += step, out += tile->out_stride) {
        _mm512_mask_storeu_epi32(out, lanes, *sums);
    }
}

/* At most sixteen columns from `column` on; the rows' sums are `step` apart. */
static void qb_finish_avx512(const qb_tile_s8 *tile, size_t column, const __m512i *sums, size_t step)
{
    const size_t left = tile->end_column - column;
    const __mmask16 lanes = qb_lanes_avx512(left < QB_FINISH_COLUMNS ? left : QB_FINISH_COLUMNS);
    switch (tile->tail) {
    case QB_TAIL_S8: qb_finish_s8_avx512(tile, column, lanes, sums, step); break;
    case QB_TAIL_F32: qb_finish_f32_avx512(tile, column, lanes, sums, step); break;
    case QB_TAIL_S32: qb_finish_s32_avx512(tile, column, lanes, sums, step); break;
    }
}

#endif
