/* int8 GEMM on aarch64 with SDOT (Cortex-A76, A55 and later): tiles of 6 × 16.
 *
 * SDOT adds four products to each of four int32 lanes. Weights hold four depths of a column side by side
 * (kr = 4); one 16-byte register of an input row serves four such groups, each chosen by lane. Exact over the
 * whole int8 range.
 */
#include "finish_neon.h"

enum { MR = 6, NR = 16, KR = 4 };

/* One group of four depths: four registers of weights, each times the group's lane of every row. */
#define GROUP(lane)                                                                                          \
    for (size_t v = 0; v < 4; v++) {                                                                         \
        const int8x16_t w = vld1q_s8(weights + v * 16);                                                      \
        for (size_t r = 0; r < rows; r++) sums[r][v] = vdotq_laneq_s32(sums[r][v], w, x[r], lane);           \
    }                                                                                                        \
    weights += NR * KR;

/* The next four depths of a row, or the last ones with zeros behind them, in lane 0. */
static inline int8x16_t load_group(const int8_t *x, size_t count)
{
    int32_t bits = 0;
    if (count >= KR) {
        memcpy(&bits, x, KR);
    } else {
        memcpy(&bits, x, count);
    }
    return vreinterpretq_s8_s32(vdupq_n_s32(bits));
}

/* `rows` is a constant wherever this is inlined: the loops over it unroll and the sums stay in registers. */
static inline __attribute__((always_inline)) void multiply(const qb_tile_s8 *tile, const size_t rows)
{
    const size_t depth = tile->depth, padded = tile->taps * ((depth + KR - 1) / KR * KR);
    const int8_t *weights = tile->weights + tile->first_column * padded;
    for (size_t column = tile->first_column; column < tile->end_column; column += NR) {
        int32x4_t sums[MR][4];
        for (size_t r = 0; r < rows; r++) {
            const int32x4_t row_start = vdupq_n_s32(tile->row_start[r]);
            for (size_t v = 0; v < 4; v++) {
                sums[r][v] = vaddq_s32(vld1q_s32(tile->channels.start + column + v * 4), row_start);
            }
        }
        for (size_t t = 0; t < tile->taps; t++) {
            const int8_t *const *row = tile->inputs + t * MR;
            int8x16_t x[MR];
            size_t k = 0;
            for (; k + 16 <= depth; k += 16) {
                for (size_t r = 0; r < rows; r++) x[r] = vld1q_s8(row[r] + k);
                GROUP(0) GROUP(1) GROUP(2) GROUP(3)
            }
            for (; k < depth; k += KR) {
                for (size_t r = 0; r < rows; r++) x[r] = load_group(row[r] + k, depth - k);
                GROUP(0)
            }
        }
        int32_t stored[MR * NR];
        for (size_t r = 0; r < rows; r++) {
            for (size_t v = 0; v < 4; v++) vst1q_s32(stored + r * NR + v * 4, sums[r][v]);
        }
        const size_t left = tile->end_column - column;
        qb_finish_neon(tile, column, left < NR ? left : NR, NR, stored);
    }
}

static void run_tile(const qb_tile_s8 *tile)
{
    switch (tile->rows) {
    case 1: multiply(tile, 1); break;
    case 2: multiply(tile, 2); break;
    case 3: multiply(tile, 3); break;
    case 4: multiply(tile, 4); break;
    case 5: multiply(tile, 5); break;
    default: multiply(tile, MR); break;
    }
}

const qb_gemm_s8 qb_gemm_s8_dotprod = {
    .name = "gemm_s8_dotprod", .mr = MR, .nr = NR, .kr = KR, .tile = run_tile};
