/* float32 GEMM on NEON with fused multiply-add, aarch64 and armv7 (VFPv4). Each sum is one chain of fused
 * multiply-adds in the order of the depth, so the bits are those of the reference; only armv7 flushes
 * denormals. */
#include "gemm.h"
#include "tail_neon.h"

#if defined(__aarch64__)
enum { MR = 5, VECTORS = 4 }; /* tiles of 5 × 16 */
#define FMA_LANE(sum, w, x, lane) vfmaq_laneq_f32(sum, w, x, lane)
#else
enum { MR = 4, VECTORS = 2 }; /* tiles of 4 × 8: half the registers, and no multiplication by lane */
#define FMA_LANE(sum, w, x, lane) vfmaq_f32(sum, w, vdupq_n_f32(vgetq_lane_f32(x, lane)))
#endif
enum { NR = VECTORS * 4, STEP = 4 };

/* One depth: the weights of all columns, each times the depth's value of every row. */
#define DEPTH(lane)                                                                                          \
    for (size_t v = 0; v < vectors; v++) {                                                                   \
        const float32x4_t w = vld1q_f32(weights + v * 4);                                                    \
        for (size_t r = 0; r < rows; r++) sums[r * vectors + v] = FMA_LANE(sums[r * vectors + v], w, x[r], lane); \
    }                                                                                                        \
    weights += NR;

/* Sums of rows × 4·vectors from `column` on; both are constants wherever this is inlined: the loops over them unroll
 * and the sums stay in registers. */
QB_NEON_INLINE void multiply(const qb_tile_f32 *tile, size_t column, const size_t rows, const size_t vectors,
                             float32x4_t *sums)
{
    const size_t depth = tile->depth, taps = tile->taps;
    const float *weights = tile->weights + column * taps * depth;
    float32x4_t x[MR];
    QB_UNROLL
    for (size_t i = 0; i < rows * vectors; i++) sums[i] = vld1q_f32(tile->bias + column + i % vectors * 4);
    for (size_t t = 0; t < taps; t++) {
        const float *const *row = tile->inputs + t * MR;
        size_t k = 0;
        for (; k + STEP <= depth; k += STEP) {
            for (size_t r = 0; r < rows; r++) x[r] = vld1q_f32(row[r] + k);
            DEPTH(0) DEPTH(1) DEPTH(2) DEPTH(3)
        }
        for (; k < depth; k++) {
            for (size_t r = 0; r < rows; r++) x[r] = vld1q_dup_f32(row[r] + k);
            DEPTH(0)
        }
    }
}

#if defined(__aarch64__)
/* The same for whole tiles, in which nearly all time goes: compilers spend a tenth more instructions on indices and
 * copies of registers. v20 to v24 hold the rows, v25 to v28 the weights. */
#define FMA(sum, w, x, lane) "\tfmla %" #sum ".4s, v" #w ".4s, v" #x ".s[" #lane "]\n"
#define FMA_COLUMNS(a, b, c, d, e, w, lane)                                                                  \
    FMA(a, w, 20, lane) FMA(b, w, 21, lane) FMA(c, w, 22, lane) FMA(d, w, 23, lane) FMA(e, w, 24, lane)
#define FMA_DEPTH(lane)                                                                                      \
    "\tld1 {v25.4s-v28.4s}, [%[weights]], #64\n"                                                             \
    FMA_COLUMNS(0, 4, 8, 12, 16, 25, lane) FMA_COLUMNS(1, 5, 9, 13, 17, 26, lane)                            \
    FMA_COLUMNS(2, 6, 10, 14, 18, 27, lane) FMA_COLUMNS(3, 7, 11, 15, 19, 28, lane)
#define ROWS(type, bytes)                                                                                    \
    "\tldr " #type "20, [x0], #" #bytes "\n\tldr " #type "21, [x1], #" #bytes "\n"                           \
    "\tldr " #type "22, [x2], #" #bytes "\n\tldr " #type "23, [x3], #" #bytes "\n"                           \
    "\tldr " #type "24, [x4], #" #bytes "\n"
#define START(a, b, c, d)                                                                                    \
    "\tldp %q" #a ", %q" #b ", [%[bias]]\n\tldp %q" #c ", %q" #d ", [%[bias], #32]\n"

QB_NEON_INLINE void multiply_whole(const qb_tile_f32 *tile, size_t column, float32x4_t *s)
{
    const float *weights = tile->weights + column * tile->taps * tile->depth;
    const float *const *inputs = tile->inputs;
    size_t taps = tile->taps;
    __asm__(START(0, 1, 2, 3) START(4, 5, 6, 7) START(8, 9, 10, 11) START(12, 13, 14, 15) START(16, 17, 18, 19)
            ".Ltap%=:\n"
            "\tldp x0, x1, [%[inputs]], #16\n"
            "\tldp x2, x3, [%[inputs]], #16\n"
            "\tldr x4, [%[inputs]], #8\n"
            "\tlsr x5, %[depth], #2\n"
            "\tcbz x5, .Lfew%=\n"
            ".Lfour%=:\n" ROWS(q, 16) FMA_DEPTH(0) FMA_DEPTH(1) FMA_DEPTH(2) FMA_DEPTH(3)
            "\tsubs x5, x5, #1\n"
            "\tb.ne .Lfour%=\n"
            ".Lfew%=:\n"
            "\tands x5, %[depth], #3\n"
            "\tb.eq .Lnext%=\n"
            ".Lone%=:\n" ROWS(s, 4) FMA_DEPTH(0)
            "\tsubs x5, x5, #1\n"
            "\tb.ne .Lone%=\n"
            ".Lnext%=:\n"
            "\tsubs %[taps], %[taps], #1\n"
            "\tb.ne .Ltap%=\n"
            : "=&w"(s[0]), "=&w"(s[1]), "=&w"(s[2]), "=&w"(s[3]), "=&w"(s[4]), "=&w"(s[5]), "=&w"(s[6]),
              "=&w"(s[7]), "=&w"(s[8]), "=&w"(s[9]), "=&w"(s[10]), "=&w"(s[11]), "=&w"(s[12]), "=&w"(s[13]),
              "=&w"(s[14]), "=&w"(s[15]), "=&w"(s[16]), "=&w"(s[17]), "=&w"(s[18]), "=&w"(s[19]),
              [weights] "+r"(weights), [inputs] "+r"(inputs), [taps] "+r"(taps)
            : [bias] "r"(tile->bias + column), [depth] "r"(tile->depth)
            : "x0", "x1", "x2", "x3", "x4", "x5", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "cc",
              "memory");
}
#else
static inline void multiply_whole(const qb_tile_f32 *tile, size_t column, float32x4_t *sums)
{
    multiply(tile, column, MR, VECTORS, sums);
}
#endif

/* Copies what exists of a tile; stored is [rows][width]. */
static __attribute__((noinline)) void copy_tile(const qb_tile_f32 *tile, size_t column, size_t width,
                                                const float *stored)
{
    const size_t left = tile->end_column - column, count = left < width ? left : width;
    for (size_t r = 0; r < tile->rows; r++) {
        memcpy(tile->out + r * tile->out_stride + column, stored + r * width, count * sizeof *stored);
    }
}

/* `below` and `above`: which bounds the range has; constants wherever this is inlined. */
QB_NEON_INLINE void store(float *out, size_t stride, const size_t rows, const size_t vectors, qb_range_f32 range,
                          const bool below, const bool above, float32x4_t *sums)
{
    const float32x4_t min = vdupq_n_f32(range.min), max = vdupq_n_f32(range.max);
    QB_UNROLL
    for (size_t r = 0; r < rows; r++, out += stride) {
        QB_UNROLL
        for (size_t v = 0; v < vectors; v++) {
            float32x4_t y = sums[r * vectors + v];
            if (below) y = vmaxq_f32(y, min);
            if (above) y = vminq_f32(y, max);
            vst1q_f32(out + v * 4, y);
        }
    }
}

QB_NEON_INLINE void finish(const qb_tile_f32 *tile, size_t column, const size_t rows, const size_t vectors,
                           float32x4_t *sums)
{
    float stored[MR * NR];
    const qb_range_f32 range = tile->range;
    const bool whole = tile->rows == rows && tile->end_column - column >= vectors * 4;
    float *out = whole ? tile->out + column : stored;
    const size_t stride = whole ? tile->out_stride : vectors * 4;
    if (range.max < INFINITY) {
        store(out, stride, rows, vectors, range, true, true, sums);
    } else if (range.min > -INFINITY) {
        store(out, stride, rows, vectors, range, true, false, sums);
    } else {
        store(out, stride, rows, vectors, range, false, false, sums);
    }
    if (!whole) copy_tile(tile, column, vectors * 4, stored);
}

/* All columns of the tile for `rows`, a constant, of which the tile may have fewer; half as wide where no more are
 * left. */
QB_NEON_INLINE void run_columns(const qb_tile_f32 *tile, const size_t rows)
{
    float32x4_t sums[MR * VECTORS];
    for (size_t column = tile->first_column; column < tile->end_column; column += NR) {
        if (tile->end_column - column <= NR / 2) {
            multiply(tile, column, rows, VECTORS / 2, sums);
            finish(tile, column, rows, VECTORS / 2, sums);
        } else {
            (rows == MR ? multiply_whole(tile, column, sums) : multiply(tile, column, rows, VECTORS, sums));
            finish(tile, column, rows, VECTORS, sums);
        }
    }
}

static void run_tile(const qb_tile_f32 *tile)
{
    switch (tile->rows) {
    case 1: run_columns(tile, 1); break;
    case 2: run_columns(tile, 2); break;
    default: run_columns(tile, MR); break;
    }
}

const qb_gemm_f32 qb_gemm_f32_neon = {.name = "gemm_f32_neon", .mr = MR, .nr = NR, .tile = run_tile};
