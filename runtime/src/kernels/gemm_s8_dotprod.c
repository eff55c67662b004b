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

/* Steps of sixteen depths for whole tiles, in which nearly all time goes: compilers spend a tenth more instructions on
 * moving registers. v16 to v19 hold the upper rows, v20 to v23 the lower ones, v24 to v31 the weights. */
#define DOT(sum, w, x, lane) "\tsdot %" #sum ".4s, v" #w ".16b, v" #x ".4b[" #lane "]\n"
#define DOT_ROWS(a, b, c, d, e, f, g, h, w, v, x)                                                            \
    DOT(a, w, x, 0) DOT(b, v, x, 0) DOT(c, w, x, 1) DOT(d, v, x, 1)                                          \
    DOT(e, w, x, 2) DOT(f, v, x, 2) DOT(g, w, x, 3) DOT(h, v, x, 3)
#define DOT_GROUP(low, high, w, v)                                                                           \
    DOT_ROWS(0, 1, 2, 3, 4, 5, 6, 7, w, v, low) DOT_ROWS(8, 9, 10, 11, 12, 13, 14, 15, w, v, high)
#define DOT_STEP                                                                                             \
    "\tld1 {v16.16b-v19.16b}, [%[low]], #64\n"                                                                 \
    "\tld1 {v24.16b-v27.16b}, [%[weights]], #64\n"                                                             \
    "\tld1 {v20.16b-v23.16b}, [%[high]], #64\n"                                                                \
    "\tld1 {v28.16b-v31.16b}, [%[weights]], #64\n"                                                             \
    DOT_GROUP(16, 20, 24, 25) DOT_GROUP(17, 21, 26, 27) DOT_GROUP(18, 22, 28, 29) DOT_GROUP(19, 23, 30, 31)

#define START(a, b) "\tldp %q" #a ", %q" #b ", [%[start]]\n"

/* The sums from `start`, eight columns', and `steps` steps. */
static inline __attribute__((always_inline)) void run_steps(int32x4_t *s, const int32_t *start, size_t steps,
                                                            const int8_t **low, const int8_t **high,
                                                            const int8_t **weights)
{
    __asm__(START(0, 1) START(2, 3) START(4, 5) START(6, 7) START(8, 9) START(10, 11) START(12, 13) START(14, 15)
            "\tsubs %[steps], %[steps], #4\n"
            "\tb.lo .Lfew%=\n"
            ".Lfour%=:\n" DOT_STEP DOT_STEP DOT_STEP DOT_STEP
            "\tsubs %[steps], %[steps], #4\n"
            "\tb.hs .Lfour%=\n"
            ".Lfew%=:\n"
            "\tadds %[steps], %[steps], #4\n"
            "\tb.eq .Lend%=\n"
            ".Lone%=:\n" DOT_STEP
            "\tsubs %[steps], %[steps], #1\n"
            "\tb.ne .Lone%=\n"
            ".Lend%=:\n"
            : "=&w"(s[0]), "=&w"(s[1]), "=&w"(s[2]), "=&w"(s[3]), "=&w"(s[4]), "=&w"(s[5]), "=&w"(s[6]),
              "=&w"(s[7]), "=&w"(s[8]), "=&w"(s[9]), "=&w"(s[10]), "=&w"(s[11]), "=&w"(s[12]), "=&w"(s[13]),
              "=&w"(s[14]), "=&w"(s[15]), [low] "+r"(*low), [high] "+r"(*high), [weights] "+r"(*weights), [steps] "+r"(steps)
            : [start] "r"(start)
            : "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29",
              "v30", "v31", "cc", "memory");
}

/* All columns of the tile; `rows` is a constant wherever this is inlined, so that the sums stay in
 * registers. */
static inline __attribute__((always_inline)) void multiply(const qb_tile_s8 *tile, const size_t rows)
{
    const size_t groups = tile->taps * ((tile->depth + KR - 1) / KR);
    const int8_t *weights = tile->weights + tile->first_column * groups * KR;
    for (size_t column = tile->first_column; column < tile->end_column; column += NR) {
        int32x4_t sums[MR * VECTORS];
        const int8_t *low = tile->workspace, *high = low + groups * PANEL_GROUP;
        if (rows == MR) {
            run_steps(sums, tile->channels.start + column, groups / STEP, &low, &high, &weights);
            qb_start_rows_neon(tile, rows, VECTORS, sums);
        } else {
            qb_start_neon(tile, column, rows, VECTORS, sums);
        }
        for (size_t steps = rows == MR ? 0 : groups / STEP; steps > 0; steps--) {
            const int8x16x4_t x = vld1q_s8_x4(low), w = vld1q_s8_x4(weights);
            GROUP(x.val[0], x.val[0], &w.val[0])
            GROUP(x.val[1], x.val[1], &w.val[2])
            const int8x16x4_t next = vld1q_s8_x4(weights + 2 * NR * KR);
            GROUP(x.val[2], x.val[2], &next.val[0])
            GROUP(x.val[3], x.val[3], &next.val[2])
            low += STEP * PANEL_GROUP, weights += STEP * NR * KR;
        }
        for (size_t left = groups % STEP; left > 0; left--, low += PANEL_GROUP, high += PANEL_GROUP, weights += NR * KR) {
            const int8x16_t x = vld1q_s8(low), y = rows > 4 ? vld1q_s8(high) : x;
            const int8x16_t w[VECTORS] = {vld1q_s8(weights), vld1q_s8(weights + 16)};
            GROUP(x, y, w)
        }
        qb_finish_neon(tile, column, rows, VECTORS, sums);
    }
}

static void pack_tile(const qb_tile_s8 *tile)
{
    qb_pack_panels(tile, MR, KR);
}

static void run_tile(const qb_tile_s8 *tile)
{
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
    .takes_lines = true,
    .pack = pack_tile,
    .tile = run_tile,
};
