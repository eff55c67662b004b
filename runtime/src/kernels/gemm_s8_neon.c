/* int8 GEMM on NEON without dot products (Cortex-A53, A72; armv7): tiles of 4 × 8, as two halves of 4 × 4.
 *
 * Sixteen depths of a column lie side by side (kr = 16). SMULL multiplies the first eight with a row's, SMLAL
 * adds the other eight, SADALP adds the pairs to four int32 lanes: 16 products in three instructions. Two
 * products fit an int16 because weights stay in [-127, 127]: 2 · 128 · 127 = 32512. The four lanes are added
 * up at the end.
 */
#include "finish_neon.h"

#if defined(__aarch64__)
enum { MR = 4 };
#else
enum { MR = 2 }; /* sixteen vector registers instead of thirty-two */
#endif
enum { NR = 8, KR = 16, HALF = 4 };

/* The sums of four registers' lanes. */
static inline int32x4_t add_lanes(int32x4_t a, int32x4_t b, int32x4_t c, int32x4_t d)
{
    const int32x2_t ab =
        vpadd_s32(vadd_s32(vget_low_s32(a), vget_high_s32(a)), vadd_s32(vget_low_s32(b), vget_high_s32(b)));
    const int32x2_t cd =
        vpadd_s32(vadd_s32(vget_low_s32(c), vget_high_s32(c)), vadd_s32(vget_low_s32(d), vget_high_s32(d)));
    return vcombine_s32(ab, cd);
}

/* The last depths of a row, zeros behind them. */
static inline int8x16_t load_last(const int8_t *x, size_t count)
{
    if (count == 8) return vcombine_s8(vld1_s8(x), vdup_n_s8(0)); /* the usual case */
    int8_t values[KR] = {0};
    memcpy(values, x, count);
    return vld1q_s8(values);
}

/* Sixteen depths of four columns, times those of every row. */
#define MULTIPLY_GROUP()                                                                                     \
    for (size_t c = 0; c < HALF; c++) {                                                                      \
        const int8x16_t w = vld1q_s8(weights + c * KR);                                                      \
        for (size_t r = 0; r < rows; r++) {                                                                  \
            int16x8_t pairs = vmull_s8(vget_low_s8(x[r]), vget_low_s8(w));                                   \
            pairs = vmlal_s8(pairs, vget_high_s8(x[r]), vget_high_s8(w));                                    \
            sums[r][c] = vpadalq_s16(sums[r][c], pairs);                                                     \
        }                                                                                                    \
    }                                                                                                        \
    weights += NR * KR;

/* The sums of four columns, `start` included, to stored[rows][NR]. `rows` is a constant wherever this is
 * inlined: the loops over it unroll and the sums stay in registers. */
static inline __attribute__((always_inline)) void multiply_half(const qb_tile_s8 *tile, const size_t rows,
                                                                const int8_t *weights, const int32_t *start,
                                                                int32_t *stored)
{
    int32x4_t sums[MR][HALF];
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < HALF; c++) sums[r][c] = vdupq_n_s32(0);
    }
    for (size_t t = 0; t < tile->taps; t++) {
        const int8_t *const *row = tile->inputs + t * MR;
        int8x16_t x[MR];
        size_t k = 0;
        for (; k + KR <= tile->depth; k += KR) {
            for (size_t r = 0; r < rows; r++) x[r] = vld1q_s8(row[r] + k);
            MULTIPLY_GROUP()
        }
        if (k < tile->depth) {
            for (size_t r = 0; r < rows; r++) x[r] = load_last(row[r] + k, tile->depth - k);
            MULTIPLY_GROUP()
        }
    }
    for (size_t r = 0; r < rows; r++) {
        const int32x4_t total = add_lanes(sums[r][0], sums[r][1], sums[r][2], sums[r][3]);
        const int32x4_t first = vaddq_s32(vld1q_s32(start), vdupq_n_s32(tile->row_start[r]));
        vst1q_s32(stored + r * NR, vaddq_s32(first, total));
    }
}

static inline __attribute__((always_inline)) void multiply(const qb_tile_s8 *tile, const size_t rows)
{
    const size_t padded = tile->taps * ((tile->depth + KR - 1) / KR * KR);
    for (size_t column = tile->first_column; column < tile->end_column; column += NR) {
        const int8_t *weights = tile->weights + column * padded;
        const int32_t *start = tile->channels.start + column;
        int32_t stored[MR * NR];
        multiply_half(tile, rows, weights, start, stored);
        multiply_half(tile, rows, weights + HALF * KR, start + HALF, stored + HALF);
        const size_t left = tile->end_column - column;
        qb_finish_neon(tile, column, left < NR ? left : NR, NR, stored);
    }
}

static void run_tile(const qb_tile_s8 *tile)
{
    switch (tile->rows) {
    case 1: multiply(tile, 1); break;
    case 2: multiply(tile, 2); break;
    case 3: multiply(tile, MR < 3 ? MR : 3); break;
    default: multiply(tile, MR); break;
    }
}

const qb_gemm_s8 qb_gemm_s8_neon = {.name = "gemm_s8_neon", .mr = MR, .nr = NR, .kr = KR, .tile = run_tile};
