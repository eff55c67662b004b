/* int8 GEMM on NEON without dot products (Cortex-A53, A72; armv7): tiles of 4 × 16, on armv7 of 4 × 8.
 *
 * Two neighbouring depths of four columns fill eight bytes of weights. SMULL multiplies them by the same two
 * depths of a row, which stand there four times; SMLAL adds the next two depths, and SADALP the pairs to four
 * int32 lanes, one for each column: 16 products in three instructions. Two products fit an int16 because
 * weights stay in [-127, 127]: 2 · 128 · 127 = 32512.
 *
 * A tile's rows are written in that form to the workspace once, for all its columns:
 * [taps][depth / 4 rounded up][4 rows][2 pairs][4 times][2 depths].
 */
#include "finish_neon.h"

enum { MR = 4, KR = 4, KP = 2, REPEATED = 16 }; /* REPEATED: bytes of a row's four depths in the workspace */

#if defined(__aarch64__)
enum { NR = 16 };

/* Depths 4·group … 4·group + 3 of sixteen. */
static inline int8x16_t repeat_pairs(int8x16_t x, size_t group)
{
    static const uint8_t first[16] = {0, 1, 0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3, 2, 3};
    return vqtbl1q_s8(x, vaddq_u8(vld1q_u8(first), vdupq_n_u8((uint8_t)(KR * group))));
}

static inline int16x8_t multiply_pairs(int8x16_t x, int8x16_t w)
{
    return vmlal_high_s8(vmull_s8(vget_low_s8(x), vget_low_s8(w)), x, w);
}
#else
enum { NR = 8 }; /* sixteen vector registers instead of thirty-two */

static inline int8x16_t repeat_pairs(int8x16_t x, size_t group)
{
    int16_t pairs[8];
    vst1q_s8((int8_t *)pairs, x);
    return vreinterpretq_s8_s16(
        vcombine_s16(vdup_n_s16(pairs[group * 2]), vdup_n_s16(pairs[group * 2 + 1])));
}

static inline int16x8_t multiply_pairs(int8x16_t x, int8x16_t w)
{
    return vmlal_s8(vmull_s8(vget_low_s8(x), vget_low_s8(w)), vget_high_s8(x), vget_high_s8(w));
}
#endif
enum { VECTORS = NR / 4 };

/* Lets what uses `next` wait for `done`: compilers would multiply all rows first and run out of registers. */
#define QB_THEN(done, next) __asm__("" : "+w"(done), "+w"(next))

/* `count` registers, in as few loads as they take. */
static inline __attribute__((always_inline)) void load_registers(const int8_t *from, const size_t count,
                                                                 int8x16_t *to)
{
    if (count == 4) {
        const int8x16x4_t four = vld1q_s8_x4(from);
        QB_UNROLL
        for (size_t i = 0; i < 4; i++) to[i] = four.val[i];
    } else {
        QB_UNROLL
        for (size_t i = 0; i < count; i++) to[i] = vld1q_s8(from + 16 * i);
    }
}

/* Up to sixteen depths of every row: `count` of them, zeros behind them. */
static inline int8_t *pack_depths(const int8x16_t *x, size_t count, int8_t *to)
{
    for (size_t group = 0; group * KR < count; group++) {
        for (size_t r = 0; r < MR; r++, to += REPEATED) vst1q_s8(to, repeat_pairs(x[r], group));
    }
    return to;
}

/* The last depths of a row, zeros behind them. */
static inline int8x16_t load_last(const int8_t *x, size_t count)
{
    if (count == 8) return vcombine_s8(vld1_s8(x), vdup_n_s8(0)); /* the usual case */
    int8_t values[16] = {0};
    memcpy(values, x, count);
    return vld1q_s8(values);
}

static void pack_tile(const qb_tile_s8 *tile)
{
    int8_t *to = tile->workspace;
    for (size_t t = 0; t < tile->taps; t++) {
        const int8_t *const *from = tile->inputs + t * MR;
        int8x16_t x[MR];
        size_t k = 0;
        for (; k + 16 <= tile->depth; k += 16) {
            for (size_t r = 0; r < MR; r++) x[r] = vld1q_s8(from[r] + k);
            to = pack_depths(x, 16, to);
        }
        if (k == tile->depth) continue;
        for (size_t r = 0; r < MR; r++) x[r] = load_last(from[r] + k, tile->depth - k);
        to = pack_depths(x, tile->depth - k, to);
    }
}

/* Sums of rows × 4·vectors from `column` on, and what they become; both are constants wherever this is inlined, so
 * that the sums stay in registers. */
static inline __attribute__((always_inline)) void multiply(const qb_tile_s8 *tile, size_t column, const size_t rows,
                                                           const size_t vectors)
{
    const size_t groups = tile->taps * ((tile->depth + KR - 1) / KR);
    const int8_t *weights = tile->weights + column * groups * KR, *row = tile->workspace;
    int32x4_t sums[MR * VECTORS];
    qb_start_neon(tile, column, rows, vectors, sums);
    for (size_t g = 0; g < groups; g++, weights += NR * KR, row += MR * REPEATED) {
        int8x16_t x[MR], w[VECTORS];
        load_registers(row, rows, x);
        load_registers(weights, vectors, w);
        QB_UNROLL
        for (size_t r = 0; r < rows; r++) {
            int32x4_t *sum = sums + r * vectors;
            QB_UNROLL
            for (size_t v = 0; v < vectors; v++) {
                sum[v] = vpadalq_s16(sum[v], multiply_pairs(x[r], w[v]));
            }
            QB_UNROLL
            for (size_t v = 0; v < vectors && r + 1 < rows; v++) QB_THEN(sum[v], x[r + 1]);
        }
    }
    qb_finish_neon(tile, column, rows, vectors, sums);
}

/* All columns of the tile; eight at the end where no more are left. */
static inline __attribute__((always_inline)) void run_columns(const qb_tile_s8 *tile, const size_t rows)
{
    for (size_t column = tile->first_column; column < tile->end_column; column += NR) {
        if (NR == 16 && rows == MR && tile->end_column - column <= 8) {
            multiply(tile, column, rows, 2);
        } else {
            multiply(tile, column, rows, VECTORS);
        }
    }
}

static void run_tile(const qb_tile_s8 *tile)
{
    switch (tile->rows) {
    case 1: run_columns(tile, 1); break;
    case 2: run_columns(tile, 2); break;
    default: run_columns(tile, MR); break;
    }
}

const qb_gemm_s8 qb_gemm_s8_neon = {.name = "gemm_s8_neon",
                                    .mr = MR,
                                    .nr = NR,
                                    .kr = KR,
                                    .kp = KP,
                                    .expand = REPEATED / KR,
                                    .pack = pack_tile,
                                    .tile = run_tile};
