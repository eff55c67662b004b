/* The start and the tail of an int8 GEMM tile on NEON: its sums from nothing, and to rows of output values. */
#ifndef QB_FINISH_NEON_H
#define QB_FINISH_NEON_H

#include "gemm.h"
#include "tail_neon.h"

/* A tile's sums stay in registers: row r has the columns column + 4·v + lane in sums[r · vectors + v]. `rows` and
 * `vectors` are constants wherever this is inlined; the tile may have fewer rows, and fewer columns may be left. */
enum { QB_FINISH_SUMS = 16, QB_FINISH_VECTORS = 4 }; /* the most that a tile has */

/* Adds what the rows start at. */
QB_NEON_INLINE void qb_start_rows_neon(const qb_tile_s8 *tile, size_t rows, size_t vectors, int32x4_t *sums)
{
    if (!tile->rows_start) return;
    QB_UNROLL
    for (size_t i = 0; i < rows * vectors; i++) {
        sums[i] = vaddq_s32(sums[i], vdupq_n_s32(tile->row_start[i / vectors]));
    }
}

QB_NEON_INLINE void qb_start_neon(const qb_tile_s8 *tile, size_t column, size_t rows, size_t vectors,
                                    int32x4_t *sums)
{
    QB_UNROLL
    for (size_t i = 0; i < rows * vectors; i++) {
        sums[i] = vld1q_s32(tile->channels.start + column + i % vectors * 4);
    }
    qb_start_rows_neon(tile, rows, vectors, sums);
}

QB_NEON_INLINE bool qb_is_whole_tile(const qb_tile_s8 *tile, size_t column, size_t rows, size_t vectors)
{
    return tile->rows == rows && tile->end_column - column >= vectors * 4;
}

/* Copies what exists of a tile from `stored`, [rows][nr] values of `size` bytes. */
static __attribute__((noinline)) void qb_copy_tile(const qb_tile_s8 *tile, size_t column, size_t nr,
                                                   size_t size, const void *stored)
{
    const size_t left = tile->end_column - column, width = left < nr ? left : nr;
    char *out = (char *)tile->out + column * size;
    for (size_t r = 0; r < tile->rows; r++) {
        memcpy(out + r * tile->out_stride * size, (const char *)stored + r * nr * size, width * size);
    }
}

/* One row in four registers: sixteen bytes a store. One in two: eight. */
QB_NEON_INLINE void qb_store_rows_s8(const qb_tile_s8 *tile, size_t column, size_t rows, size_t vectors,
                                       const int8x16_t *bytes)
{
    const size_t stride = tile->out_stride; /* stores of bytes may change anything in memory */
    int8_t *out = (int8_t *)tile->out + column;
    QB_UNROLL
    for (size_t r = 0; r < rows; r++, out += stride) {
        if (vectors == 4) {
            vst1q_s8(out, bytes[r]);
        } else {
            vst1_s8(out, r % 2 == 0 ? vget_low_s8(bytes[r / 2]) : vget_high_s8(bytes[r / 2]));
        }
    }
}

QB_NEON_INLINE void qb_finish_s8_neon(const qb_tile_s8 *tile, size_t column, size_t rows, size_t vectors,
                                        int32x4_t *sums)
{
    const qb_requant *q = &tile->channels.requant;
    int8x16_t bytes[QB_FINISH_SUMS / 4];
    qb_factors_neon factors[QB_FINISH_VECTORS];
    QB_UNROLL
    for (size_t v = 0; v < vectors; v++) factors[v] = qb_load_factors_neon(q, column + v * 4);
    if (q->from_zero) {
        qb_requantize_neon(q, factors, rows, vectors, QB_ROUND_FROM_ZERO, sums, bytes);
    } else if (q->shifts_right) {
        qb_requantize_neon(q, factors, rows, vectors, QB_ROUND_RIGHT, sums, bytes);
    } else {
        qb_requantize_neon(q, factors, rows, vectors, QB_ROUND_ANY, sums, bytes);
    }
    if (qb_is_whole_tile(tile, column, rows, vectors)) {
        qb_store_rows_s8(tile, column, rows, vectors, bytes);
    } else {
        int8x16_t stored[QB_FINISH_SUMS / 4];
        QB_UNROLL
        for (size_t i = 0; i < rows * vectors; i += 4) stored[i / 4] = bytes[i / 4];
        qb_copy_tile(tile, column, vectors * 4, sizeof(int8_t), stored);
    }
}

/* Rows of real values. `bound`, that of the tile, is a constant wherever this is inlined. */
QB_NEON_INLINE void qb_store_reals_neon(const qb_tile_s8 *tile, float *out, size_t stride, size_t column, size_t rows,
                                        size_t vectors, const bool bound, const int32x4_t *sums)
{
    const qb_dequant d = tile->channels.dequant; /* a copy: stores of floats may change anything in memory */
    const float32x4_t min = vdupq_n_f32(d.range.min), max = vdupq_n_f32(d.range.max);
    float32x4_t factors[QB_FINISH_VECTORS], bias[QB_FINISH_VECTORS];
    QB_UNROLL
    for (size_t v = 0; v < vectors; v++) {
        factors[v] = vld1q_f32(d.weight_scale + column + v * 4);
        bias[v] = vld1q_f32(d.bias + column + v * 4);
    }
    QB_UNROLL
    for (size_t r = 0; r < rows; r++, out += stride) {
        const qb_sample_quant quant = tile->quant[r < tile->rows ? r : 0];
        QB_UNROLL
        for (size_t v = 0; v < vectors; v++) {
            int32x4_t sum = sums[r * vectors + v];
            if (!bound) sum = vmlsq_n_s32(sum, vld1q_s32(d.weight_sum + column + v * 4), quant.zero_point);
            const float32x4_t factor = bound ? factors[v] : vmulq_n_f32(factors[v], quant.scale);
            const float32x4_t real = vaddq_f32(vmulq_f32(vcvtq_f32_s32(sum), factor), bias[v]);
            vst1q_f32(out + v * 4, vminq_f32(vmaxq_f32(real, min), max));
        }
    }
}

QB_NEON_INLINE void qb_finish_f32_neon(const qb_tile_s8 *tile, size_t column, size_t rows, size_t vectors,
                                         const int32x4_t *sums)
{
    float stored[QB_FINISH_SUMS * 4];
    const bool whole = qb_is_whole_tile(tile, column, rows, vectors);
    float *out = whole ? (float *)tile->out + column : stored;
    const size_t stride = whole ? tile->out_stride : vectors * 4;
    if (tile->bound) {
        qb_store_reals_neon(tile, out, stride, column, rows, vectors, true, sums);
    } else {
        qb_store_reals_neon(tile, out, stride, column, rows, vectors, false, sums);
    }
    if (!whole) qb_copy_tile(tile, column, vectors * 4, sizeof(float), stored);
}

QB_NEON_INLINE void qb_finish_neon(const qb_tile_s8 *tile, size_t column, const size_t rows,
                                     const size_t vectors, int32x4_t *sums)
{
    if (tile->tail == QB_TAIL_S8) {
        qb_finish_s8_neon(tile, column, rows, vectors, sums);
    } else if (tile->tail == QB_TAIL_F32) {
        qb_finish_f32_neon(tile, column, rows, vectors, sums);
    } else {
        int32x4_t stored[QB_FINISH_SUMS];
        QB_UNROLL
        for (size_t i = 0; i < rows * vectors; i++) stored[i] = sums[i];
        qb_copy_tile(tile, column, vectors * 4, sizeof(int32_t), stored);
    }
}

#endif
