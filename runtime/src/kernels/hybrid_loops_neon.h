/* The passes of hybrid arithmetic over a sample (hybrid_loops.h) on NEON. armv7 cannot prefer numbers to NaN, nor round to
 * the nearest integer: it runs what the compiler makes of the plain loops. */
#ifndef QB_HYBRID_LOOPS_NEON_H
#define QB_HYBRID_LOOPS_NEON_H

#include "hybrid_loops.h"
#include "tail_neon.h"

#if defined(__aarch64__)
enum { QB_SAMPLE_QUADS = 4, QB_SAMPLE_LANES = 4 * QB_SAMPLE_QUADS };

/* FMINNM and FMAXNM prefer numbers to NaN. */
static inline void qb_find_range_neon(const float *x, size_t count, float *smallest, float *largest)
{
    float32x4_t low[QB_SAMPLE_QUADS], high[QB_SAMPLE_QUADS];
    for (size_t j = 0; j < QB_SAMPLE_QUADS; j++) low[j] = high[j] = vdupq_n_f32(0.0f);
    size_t i = 0;
    for (; i + QB_SAMPLE_LANES <= count; i += QB_SAMPLE_LANES) {
        const float32x4x4_t values = vld1q_f32_x4(x + i);
        QB_UNROLL
        for (size_t j = 0; j < QB_SAMPLE_QUADS; j++) {
            low[j] = vminnmq_f32(low[j], values.val[j]);
            high[j] = vmaxnmq_f32(high[j], values.val[j]);
        }
    }
    qb_find_range(x + i, count - i, smallest, largest);
    for (size_t j = 0; j < QB_SAMPLE_QUADS; j++) {
        *smallest = fminf(*smallest, vminnmvq_f32(low[j]));
        *largest = fmaxf(*largest, vmaxnmvq_f32(high[j]));
    }
}

/* The quotients lie in the range that gave the scale, or are NaN: their integers fit int16. */
static inline void qb_quantize_sample_neon(const float *x, size_t count, qb_sample_quant quant, int8_t *q)
{
    const float32x4_t low = vdupq_n_f32((float)(-128 - quant.zero_point));
    const float32x4_t inverse = vdupq_n_f32(1.0f / quant.scale);
    const int16x8_t zero = vdupq_n_s16((int16_t)quant.zero_point);
    size_t i = 0;
    for (; i + QB_SAMPLE_LANES <= count; i += QB_SAMPLE_LANES) {
        const float32x4x4_t values = vld1q_f32_x4(x + i);
        int32x4_t whole[QB_SAMPLE_QUADS];
        QB_UNROLL
        for (size_t j = 0; j < QB_SAMPLE_QUADS; j++) {
            whole[j] = vcvtnq_s32_f32(vmaxnmq_f32(vmulq_f32(values.val[j], inverse), low));
        }
        const int16x8_t first = vaddq_s16(qb_join_neon(whole[0], whole[1]), zero);
        const int16x8_t second = vaddq_s16(qb_join_neon(whole[2], whole[3]), zero);
        vst1q_s8(q + i, vqmovn_high_s16(vqmovn_s16(first), second));
    }
    qb_quantize_sample(x + i, count - i, quant, q + i);
}
#else
static inline void qb_find_range_neon(const float *x, size_t count, float *smallest, float *largest)
{
    qb_find_range(x, count, smallest, largest);
}

static inline void qb_quantize_sample_neon(const float *x, size_t count, qb_sample_quant quant, int8_t *q)
{
    qb_quantize_sample(x, count, quant, q);
}
#endif

#endif
