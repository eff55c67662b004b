/* int8 GEMM on aarch64 with SMMLA (Neoverse V1, Cortex-A710, X2 and later): tiles of 8 × 8.
 *
 * SMMLA multiplies two rows of eight depths by two columns of eight, and adds the four sums of products to four int32
 * lanes: 32 products in one instruction, exact over the whole int8 range. Rows are packed as for SDOT, eight depths in
 * turn; weights hold eight depths of a column side by side (kr = 8).
 */
#include "finish_neon.h"
#include "panel_neon.h"

enum { MR = 8, NR = 8, KR = 8, VECTORS = NR / 4, PAIRS = 2, PANEL_GROUP = KR * QB_PANEL_ROWS };

/* Eight depths of a panel's four rows, two registers, and of all columns, four: sums[2][4] of row and column pairs. */
#define PANEL(sums, x, w)                                                                                              \
    for (size_t p = 0; p < PAIRS; p++) {                                                                               \
        for (size_t c = 0; c < NR / 2; c++) sums[p][c] = vmmlaq_s32(sums[p][c], (x)[p], (w).val[c]);                   \
    }

/* The sums of a row pair apart: those of its first row from the lower halves, of its second from the upper ones. */
static inline void split_pair(const int32x4_t *pair, int32x4_t *first, int32x4_t *second)
{
    for (size_t v = 0; v < VECTORS; v++) {
        const int64x2_t left = vreinterpretq_s64_s32(pair[2 * v]), right = vreinterpretq_s64_s32(pair[2 * v + 1]);
        first[v] = vreinterpretq_s32_s64(vtrn1q_s64(left, right));
        second[v] = vreinterpretq_s32_s64(vtrn2q_s64(left, right));
    }
}

/* All columns of the tile; `panels`, 1 or 2, is a constant wherever this is inlined, so that the sums stay in
 * registers. */
QB_NEON_INLINE void multiply(const qb_tile_s8 *tile, const size_t panels)
{
    const size_t groups = tile->taps * ((tile->depth + KR - 1) / KR);
    const int8_t *weights = tile->weights + tile->first_column * groups * KR;
    for (size_t column = tile->first_column; column < tile->end_column; column += NR) {
        int32x4_t low[PAIRS][NR / 2], high[PAIRS][NR / 2], start[MR * VECTORS], sums[MR * VECTORS];
        for (size_t p = 0; p < PAIRS; p++) {
            for (size_t c = 0; c < NR / 2; c++) low[p][c] = high[p][c] = vdupq_n_s32(0);
        }
        const int8_t *x = tile->workspace, *y = x + groups * PANEL_GROUP;
        for (size_t g = 0; g < groups; g++, x += PANEL_GROUP, y += PANEL_GROUP, weights += NR * KR) {
            const int8x16x4_t w = vld1q_s8_x4(weights);
            const int8x16x2_t upper = vld1q_s8_x2(x);
            PANEL(low, upper.val, w)
            if (panels == 2) {
                const int8x16x2_t lower = vld1q_s8_x2(y);
                PANEL(high, lower.val, w)
            }
        }
        qb_start_neon(tile, column, panels * QB_PANEL_ROWS, VECTORS, start);
        QB_UNROLL
        for (size_t p = 0; p < PAIRS; p++) {
            const size_t row = 2 * p * VECTORS, below = row + QB_PANEL_ROWS * VECTORS;
            split_pair(low[p], sums + row, sums + row + VECTORS);
            if (panels == 2) split_pair(high[p], sums + below, sums + below + VECTORS);
        }
        QB_UNROLL
        for (size_t i = 0; i < panels * QB_PANEL_ROWS * VECTORS; i++) sums[i] = vaddq_s32(sums[i], start[i]);
        qb_finish_neon(tile, column, panels * QB_PANEL_ROWS, VECTORS, sums);
    }
}

static void pack_tile(const qb_tile_s8 *tile)
{
    qb_pack_panels(tile, MR, KR);
}

static void run_tile(const qb_tile_s8 *tile)
{
    if (tile->rows <= QB_PANEL_ROWS) {
        multiply(tile, 1);
    } else {
        multiply(tile, 2);
    }
}

const qb_gemm_s8 qb_gemm_s8_i8mm = {
    .name = "gemm_s8_i8mm",
    .mr = MR,
    .nr = NR,
    .kr = KR,
    .expand = 1,
    .full_range = true,
    .takes_lines = true,
    .pack = pack_tile,
    .tile = run_tile,
};
