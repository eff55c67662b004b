/* int8 GEMM on aarch64 with SDOT (Cortex-A76, A55 and later): tiles of 8 × 8.
 *
 * SDOT adds four products to each of four int32 lanes. Weights hold four depths of a column side by side
 * (kr = 4). A tile's rows are packed once for all its columns (panel_neon.h); then, for sixteen depths, two
 * loads bring the rows, two the weights, each four registers, and 64 SDOT by lane use them. Exact over the
 * whole int8 range.
 */
#include "finish_neon.h"
#include "panel_neon.h"

enum { MR = 8, NR = 8, KR = 4, VECTORS = NR / 4, STEP = 4, PANEL_GROUP = KR * QB_PANEL_ROWS };

#define ROW(r, x, lane, w)                                                                                   \
    if (r < rows) {                                                                                          \
        sums[r * VECTORS] = vdotq_laneq_s32(sums[r * VECTORS], (w)[0], x, lane);                             \
        sums[r * VECTORS + 1] = vdotq_laneq_s32(sums[r * VECTORS + 1], (w)[1], x, lane);                     \
    }

/* Four depths of every row and column. */
#define GROUP(low, high, w)                                                                                  \
    ROW(0, low, 0, w) ROW(1, low, 1, w) ROW(2, low, 2, w) ROW(3, low, 3, w)                                  \
    ROW(4, high, 0, w) ROW(5, high, 1, w) ROW(6, high, 2, w) ROW(7, high, 3, w)

/* All columns of the tile; `rows` is a constant wherever this is inlined, so that the sums stay in
 * registers. */
static inline __attribute__((always_inline)) void multiply(const qb_tile_s8 *tile, const size_t rows)
{
    const size_t groups = tile->taps * ((tile->depth + KR - 1) / KR);
    const int8_t *weights = tile->weights + tile->first_column * groups * KR;
    for (size_t column = tile->first_column; column < tile->end_column; column += NR) {
        int32x4_t sums[MR * VECTORS];
        qb_start_neon(tile, column, rows, VECTORS, sums);
        const int8_t *low = tile->workspace, *high = low + groups * PANEL_GROUP;
        for (size_t steps = groups / STEP; steps > 0; steps--) {
            const int8x16x4_t x = vld1q_s8_x4(low), y = rows > 4 ? vld1q_s8_x4(high) : x;
            const int8x16x4_t w = vld1q_s8_x4(weights);
            QB_ADVANCE(low, STEP * PANEL_GROUP)
            QB_ADVANCE(high, STEP * PANEL_GROUP)
            QB_ADVANCE(weights, 2 * NR * KR)
            GROUP(x.val[0], y.val[0], &w.val[0])
            GROUP(x.val[1], y.val[1], &w.val[2])
            const int8x16x4_t next = vld1q_s8_x4(weights);
            QB_ADVANCE(weights, 2 * NR * KR)
            GROUP(x.val[2], y.val[2], &next.val[0])
            GROUP(x.val[3], y.val[3], &next.val[2])
        }
        for (size_t left = groups % STEP; left > 0; left--, low += PANEL_GROUP, high += PANEL_GROUP, weights += NR * KR) {
            const int8x16_t x = vld1q_s8(low), y = rows > 4 ? vld1q_s8(high) : x;
            const int8x16_t w[VECTORS] = {vld1q_s8(weights), vld1q_s8(weights + 16)};
            GROUP(x, y, w)
        }
        qb_finish_neon(tile, column, rows, VECTORS, sums);
    }
}

static void run_tile(const qb_tile_s8 *tile)
{
    qb_pack_panels((const void *const *)tile->inputs, MR, tile->rows, tile->taps, tile->depth, KR,
                   tile->workspace);
    if (tile->rows == 1) {
        multiply(tile, 1);
    } else if (tile->rows <= QB_PANEL_ROWS) {
        multiply(tile, QB_PANEL_ROWS);
    } else {
        multiply(tile, MR);
    }
}

const qb_gemm_s8 qb_gemm_s8_dotprod = {
    .name = "gemm_s8_dotprod",
    .mr = MR,
    .nr = NR,
    .kr = KR,
    .expand = 1,
    .full_range = true,
    .tile = run_tile,
};
