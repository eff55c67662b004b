/* The loops of loops.h as the compiler makes them for NEON, but int8 sums and products, for which it does not find
 * SQRDMULH (tail_neon.h), averages over few pixels, and the passes over hybrid samples. */
#include "affine_sum.h"
#include "average_s8_neon.h"
#include "hybrid_loops_neon.h"
#include "loops_body.h"
#include "tail_neon.h"

enum { LANES = 16, QUADS = LANES / 4, SUM_BITS = 20, HALF_BITS = 6, FACTOR_BITS = 7 };
enum { FITTING = 13 }; /* shifts of sums under 2^28 that leave an int16 */

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

/* `rounding` is a constant wherever this is inlined. */
QB_NEON_INLINE void store_sixteen(const qb_binary_s8 *op, const qb_rounding rounding, int32x4_t *values, int8_t *out)
{
    const qb_factors_neon factors = factors_of(op->out);
    const qb_requant q = {.zero = (int16_t)op->zero, .min = (int8_t)op->range.min, .max = (int8_t)op->range.max};
    int8x16_t bytes;
    qb_requantize_neon(&q, &factors, QUADS, 1, rounding, values, &bytes);
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
        store_sixteen(op, QB_ROUND_RIGHT, sums, out + i);
    }
    return i;
}

/* The upper halves of eight int32. */
#if defined(__aarch64__)
static inline int16x8_t upper_halves(int32x4_t a, int32x4_t b)
{
    return vuzp2q_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b));
}
#else
static inline int16x8_t upper_halves(int32x4_t a, int32x4_t b)
{
    return vcombine_s16(vshrn_n_s32(a, 16), vshrn_n_s32(b, 16));
}
#endif

/* A factor of qb_affine_sum in two: seven bits for the bytes as they are, sixteen for the bytes times 2^7. */
typedef struct split_factor {
    int8x8_t low;
    int16x4_t high;
} split_factor;

static inline split_factor split(int32_t factor)
{
    const int32_t high = (factor + (1 << (FACTOR_BITS - 1))) >> FACTOR_BITS;
    return (split_factor){vdup_n_s8((int8_t)(factor - high * (1 << FACTOR_BITS))), vdup_n_s16((int16_t)high)};
}

/* Eight sums, without their last 16 bits. */
QB_NEON_INLINE int16x8_t linear_sums(int8x8_t x, int8x8_t y, split_factor a, split_factor b, int32x4_t start)
{
    const int16x8_t low = vmlal_s8(vmull_s8(x, a.low), y, b.low);
    const int16x8_t x_high = vshll_n_s8(x, FACTOR_BITS), y_high = vshll_n_s8(y, FACTOR_BITS);
    int32x4_t sums[2] = {vaddw_s16(start, vget_low_s16(low)), vaddw_s16(start, vget_high_s16(low))};
    __asm__("" : "+w"(sums[0]), "+w"(sums[1])); /* compilers would copy `start` to add to it last */
    sums[0] = vmlal_s16(sums[0], vget_low_s16(x_high), a.high);
    sums[1] = vmlal_s16(sums[1], vget_high_s16(x_high), a.high);
    sums[0] = vmlal_s16(sums[0], vget_low_s16(y_high), b.high);
    sums[1] = vmlal_s16(sums[1], vget_high_s16(y_high), b.high);
    return upper_halves(sums[0], sums[1]);
}

/* The same as add_sixteens, where sums are exact with one rounding (affine_sum.h). */
static size_t add_linear_sixteens(const qb_binary_s8 *op, const int8_t *a, const int8_t *b, int8_t *out, size_t count)
{
    const split_factor a_factor = split(op->sum.a), b_factor = split(op->sum.b);
    const int32x4_t start = vdupq_n_s32(op->sum.start);
    const int8x16_t min = vdupq_n_s8((int8_t)op->range.min), max = vdupq_n_s8((int8_t)op->range.max);
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        const int8x16_t x = vld1q_s8(a + i), y = vld1q_s8(b + i);
        const int16x8_t low = linear_sums(vget_low_s8(x), vget_low_s8(y), a_factor, b_factor, start);
        const int16x8_t high = linear_sums(vget_high_s8(x), vget_high_s8(y), a_factor, b_factor, start);
        const int8x16_t bytes = vcombine_s8(vqshrn_n_s16(low, QB_SUM_BITS - 16), vqshrn_n_s16(high, QB_SUM_BITS - 16));
        vst1q_s8(out + i, vminq_s8(vmaxq_s8(bytes, min), max));
    }
    return i;
}

/* The operand of the larger scale is halved, which is no shift; the other is shifted, or halved too. */
static void add_s8_neon(const qb_binary_s8 *given, const int8_t *a, const int8_t *b, int8_t *out, size_t count)
{
    const qb_binary_s8 op = *given;
    size_t done = 0;
    if (op.sum.exact) {
        done = add_linear_sixteens(&op, a, b, out, count);
    } else if (op.common_bits == SUM_BITS && op.a.left == 1 && op.b.left == 1 && op.out.left == 1 && op.out.right >= FITTING) {
        if (op.a.right > 0) {
            done = op.b.right > 0 ? add_sixteens(&op, a, b, out, count, true, true)
                                  : add_sixteens(&op, a, b, out, count, true, false);
        } else {
            done = op.b.right > 0 ? add_sixteens(&op, a, b, out, count, false, true)
                                  : add_sixteens(&op, a, b, out, count, false, false);
        }
    }
    if (done < count) add_s8(&op, a + done, b + done, out + done, count - done);
}

static qb_affine_sum find_sum(const qb_binary_s8 *op, double a, double b)
{
    return qb_find_affine_sum(op, a, b, add_s8_neon);
}

/* As many sixteens as there are; returns how many values that is. */
QB_NEON_INLINE size_t mul_sixteens(const qb_binary_s8 *op, const int8_t *a, const int8_t *b, int8_t *out, size_t count,
                                   const qb_rounding rounding)
{
    const int8x16_t a_zero = vdupq_n_s8((int8_t)op->a_zero), b_zero = vdupq_n_s8((int8_t)op->b_zero);
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        const int8x16_t x = vld1q_s8(a + i), y = vld1q_s8(b + i);
        const int16x8_t x_low = vsubl_s8(vget_low_s8(x), vget_low_s8(a_zero));
        const int16x8_t x_high = vsubl_s8(vget_high_s8(x), vget_high_s8(a_zero));
        const int16x8_t y_low = vsubl_s8(vget_low_s8(y), vget_low_s8(b_zero));
        const int16x8_t y_high = vsubl_s8(vget_high_s8(y), vget_high_s8(b_zero));
        int32x4_t products[QUADS] = {
            vmull_s16(vget_low_s16(x_low), vget_low_s16(y_low)),
            vmull_s16(vget_high_s16(x_low), vget_high_s16(y_low)),
            vmull_s16(vget_low_s16(x_high), vget_low_s16(y_high)),
            vmull_s16(vget_high_s16(x_high), vget_high_s16(y_high)),
        };
        store_sixteen(op, rounding, products, out + i);
    }
    return i;
}

static void mul_s8_neon(const qb_binary_s8 *given, const int8_t *a, const int8_t *b, int8_t *out, size_t count)
{
    const qb_binary_s8 op = *given;
    const bool from_zero = op.zero == INT8_MIN && op.range.min == INT8_MIN && op.range.max == INT8_MAX;
    size_t done = 0;
    if (op.out.left == 1 && op.out.right > 0) {
        done = from_zero ? mul_sixteens(&op, a, b, out, count, QB_ROUND_FROM_ZERO)
                         : mul_sixteens(&op, a, b, out, count, QB_ROUND_RIGHT);
    }
    if (done < count) mul_s8(&op, a + done, b + done, out + done, count - done);
}

static void average_s8_neon(const qb_window *window, const int8_t *in, int8_t *out)
{
    (qb_is_few(window) ? qb_average_channels : average_s8)(window, in, out);
}

const qb_loops qb_loops_neon = {
    .find_sum = find_sum,
    .add_s8 = add_s8_neon,
    .mul_s8 = mul_s8_neon,
    .average_s8 = average_s8_neon,
    .find_range = qb_find_range_neon,
    .quantize_sample = qb_quantize_sample_neon,
    QB_LOOPS_OF_THE_COMPILER,
};
