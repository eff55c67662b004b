#include "gemm_finish_avx2.h"

#include "tail_avx2.h"

/* `factors` is a constant wherever this is inlined. */
static inline __attribute__((always_inline)) void finish_s8(const qb_tile_s8 *tile, size_t column, size_t width,
                                                            const __m256i *sums, const qb_factors_avx2 factors)
{
    const qb_requant *q = &tile->channels.requant;
    const qb_requant_avx2 low = qb_requant_load_avx2(q, column, factors);
    const qb_requant_avx2 high = qb_requant_load_avx2(q, column + 8, factors);
    const qb_outputs_avx2 outputs = qb_outputs_load_avx2(q);
    const __m128i order = _mm_setr_epi8(0, 2, 1, 3, 8, 10, 9, 11, 4, 6, 5, 7, 12, 14, 13, 15);
    const size_t rows = tile->rows, stride = tile->out_stride;
    int8_t *out = (int8_t *)tile->out + column;
    for (size_t r = 0; r < rows; r++, sums += 2, out += stride) {
        const __m256i first = qb_multiply_avx2(sums[0], &low, factors);
        const __m256i second = qb_multiply_avx2(sums[1], &high, factors);
        const __m128i bytes = qb_narrow_avx2(first, second, &outputs, order, factors);
        if (width == QB_FINISH_COLUMNS) {
            _mm_storeu_si128((__m128i *)out, bytes);
        } else {
            memcpy(out, &bytes, width);
        }
    }
}

static void finish_f32(const qb_tile_s8 *tile, size_t column, size_t width, const __m256i *sums)
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

static void finish_s32(const qb_tile_s8 *tile, size_t column, size_t width, const __m256i *sums)
{
    int32_t *out = (int32_t *)tile->out + column;
    for (size_t r = 0; r < tile->rows; r++, sums += 2, out += tile->out_stride) {
        memcpy(out, sums, width * sizeof *out);
    }
}

void qb_finish_avx2(const qb_tile_s8 *tile, size_t column, const __m256i *sums)
{
    const size_t left = tile->end_column - column;
    const size_t width = left < QB_FINISH_COLUMNS ? left : QB_FINISH_COLUMNS;
    switch (tile->tail) {
    case QB_TAIL_S8:
        switch (qb_factors_of_avx2(&tile->channels.requant)) {
        case QB_FROM_ZERO: finish_s8(tile, column, width, sums, QB_FROM_ZERO); break;
        case QB_SHIFT_RIGHT: finish_s8(tile, column, width, sums, QB_SHIFT_RIGHT); break;
        case QB_ANY_FACTORS: finish_s8(tile, column, width, sums, QB_ANY_FACTORS); break;
        }
        break;
    case QB_TAIL_F32: finish_f32(tile, column, width, sums); break;
    case QB_TAIL_S32: finish_s32(tile, column, width, sums); break;
    }
}
