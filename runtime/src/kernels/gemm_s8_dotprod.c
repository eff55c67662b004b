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
#define GROUP(x, w) ROW(0, x, 0, w) ROW(1, x, 1, w) ROW(2, x, 2, w) ROW(3, x, 3, w)

/* Adds to the sums of one panel's `rows` rows, 1 or 4, a constant; returns where the next columns' weights are. */
static inline __attribute__((always_inline)) const int8_t *multiply_four(const int8_t *panel, size_t groups,
                                                                         const int8_t *weights, const size_t rows,
                                                                         int32x4_t *sums)
{
    for (; groups >= STEP; groups -= STEP, panel += STEP * PANEL_GROUP, weights += STEP * NR * KR) {
        const int8x16x4_t x = vld1q_s8_x4(panel), w = vld1q_s8_x4(weights);
        GROUP(x.val[0], &w.val[0])
        GROUP(x.val[1], &w.val[2])
        const int8x16x4_t next = vld1q_s8_x4(weights + 2 * NR * KR);
        GROUP(x.val[2], &next.val[0])
        GROUP(x.val[3], &next.val[2])
    }
    for (; groups > 0; groups--, panel += PANEL_GROUP, weights += NR * KR) {
        const int8x16_t x = vld1q_s8(panel), w[VECTORS] = {vld1q_s8(weights), vld1q_s8(weights + 16)};
        GROUP(x, w)
    }
    return weights;
}

/* Whole tiles are assembly, as nearly all time goes there: compilers spend a tenth more instructions on moving
 * registers. %0 to %15 are the sums, row by row; v16 to v19 hold the upper rows' inputs, v20 to v23 the lower ones', v24
 * to v31 the weights. */
#define DOT(sum, w, x, lane) "\tsdot %" #sum ".4s, v" #w ".16b, v" #x ".4b[" #lane "]\n"
#define DOT_ROWS(a, b, c, d, e, f, g, h, w, v, x)                                                                      \
    DOT(a, w, x, 0) DOT(b, v, x, 0) DOT(c, w, x, 1) DOT(d, v, x, 1)                                                    \
    DOT(e, w, x, 2) DOT(f, v, x, 2) DOT(g, w, x, 3) DOT(h, v, x, 3)
#define DOT_GROUP(low, high, w, v)                                                                                     \
    DOT_ROWS(0, 1, 2, 3, 4, 5, 6, 7, w, v, low) DOT_ROWS(8, 9, 10, 11, 12, 13, 14, 15, w, v, high)
#define DOT_STEP /* sixteen depths */                                                                                  \
    "\tld1 {v16.16b-v19.16b}, [%[low]], #64\n"                                                                         \
    "\tld1 {v24.16b-v27.16b}, [%[weights]], #64\n"                                                                     \
    "\tld1 {v20.16b-v23.16b}, [%[high]], #64\n"                                                                        \
    "\tld1 {v28.16b-v31.16b}, [%[weights]], #64\n"                                                                     \
    DOT_GROUP(16, 20, 24, 25) DOT_GROUP(17, 21, 26, 27) DOT_GROUP(18, 22, 28, 29) DOT_GROUP(19, 23, 30, 31)
#define DOT_LEFT /* four */                                                                                            \
    "\tldr q16, [%[low]], #16\n"                                                                                       \
    "\tldp q24, q25, [%[weights]], #32\n"                                                                              \
    "\tldr q20, [%[high]], #16\n"                                                                                      \
    DOT_GROUP(16, 20, 24, 25)

/* The sums of a tile: `steps` steps from `start`, eight columns', and `left` groups of four depths. */
#define START(a, b) "\tldp %q" #a ", %q" #b ", [%[start]]\n"
#define MULTIPLY                                                                                                       \
    START(0, 1) START(2, 3) START(4, 5) START(6, 7) START(8, 9) START(10, 11) START(12, 13) START(14, 15)              \
    "\tsubs %[steps], %[steps], #4\n"                                                                                  \
    "\tb.lo 2f\n"                                                                                                      \
    "1:\n" DOT_STEP DOT_STEP DOT_STEP DOT_STEP                                                                         \
    "\tsubs %[steps], %[steps], #4\n"                                                                                  \
    "\tb.hs 1b\n"                                                                                                      \
    "2:\n\tadds %[steps], %[steps], #4\n"                                                                             \
    "\tb.eq 4f\n"                                                                                                      \
    "3:\n" DOT_STEP                                                                                                    \
    "\tsubs %[steps], %[steps], #1\n"                                                                                  \
    "\tb.ne 3b\n"                                                                                                      \
    "4:\n\tcbz %[left], 6f\n"                                                                                         \
    "5:\n" DOT_LEFT                                                                                                    \
    "\tsubs %[left], %[left], #1\n"                                                                                    \
    "\tb.ne 5b\n"                                                                                                      \
    "6:\n"
#define SUMS(s)                                                                                                        \
    "=&w"(s[0]), "=&w"(s[1]), "=&w"(s[2]), "=&w"(s[3]), "=&w"(s[4]), "=&w"(s[5]), "=&w"(s[6]), "=&w"(s[7]),            \
        "=&w"(s[8]), "=&w"(s[9]), "=&w"(s[10]), "=&w"(s[11]), "=&w"(s[12]), "=&w"(s[13]), "=&w"(s[14]), "=&w"(s[15])
#define CLOBBERED                                                                                                      \
    "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31",    \
        "cc", "memory"

static inline __attribute__((always_inline)) const int8_t *
multiply_eight(const int8_t *low, size_t groups, const int8_t *weights, const int32_t *start, int32x4_t *s)
{
    const int8_t *high = low + groups * PANEL_GROUP;
    size_t steps = groups / STEP, left = groups % STEP;
    __asm__(MULTIPLY
            : SUMS(s), [low] "+r"(low), [high] "+r"(high), [weights] "+r"(weights), [steps] "+r"(steps),
              [left] "+r"(left)
            : [start] "r"(start)
            : CLOBBERED);
    return weights;
}

/* The sums to bytes (tail_neon.h), eight a row. v16 and v17: multipliers, v18 and v19: shifts. */
#define EACH(instruction, a, b) "\t" instruction " %" #a ".4s, %" #a ".4s, v" #b ".4s\n"
#define EACH_ROW(instruction, a, b)                                                                                    \
    EACH(instruction, 0, a) EACH(instruction, 1, b) EACH(instruction, 2, a) EACH(instruction, 3, b)                    \
    EACH(instruction, 4, a) EACH(instruction, 5, b) EACH(instruction, 6, a) EACH(instruction, 7, b)                    \
    EACH(instruction, 8, a) EACH(instruction, 9, b) EACH(instruction, 10, a) EACH(instruction, 11, b)                  \
    EACH(instruction, 12, a) EACH(instruction, 13, b) EACH(instruction, 14, a) EACH(instruction, 15, b)
#define AWAY(a) "\tssra %" #a ".4s, %" #a ".4s, #31\n"
#define TIES_AWAY                                                                                                      \
    AWAY(0) AWAY(1) AWAY(2) AWAY(3) AWAY(4) AWAY(5) AWAY(6) AWAY(7) AWAY(8) AWAY(9) AWAY(10) AWAY(11) AWAY(12)         \
    AWAY(13) AWAY(14) AWAY(15)
#define JOIN(a, b) "\tuzp1 %" #a ".8h, %" #a ".8h, %" #b ".8h\n"
#define JOIN_ROWS                                                                                                      \
    JOIN(0, 1) JOIN(2, 3) JOIN(4, 5) JOIN(6, 7) JOIN(8, 9) JOIN(10, 11) JOIN(12, 13) JOIN(14, 15)
#define ADD(a) "\tsqadd %" #a ".8h, %" #a ".8h, v20.8h\n"
#define ADD_ZERO ADD(0) ADD(2) ADD(4) ADD(6) ADD(8) ADD(10) ADD(12) ADD(14)
#define NARROW(instruction, a, b)                                                                                      \
    "\t" instruction " %" #a ".8b, %" #a ".8h\n"                                                                       \
    "\t" instruction "2 %" #a ".16b, %" #b ".8h\n"
#define NARROW_ROWS(instruction)                                                                                       \
    NARROW(instruction, 0, 2) NARROW(instruction, 4, 6) NARROW(instruction, 8, 10) NARROW(instruction, 12, 14)
#define BYTES(instruction, b)                                                                                          \
    "\t" instruction " %0.16b, %0.16b, " b "\n\t" instruction " %4.16b, %4.16b, " b "\n"                               \
    "\t" instruction " %8.16b, %8.16b, " b "\n\t" instruction " %12.16b, %12.16b, " b "\n"
#define STORE(a)                                                                                                       \
    "\tst1 {%" #a ".d}[0], [%[out]], %[stride]\n"                                                                      \
    "\tst1 {%" #a ".d}[1], [%[out]], %[stride]\n"
#define FACTORS                                                                                                        \
    "\tldp q16, q17, [%[multiplier]]\n"                                                                                \
    "\tldp q18, q19, [%[right]]\n"                                                                                     \
    "\tneg v18.4s, v18.4s\n"                                                                                           \
    "\tneg v19.4s, v19.4s\n"
#define FROM_ZERO                                                                                                      \
    FACTORS EACH_ROW("sqrdmulh", 16, 17) EACH_ROW("srshl", 18, 19) JOIN_ROWS "\tmovi v20.16b, #128\n"                  \
    NARROW_ROWS("sqxtun") BYTES("eor", "v20.16b") STORE(0) STORE(4) STORE(8) STORE(12)
#define RIGHT                                                                                                          \
    FACTORS "\tldp q20, q21, [%[limits]]\n\tldr q22, [%[limits], #32]\n"                                               \
    EACH_ROW("sqrdmulh", 16, 17) TIES_AWAY EACH_ROW("srshl", 18, 19) JOIN_ROWS ADD_ZERO NARROW_ROWS("sqxtn")           \
    BYTES("smax", "v21.16b") BYTES("smin", "v22.16b") STORE(0) STORE(4) STORE(8) STORE(12)

/* Whole tiles: columns from the first as long as eight are left; returns the next one. What the loop needs is in variables
 * of its own, as stores of bytes may change anything in memory. */
#define DEFINE_MULTIPLY_WHOLE(name, tail)                                                                              \
    static size_t name(const qb_tile_s8 *tile)                                                                         \
    {                                                                                                                  \
        const qb_requant q = tile->channels.requant;                                                                   \
        const int8x16_t limits[3] = {vreinterpretq_s8_s16(vdupq_n_s16(q.zero)), vdupq_n_s8(q.min), vdupq_n_s8(q.max)}; \
        const size_t groups = tile->taps * ((tile->depth + KR - 1) / KR), end = tile->end_column / NR * NR;            \
        const size_t stride = tile->out_stride;                                                                        \
        const int8_t *weights = tile->weights + tile->first_column * groups * KR, *const panels = tile->workspace;     \
        const int32_t *start = tile->channels.start;                                                                   \
        int8_t *const to = tile->out;                                                                                  \
        size_t column = tile->first_column;                                                                            \
        for (; column < end; column += NR) {                                                                           \
            int32x4_t s[MR * VECTORS];                                                                                 \
            const int8_t *low = panels, *high = low + groups * PANEL_GROUP;                                            \
            size_t steps = groups / STEP, left = groups % STEP;                                                        \
            int8_t *out = to + column;                                                                                 \
            __asm__(MULTIPLY tail                                                                                      \
                    : SUMS(s), [low] "+r"(low), [high] "+r"(high), [weights] "+r"(weights), [steps] "+r"(steps),       \
                      [left] "+r"(left), [out] "+r"(out)                                                               \
                    : [start] "r"(start + column), [multiplier] "r"(q.multiplier + column),                            \
                      [right] "r"(q.right + column), [stride] "r"(stride), [limits] "r"(limits)                        \
                    : CLOBBERED);                                                                                      \
        }                                                                                                              \
        return column;                                                                                                 \
    }

DEFINE_MULTIPLY_WHOLE(multiply_from_zero, FROM_ZERO)
DEFINE_MULTIPLY_WHOLE(multiply_right, RIGHT)

/* All columns of the tile; `rows` is a constant wherever this is inlined, so that the sums stay in
 * registers. */
static inline __attribute__((always_inline)) void multiply(const qb_tile_s8 *tile, const size_t rows)
{
    const size_t groups = tile->taps * ((tile->depth + KR - 1) / KR);
    const int8_t *weights = tile->weights + tile->first_column * groups * KR;
    for (size_t column = tile->first_column; column < tile->end_column; column += NR) {
        int32x4_t sums[MR * VECTORS];
        if (rows == MR) {
            weights = multiply_eight(tile->workspace, groups, weights, tile->channels.start + column, sums);
            qb_start_rows_neon(tile, rows, VECTORS, sums);
        } else {
            qb_start_neon(tile, column, rows, VECTORS, sums);
            weights = multiply_four(tile->workspace, groups, weights, rows, sums);
        }
        qb_finish_neon(tile, column, rows, VECTORS, sums);
    }
}

static void pack_tile(const qb_tile_s8 *tile)
{
    qb_pack_panels(tile, MR, KR);
}

/* The columns that make whole tiles with the usual tails; returns the first one after them. */
static size_t run_whole(const qb_tile_s8 *tile)
{
    const bool usual = tile->rows == MR && tile->tail == QB_TAIL_S8 && !tile->rows_start;
    if (usual && tile->channels.requant.from_zero) return multiply_from_zero(tile);
    return usual && tile->channels.requant.shifts_right ? multiply_right(tile) : tile->first_column;
}

static void run_tile(const qb_tile_s8 *tile)
{
    qb_tile_s8 rest = *tile;
    rest.first_column = run_whole(tile);
    if (rest.rows == 1) {
        multiply(&rest, 1);
    } else if (rest.rows <= QB_PANEL_ROWS) {
        multiply(&rest, QB_PANEL_ROWS);
    } else {
        multiply(&rest, MR);
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
