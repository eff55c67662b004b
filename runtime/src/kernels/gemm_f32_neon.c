/* float32 GEMM on NEON with fused multiply-add, aarch64 and armv7 (VFPv4). Each sum is one chain of fused
 * multiply-adds in the order of the depth, so the bits are those of the reference; only armv7 flushes
 * denormals. */
#include "gemm.h"
#include "tail_neon.h"

#if defined(__aarch64__)
enum { MR = 6, VECTORS = 4 }; /* tiles of 6 × 16 */
#define FMA_LANE(sum, w, x, lane) vfmaq_laneq_f32(sum, w, x, lane)
#else
enum { MR = 4, VECTORS = 2 }; /* tiles of 4 × 8: half the registers, and no multiplication by lane */
#define FMA_LANE(sum, w, x, lane) vfmaq_f32(sum, w, vdupq_n_f32(vgetq_lane_f32(x, lane)))
#endif
enum { NR = VECTORS * 4, STEP = 4 };

/* One depth: the weights of all columns, each times the depth's value of every row. */
#define DEPTH(lane)                                                                                          \
    for (size_t v = 0; v < VECTORS; v++) {                                                                   \
        const float32x4_t w = vld1q_f32(weights + v * 4);                                                    \
        for (size_t r = 0; r < rows; r++) sums[r][v] = FMA_LANE(sums[r][v], w, x[r], lane);                  \
    }                                                                                                        \
    weights += NR;

/* Copies the columns that are left of a tile; stored is [rows][NR]. */
static __attribute__((noinline)) void copy_columns(const qb_tile_f32 *tile, size_t column, const float *stored)
{
    for (size_t r = 0; r < tile->rows; r++) {
        memcpy(tile->out + r * tile->out_stride + column, stored + r * NR,
               (tile->end_column - column) * sizeof *stored);
    }
}

QB_NEON_INLINE void finish(const qb_tile_f32 *tile, size_t column, const size_t rows, float32x4_t (*sums)[VECTORS])
{
    float stored[MR * NR];
    const bool whole = tile->end_column - column >= NR;
    float *out = whole ? tile->out + column : stored;
    const size_t stride = whole ? tile->out_stride : NR;
    QB_UNROLL
    for (size_t r = 0; r < rows; r++, out += stride) {
        QB_UNROLL
        for (size_t v = 0; v < VECTORS; v++) vst1q_f32(out + v * 4, qb_clamp_neon(sums[r][v], tile->range));
    }
    if (!whole) copy_columns(tile, column, stored);
}

/* `rows` is a constant wherever this is inlined: the loops over it unroll and the sums stay in registers. */
QB_NEON_INLINE void multiply(const qb_tile_f32 *tile, const size_t rows)
{
    const size_t depth = tile->depth;
    const float *weights = tile->weights + tile->first_column * tile->taps * depth;
    for (size_t column = tile->first_column; column < tile->end_column; column += NR) {
        float32x4_t sums[MR][VECTORS], x[MR];
        QB_UNROLL
        for (size_t r = 0; r < rows; r++) {
            QB_UNROLL
            for (size_t v = 0; v < VECTORS; v++) sums[r][v] = vld1q_f32(tile->bias + column + v * 4);
        }
        for (size_t t = 0; t < tile->taps; t++) {
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
        finish(tile, column, rows, sums);
    }
}

static void run_tile(const qb_tile_f32 *tile)
{
    switch (tile->rows) {
    case 1: multiply(tile, 1); break;
    case 2: multiply(tile, 2); break;
    case 3: multiply(tile, 3); break;
    case 4: multiply(tile, 4); break;
    case 5: multiply(tile, MR < 5 ? MR : 5); break;
    default: multiply(tile, MR); break;
    }
}

const qb_gemm_f32 qb_gemm_f32_neon = {.name = "gemm_f32_neon", .mr = MR, .nr = NR, .tile = run_tile};
