/* The tail of an int8 GEMM tile on NEON. */
#ifndef QB_FINISH_NEON_H
#define QB_FINISH_NEON_H

#include "gemm.h"
#include "tail_neon.h"

/* The tail of `width` columns from `column` on. sums: [rows][nr] int32; nr is a multiple of 8 and at least
 * width. */
static inline void qb_finish_s8_neon(const qb_tile_s8 *tile, size_t column, size_t width, size_t nr,
                                     const int32_t *sums)
{
    const qb_requant *q = &tile->channels.requant;
    int8_t *out = (int8_t *)tile->out + column;
    for (size_t r = 0; r < tile->rows; r++, sums += nr, out += tile->out_stride) {
        for (size_t c = 0; c < width; c += 8) {
            const int8x8_t bytes =
                qb_requantize_neon(vld1q_s32(sums + c), vld1q_s32(sums + c + 4), q, column + c);
            if (width - c >= 8) {
                vst1_s8(out + c, bytes);
            } else {
                memcpy(out + c, &bytes, width - c);
            }
        }
    }
}

static inline void qb_finish_f32_neon(const qb_tile_s8 *tile, size_t column, size_t width, size_t nr,
                                      const int32_t *sums)
{
    const qb_dequant *d = &tile->channels.dequant;
    float *out = (float *)tile->out + column;
    for (size_t r = 0; r < tile->rows; r++, sums += nr, out += tile->out_stride) {
        for (size_t c = 0; c < width; c += 4) {
            const float32x4_t real = qb_dequantize_neon(vld1q_s32(sums + c), d, tile->quant[r], column + c);
            if (width - c >= 4) {
                vst1q_f32(out + c, real);
            } else {
                memcpy(out + c, &real, (width - c) * sizeof *out);
            }
        }
    }
}

static inline void qb_finish_neon(const qb_tile_s8 *tile, size_t column, size_t width, size_t nr,
                                  const int32_t *sums)
{
    switch (tile->tail) {
    case QB_TAIL_S8: qb_finish_s8_neon(tile, column, width, nr, sums); break;
    case QB_TAIL_F32: qb_finish_f32_neon(tile, column, width, nr, sums); break;
    case QB_TAIL_S32:
        for (size_t r = 0; r < tile->rows; r++) {
            memcpy((int32_t *)tile->out + r * tile->out_stride + column, sums + r * nr, width * sizeof *sums);
        }
        break;
    }
}

#endif
