/* The micro-kernel of float16 GEMM (gemm_fp16.h): tiles of 8 × 16, a multiply-add by lane for eight columns. */
#include <math.h>

#include "gemm_fp16.h"
#include "tail_neon.h"

enum { MR = QB_FP16_ROWS, NR = QB_FP16_COLUMNS, STEP = QB_FP16_STEP, VECTORS = NR / 8, BLOCK = 32 };

/* A row whose largest magnitude lies between these is taken as it is. */
#define SMALLEST 0x1p-4f
#define LARGEST 512.0f

static float largest_of(const float *const *inputs, size_t taps, size_t depth)
{
    float largest = 0.0f;
    for (size_t t = 0; t < taps; t++) {
        for (size_t k = 0; k < depth; k++) largest = fmaxf(largest, fabsf(inputs[t * MR][k]));
    }
    return largest;
}

QB_NEON_INLINE float16x8_t round_eight(const float *x, float factor)
{
    const float16x4_t low = vcvt_f16_f32(vmulq_n_f32(vld1q_f32(x), factor));
    return vcvt_high_f16_f32(low, vmulq_n_f32(vld1q_f32(x + 4), factor));
}

/* Returns the largest magnitude as it was rounded. */
static float round_row(const float *const *inputs, size_t taps, size_t depth, float factor, float16_t *to)
{
    uint16x8_t largest = vdupq_n_u16(0); /* magnitudes are in the order of their bits, NaN above infinity */
    for (size_t t = 0; t < taps; t++, to += depth) {
        const float *x = inputs[t * MR];
        size_t k = 0;
        for (; k + STEP <= depth; k += STEP) {
            const float16x8_t values = round_eight(x + k, factor);
            largest = vmaxq_u16(largest, vreinterpretq_u16_f16(vabsq_f16(values)));
            vst1q_f16(to + k, values);
        }
        if (k == depth) continue;
        float rest[STEP] = {0};
        memcpy(rest, x + k, (depth - k) * sizeof *rest);
        const float16x8_t values = round_eight(rest, factor);
        largest = vmaxq_u16(largest, vreinterpretq_u16_f16(vabsq_f16(values)));
        vst1q_f16(to + k, values);
    }
    const float16x8_t all = vreinterpretq_f16_u16(vdupq_n_u16(vmaxvq_u16(largest)));
    return (float)vgetq_lane_f16(all, 0);
}

float qb_pack_row_fp16(const float *const *inputs, size_t taps, size_t depth, size_t length, float16_t *to)
{
    vst1q_f16(to + length - STEP, vdupq_n_f16(0));
    const float rounded = round_row(inputs, taps, depth, 1.0f, to);
    if (rounded >= SMALLEST && rounded < LARGEST) return 1.0f;
    const float largest = largest_of(inputs, taps, depth);
    if (largest == 0.0f || !isfinite(largest)) return 1.0f;
    const int exponent = ilogbf(largest) > -100 ? ilogbf(largest) : -100; /* so that its power's reciprocal is finite */
    round_row(inputs, taps, depth, ldexpf(1.0f, -exponent), to);
    return ldexpf(1.0f, exponent);
}

/* One depth: the weights of all columns, each times the depth's value of every row. */
#define DEPTH(lane)                                                                                          \
    for (size_t v = 0; v < VECTORS; v++) {                                                                   \
        const float16x8_t w = vld1q_f16(weights + v * 8);                                                    \
        for (size_t r = 0; r < rows; r++) part[r][v] = vfmaq_laneq_f16(part[r][v], w, x[r], lane);           \
    }                                                                                                        \
    weights += NR;

/* `steps` times eight depths. */
QB_NEON_INLINE const float16_t *sum_block(const qb_tile_fp16 *tile, const float16_t *inputs, const float16_t *weights,
                                          size_t steps, const size_t rows, float16x8_t (*part)[VECTORS])
{
    for (; steps > 0; steps--, inputs += STEP) {
        float16x8_t x[MR];
        QB_UNROLL
        for (size_t r = 0; r < rows; r++) x[r] = vld1q_f16(inputs + r * tile->depth);
        DEPTH(0) DEPTH(1) DEPTH(2) DEPTH(3) DEPTH(4) DEPTH(5) DEPTH(6) DEPTH(7)
    }
    return weights;
}

/* Adds the block's sums to those in float32. */
QB_NEON_INLINE void add_block(const float16x8_t *part, const size_t vectors, float *sums)
{
    __asm__ volatile("" : : "r"(sums) : "memory"); /* compilers keep some in registers that the next block needs */
    QB_UNROLL
    for (size_t i = 0; i < vectors; i++, sums += 8) {
        vst1q_f32(sums, vaddq_f32(vld1q_f32(sums), vcvt_f32_f16(vget_low_f16(part[i]))));
        vst1q_f32(sums + 4, vaddq_f32(vld1q_f32(sums + 4), vcvt_high_f32_f16(part[i])));
    }
}

static void finish(const qb_tile_fp16 *tile, size_t column, const float *sums)
{
    const size_t left = tile->end_column - column, rows = tile->rows, stride = tile->out_stride;
    const qb_range_f32 range = tile->range;
    const float *scale = tile->scale;
    float *out = tile->out + column, stored[NR];
    float32x4_t bias[NR / 4];
    QB_UNROLL
    for (size_t v = 0; v < NR / 4; v++) bias[v] = vld1q_f32(tile->bias + column + v * 4);
    for (size_t r = 0; r < rows; r++, out += stride, sums += NR) {
        float *to = left >= NR ? out : stored;
        QB_UNROLL
        for (size_t v = 0; v < NR / 4; v++) {
            const float32x4_t sum = vfmaq_n_f32(bias[v], vld1q_f32(sums + v * 4), scale[r]);
            vst1q_f32(to + v * 4, qb_clamp_neon(sum, range));
        }
        if (left < NR) memcpy(out, stored, left * sizeof *out);
    }
}

/* `rows` is a constant wherever this is inlined: the block's sums stay in registers. */
QB_NEON_INLINE void multiply(const qb_tile_fp16 *tile, const size_t rows)
{
    const float16_t *weights = tile->weights + tile->first_column * tile->depth;
    for (size_t column = tile->first_column; column < tile->end_column; column += NR) {
        float sums[MR * NR] = {0};
        for (size_t k = 0; k < tile->depth; k += BLOCK) {
            const size_t left = tile->depth - k, steps = (left < BLOCK ? left : BLOCK) / STEP;
            float16x8_t part[MR][VECTORS];
            QB_UNROLL
            for (size_t i = 0; i < rows * VECTORS; i++) part[i / VECTORS][i % VECTORS] = vdupq_n_f16(0);
            weights = sum_block(tile, tile->inputs + k, weights, steps, rows, part);
            add_block(part[0], rows * VECTORS, sums);
        }
        finish(tile, column, sums);
    }
}

void qb_run_tile_fp16(const qb_tile_fp16 *tile)
{
    if (tile->rows == 1) {
        multiply(tile, 1);
    } else if (tile->rows <= 4) {
        multiply(tile, 4);
    } else {
        multiply(tile, MR);
    }
}
