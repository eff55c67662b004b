/* The loops of loops.h as the compiler makes them for NEON, but int8 sums and products, for which it does not find
 * SQRDMULH (tail_neon.h), and the passes over hybrid samples. */
#include "hybrid_loops_neon.h"
#include "loops_body.h"
#include "tail_neon.h"

enum { LANES = 16, QUADS = LANES / 4, SUM_BITS = 20, HALF_BITS = 6 };

/* Sixteen values less their zero point, 2^6 times as large: they just fit int16. */
static inline int16x8x2_t load_centred(const int8_t *from, int16x8_t zero)
{
    const int8x16_t x = vld1q_s8(from);
    return (int16x8x2_t){{vsubq_s16(vshll_n_s8(vget_low_s8(x), HALF_BITS), zero),
                          vsubq_s16(vshll_n_s8(vget_high_s8(x), HALF_BITS), zero)}};
}

static inline int32x4_t quad_of(int16x8x2_t x, size_t i)
{
    const int16x8_t half = x.val[i / 2];
    return vshll_n_s16(i % 2 == 0 ? vget_low_s16(half) : vget_high_s16(half), SUM_BITS - HALF_BITS);
}

static inline qb_factors_neon factors_of(qb_rescale by)
{
    return (qb_factors_neon){vdupq_n_s32(by.multiplier), vdupq_n_s32(by.left - 1), vdupq_n_s32(-by.right)};
}

/* `shifts` is a constant wherever this is inlined. */
QB_NEON_INLINE int32x4_t to_common_scale(int32x4_t x, qb_factors_neon factors, const bool shifts)
{
    return shifts ? qb_multiply_right_neon(x, factors) : vqrdmulhq_s32(x, factors.multiplier);
}

static inline void store_sixteen(const qb_binary_s8 *op, int32x4_t *values, int8_t *out)
{
    const qb_factors_neon factors = factors_of(op->out);
    const qb_requant q = {.zero = (int16_t)op->zero, .min = (int8_t)op->range.min, .max = (int8_t)op->range.max};
    int8x16_t bytes;
    qb_requantize_neon(&q, &factors, QUADS, 1, QB_ROUND_RIGHT, values, &bytes);
    vst1q_s8(out, bytes);
}

/* As many sixteens as there are; returns how many values that is. */
QB_NEON_INLINE size_t add_sixteens(const qb_binary_s8 *op, const int8_t *a, const int8_t *b, int8_t *out, size_t count,
                                   const bool shifts_a, const bool shifts_b)
{
    const int16x8_t a_zero = vdupq_n_s16((int16_t)(op->a_zero * (1 << HALF_BITS)));
    const int16x8_t b_zero = vdupq_n_s16((int16_t)(op->b_zero * (1 << HALF_BITS)));
    const qb_factors_neon a_factors = factors_of(op->a), b_factors = factors_of(op->b);
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        const int16x8x2_t x = load_centred(a + i, a_zero), y = load_centred(b + i, b_zero);
        int32x4_t sums[QUADS];
        QB_UNROLL
        for (size_t j = 0; j < QUADS; j++) {
            sums[j] = vaddq_s32(to_common_scale(quad_of(x, j), a_factors, shifts_a),
                                to_common_scale(quad_of(y, j), b_factors, shifts_b));
        }
        store_sixteen(op, sums, out + i);
    }
    return i;
}

/* The operand of the larger scale is halved, which is no shift; the other is shifted, or halved too. */
static void add_s8_neon(const qb_binary_s8 *given, const int8_t *a, const int8_t *b, int8_t *out, size_t count)
{
    const qb_binary_s8 op = *given;
    size_t done = 0;
    if (op.common_bits == SUM_BITS && op.a.left == 1 && op.b.left == 1 && op.out.left == 1 && op.out.right > 0) {
        if (op.a.right > 0) {
            done = op.b.right > 0 ? add_sixteens(&op, a, b, out, count, true, true)
                                  : add_sixteens(&op, a, b, out, count, true, false);
        } else {
            done = op.b.right > 0 ? add_sixteens(&op, a, b, out, count, false, true)
                                  : add_sixteens(&op, a, b, out, count, false, false);
        }
    }
    add_s8(&op, a + done, b + done, out + done, count - done);
}

static void mul_s8_neon(const qb_binary_s8 *given, const int8_t *a, const int8_t *b, int8_t *out, size_t count)
{
    const qb_binary_s8 op = *given;
    const int8x8_t a_zero = vdup_n_s8((int8_t)op.a_zero), b_zero = vdup_n_s8((int8_t)op.b_zero);
    size_t i = 0;
    for (; op.out.left == 1 && op.out.right > 0 && i + LANES <= count; i += LANES) {
        const int8x16_t x = vld1q_s8(a + i), y = vld1q_s8(b + i);
        const int16x8_t x_low = vsubl_s8(vget_low_s8(x), a_zero), x_high = vsubl_s8(vget_high_s8(x), a_zero);
        const int16x8_t y_low = vsubl_s8(vget_low_s8(y), b_zero), y_high = vsubl_s8(vget_high_s8(y), b_zero);
        int32x4_t products[QUADS] = {
            vmull_s16(vget_low_s16(x_low), vget_low_s16(y_low)),
            vmull_s16(vget_high_s16(x_low), vget_high_s16(y_low)),
            vmull_s16(vget_low_s16(x_high), vget_low_s16(y_high)),
            vmull_s16(vget_high_s16(x_high), vget_high_s16(y_high)),
        };
        store_sixteen(&op, products, out + i);
    }
    mul_s8(&op, a + i, b + i, out + i, count - i);
}

const qb_loops qb_loops_neon = {.add_s8 = add_s8_neon,
                                .mul_s8 = mul_s8_neon,
                                .find_range = qb_find_range_neon,
                                .quantize_sample = qb_quantize_sample_neon,
                                QB_LOOPS_OF_THE_COMPILER};
