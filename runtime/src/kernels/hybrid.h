/* Hybrid arithmetic's first half: float32 activations to int8 at run time, each sample with its own range.
 *
 *     [low, high] = the sample's range, widened to hold 0;  scale = (high − low) / 255
 *     zero_point = round(−128 − low / scale), clamped to [-128, 127]
 *     q = clamp(round(x / scale) + zero_point, -128, 127)
 *
 * With one scale for all weights the range is symmetric instead, as in TFLite's kernels for such files:
 *
 *     scale = max |x| / 127;  zero_point = 0
 *
 * round is to nearest, ties to even, and x / scale is x times the rounded reciprocal: both cost one
 * instruction and give the same bits on every architecture. A sample that holds an infinity gets a scale that
 * is not finite, and its outputs are NaN; a NaN counts as the lowest value.
 */
#ifndef QB_HYBRID_H
#define QB_HYBRID_H

#include "linear.h"

typedef struct qb_sample_quant {
    float scale;
    int32_t zero_point;
} qb_sample_quant;

/* The quantized input of a step, in its scratch memory. */
typedef struct qb_hybrid_input {
    const int8_t *values;         /* laid out as the input */
    const qb_sample_quant *quant; /* [batch] */
    const int8_t *padding;        /* [batch][in_c]: the sample's zero point, what lies outside its image */
} qb_hybrid_input;

/* Bytes at the start of scratch that qb_hybrid_quantize uses: a multiple of QB_ALIGNMENT. */
uint64_t qb_hybrid_scratch(const qb_linear_shape *shape);

/* Quantizes step->in[0] into step->scratch. */
qb_hybrid_input qb_hybrid_quantize(const qb_step *step, const qb_linear_shape *shape);

#endif
