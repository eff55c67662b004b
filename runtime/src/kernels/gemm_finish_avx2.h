/* The tail of a tile of 256-bit int8 kernels: sums in two registers a row become sixteen outputs. */
#ifndef QB_GEMM_FINISH_AVX2_H
#define QB_GEMM_FINISH_AVX2_H

#include "gemm.h"
#include "tail_avx2.h"

enum { QB_FINISH_COLUMNS = 16 };

/* from_zero: a constant wherever this is inlined. */
static inline __attribute__((always_inline)) void qb_finish_s8_avx2(const qb_tile_s8 *tile, size_t column, size_t width,
                                                                    const __m256i *sums, const bool from_zero)
{
    const qb_requant *q = &tile->channels.requant;
    const qb_requant_avx2 low = qb_requant_load_avx2(q, column), high = qb_requant_load_avx2(q, column + 8);
    int8_t *out = (int8_t *)tile->out + column;
    for (size_t r = 0; r < tile->rows; r++, sums += 2, out += tile->out_stride) {
        const __m256i first = from_zero ? qb_multiply_from_zero_avx2(sums[0], &low) : qb_multiply_avx2(sums[0], &low);
        const __m256i second = from_zero ? qb_multiply_from_zero_avx2(sums[1], &high) : qb_multiply_avx2(sums[1], &high);
        const __m128i bytes = qb_narrow_avx2(first, second, q);
        if (width == QB_FINISH_COLUMNS) {
            _mm_storeu_si128((__m128i *)out, bytes);
        } else {
            memcpy(out, &bytes, width);
        }
    }
}

static inline void qb_finish_f32_avx2(const qb_tile_s8 *tile, size_t column, size_t width, const __m256i *sums)
{
    const qb_dequant *d = &tile->channels.dequant;
    float *out = (float *)tile->out + column;
    for (size_t r = 0; r < tile->rows; r++, sums += 2, out += tile->out_stride) {
        __m256 real[2];
        real[0] = qb_dequantize_avx2(sums[0], d, tile->quant[r], column);
        real[1] = qb_dequantize_avx2(sums[1], d, tile->quant[r], column + 8);
        if (width == QB_FINISH_COLUMNS) {
            _mm256_storeu_ps(out, real[0]);
            _mm256_storeu_ps(out + 8, real[1]);
        } else {
            memcpy(out, real, width * sizeof *out);
        }
    }
}

static inline void qb_finish_s32_avx2(const qb_tile_s8 *tile, size_t column, size_t width, const __m256i *sums)
{
    int32_t *out = (int32_t *)tile->out + column;
    for (size_t r = 0; r < tile->rows; r++, sums += 2, out += tile->out_stride) {
        memcpy(out, sums, width * sizeof *out);
    }
}

/* At most sixteen columns from `column` on; sums is [rows][2]. */
static __attribute__((noinline)) void qb_finish_avx2(const qb_tile_s8 *tile, size_t column, const __m256i *sums)
{
    const size_t left = tile->end_column - column;
    const size_t width = left < QB_FINISH_COLUMNS ? left : QB_FINISH_COLUMNS;
    switch (tile->tail) {
    case QB_TAIL_S8:
        if (tile->channels.requant.from_zero) qb_finish_s8_avx2(tile, column, width, sums, true);
        else qb_finish_s8_avx2(tile, column, width, sums, false);
        break;
    case QB_TAIL_F32: qb_finish_f32_avx2(tile, column, width, sums); break;
    case QB_TAIL_S32: qb_finish_s32_avx2(tile, column, width, sums); break;
    }
}

#endif
