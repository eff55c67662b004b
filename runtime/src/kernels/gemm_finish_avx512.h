/* The tail of a tile of 512-bit int8 kernels: sums in two registers a row become at most 32 outputs. */
#ifndef QB_GEMM_FINISH_AVX512_H
#define QB_GEMM_FINISH_AVX512_H

#include "gemm.h"
#include "tail_avx512.h"

enum { QB_FINISH_PANEL = 16, QB_FINISH_COLUMNS = 2 * QB_FINISH_PANEL };

/* Two rows at a time; from_zero: a constant wherever this is inlined. */
static inline __attribute__((always_inline)) void qb_finish_s8_avx512(const qb_tile_s8 *tile, size_t column,
                                                                      __mmask32 lanes, const __m512i *sums,
                                                                      const bool from_zero)
{
    const qb_requant *q = &tile->channels.requant;
    const size_t second = tile->end_column - column > QB_FINISH_PANEL ? column + QB_FINISH_PANEL : column;
    const qb_requant_avx512 low = qb_requant_load_avx512(q, column, from_zero),
                            high = qb_requant_load_avx512(q, second, from_zero);
    const qb_ends_avx512 ends = qb_ends_load_avx512(q);
    int8_t *out = (int8_t *)tile->out + column;
    for (size_t r = 0; r < tile->rows; r += 2, sums += 4, out += 2 * tile->out_stride) {
        __m512i values[4];
        for (size_t i = 0; i < 4; i++) values[i] = qb_multiply_avx512(sums[i], i % 2 == 0 ? &low : &high, from_zero);
        const __m512i words = qb_words_avx512(values[0], values[1], &ends, from_zero),
                      next = qb_words_avx512(values[2], values[3], &ends, from_zero);
        const __m512i bytes = qb_in_order_avx512(qb_bytes_avx512(words, next, &ends, from_zero));
        _mm256_mask_storeu_epi8(out, lanes, _mm512_castsi512_si256(bytes));
        if (r + 1 == tile->rows) break;
        _mm256_mask_storeu_epi8(out + tile->out_stride, lanes, _mm512_extracti64x4_epi64(bytes, 1));
    }
}

/* bound: tile->bound, a constant wherever this is inlined. */
static inline __attribute__((always_inline)) void qb_finish_f32_avx512(const qb_tile_s8 *tile, size_t column,
                                                                       __mmask32 lanes, const __m512i *sums,
                                                                       const bool bound)
{
    static const qb_sample_quant known = {1.0f, 0};
    const qb_dequant *d = &tile->channels.dequant;
    const __mmask16 some[2] = {(__mmask16)lanes, (__mmask16)(lanes >> QB_FINISH_PANEL)};
    for (size_t panel = 0; panel < 2 && some[panel] != 0; panel++, sums++, column += QB_FINISH_PANEL) {
        const qb_dequant_avx512 dequant = qb_dequant_load_avx512(d, column);
        float *out = (float *)tile->out + column;
        for (size_t r = 0; r < tile->rows; r++, out += tile->out_stride) {
            const __m512 real = qb_dequantize_avx512(sums[2 * r], &dequant, bound ? known : tile->quant[r], d->range);
            _mm512_mask_storeu_ps(out, some[panel], real);
        }
    }
}

static inline void qb_finish_s32_avx512(const qb_tile_s8 *tile, size_t column, __mmask32 lanes, const __m512i *sums)
{
    int32_t *out = (int32_t *)tile->out + column;
    for (size_t r = 0; r < tile->rows; r++, sums += 2, out += tile->out_stride) {
        _mm512_mask_storeu_epi32(out, (__mmask16)lanes, sums[0]);
        if (lanes >> QB_FINISH_PANEL == 0) continue;
        _mm512_mask_storeu_epi32(out + QB_FINISH_PANEL, (__mmask16)(lanes >> QB_FINISH_PANEL), sums[1]);
    }
}

/* At most 32 columns from `column` on. sums: [rows, and one more where they are odd][2] */
static void qb_finish_avx512(const qb_tile_s8 *tile, size_t column, const __m512i *sums)
{
    const size_t left = tile->end_column - column;
    const __mmask32 lanes = left < QB_FINISH_COLUMNS ? (1u << left) - 1 : UINT32_MAX;
    switch (tile->tail) {
    case QB_TAIL_S8:
        if (tile->channels.requant.from_zero) {
            qb_finish_s8_avx512(tile, column, lanes, sums, true);
        } else {
            qb_finish_s8_avx512(tile, column, lanes, sums, false);
        }
        break;
    case QB_TAIL_F32:
        if (tile->bound) {
            qb_finish_f32_avx512(tile, column, lanes, sums, true);
        } else {
            qb_finish_f32_avx512(tile, column, lanes, sums, false);
        }
        break;
    case QB_TAIL_S32: qb_finish_s32_avx512(tile, column, lanes, sums); break;
    }
}

#endif
