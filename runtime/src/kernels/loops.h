/* Loops over neighbouring values, for ops that do little with each. Plain C in loops_body.h, which one file per ISA
 * variant compiles with its flags (loops_<isa>.c): compilers make the best of it for each. Ops keep loops of their own
 * as the specification, which "scalar" runs; every result here is equal to theirs. */
#ifndef QB_LOOPS_H
#define QB_LOOPS_H

#include "../requantize.h"
#include "checks.h"
#include "hybrid.h"

/* qb_multiply as one multiplication, one addition and shifts (tail_avx512.h says why): for values whose product with
 * 2^left stays under 2^30. */
typedef struct qb_rescale {
    int32_t multiplier, left, right;
    int64_t nudge;
    int32_t away; /* all ones where right > 0 */
} qb_rescale;

static inline qb_rescale qb_rescale_by(qb_multiplier factor)
{
    const int32_t right = factor.shift > 0 ? 0 : -factor.shift;
    const int64_t half = right > 0 ? INT64_C(1) << (right - 1) : 0;
    return (qb_rescale){
        .multiplier = factor.multiplier,
        .left = factor.shift > 0 ? factor.shift + 1 : 1,
        .right = right,
        .nudge = (half << 32) + (INT64_C(1) << 31),
        .away = right > 0 ? -1 : 0,
    };
}

/* An int8 sum with one rounding: clamp((a·x + b·y + start) >> QB_SUM_BITS), x and y being the operands as they are stored;
 * see affine_sum.h. */
typedef struct qb_affine_sum {
    int32_t a, b, start; /* a and b: in [0, 2^22) */
    bool exact;          /* whether that is the rescaled sum for every x and y */
} qb_affine_sum;

enum { QB_SUM_BITS = 21 };

/* int8: out = clamp(rescale(a ∘ b) + zero), the operands less their zero points and for sums rescaled first. */
typedef struct qb_binary_s8 {
    int32_t a_zero, b_zero, zero;
    qb_rescale a, b, out; /* a and b: of values 2^common_bits times as large */
    int common_bits;
    qb_range_s8 range;
    qb_affine_sum sum; /* of a sum */
} qb_binary_s8;

/* A window of an image: rows × columns pixels of `channels` values, row_step values from row to row. */
typedef struct qb_window {
    size_t rows, columns, channels, row_step;
    qb_range_f32 range_f32;
    qb_range_s8 range_s8;
    bool half_up; /* int8 averages: ties go up, else away from zero */
} qb_window;

enum { QB_MOST_AVERAGED = 32768 }; /* pixels of a window whose int8 average is exact in float */

/* A channel's int8 weights. */
typedef struct qb_weights_range {
    int64_t magnitudes; /* their sum */
    int32_t sum;
    int8_t lowest, highest;
} qb_weights_range;

typedef struct qb_loops {
    /* NULL, or: what add_s8 wants as op->sum. a, b: the operands' scales, divided by the output's. */
    qb_affine_sum (*find_sum)(const qb_binary_s8 *op, double a, double b);
    void (*add_s8)(const qb_binary_s8 *op, const int8_t *a, const int8_t *b, int8_t *out, size_t count);
    void (*mul_s8)(const qb_binary_s8 *op, const int8_t *a, const int8_t *b, int8_t *out, size_t count);
    void (*add_f32)(qb_range_f32 range, const float *a, const float *b, float *out, size_t count);
    void (*mul_f32)(qb_range_f32 range, const float *a, const float *b, float *out, size_t count);
    /* One pixel from a window: the largest or the average of each channel. */
    void (*max_s8)(const qb_window *window, const int8_t *in, int8_t *out);
    void (*max_f32)(const qb_window *window, const float *in, float *out);
    void (*average_s8)(const qb_window *window, const int8_t *in, int8_t *out);
    void (*average_f32)(const qb_window *window, const float *in, float *out);
    void (*turn_signs)(const int8_t *from, size_t count, uint8_t *to); /* every value's sign bit */
    /* The passes of hybrid arithmetic over a sample (hybrid_loops.h). */
    void (*find_range)(const float *x, size_t count, float *smallest, float *largest);
    void (*quantize_sample)(const float *x, size_t count, qb_sample_quant quant, int8_t *q);
    qb_weights_range (*weights_range)(const int8_t *weights, size_t count);
} qb_loops;

#endif
