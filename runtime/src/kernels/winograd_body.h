/* The transforms of winograd.h in vectors of QB_VECTOR bytes, which GCC and Clang map to the registers of the ISA that the
 * including file is compiled for. */
#ifndef QB_WINOGRAD_BODY_H
#define QB_WINOGRAD_BODY_H

#include <string.h>

#include "winograd.h"

enum { WORDS = QB_VECTOR / 2, SUMS = QB_VECTOR / 4 }; /* values of a vector */
enum { IN = QB_WINOGRAD_IN, OUT = QB_WINOGRAD_OUT, FILTER = 3 };
enum { SCALE_BITS = 6 };

typedef int8_t qb_bytes __attribute__((vector_size(WORDS)));
typedef int16_t qb_words __attribute__((vector_size(WORDS * 2)));
typedef uint32_t qb_sums __attribute__((vector_size(SUMS * 4)));

static inline qb_words load_bytes(const int8_t *from)
{
    qb_bytes bytes;
    memcpy(&bytes, from, sizeof bytes);
    return __builtin_convertvector(bytes, qb_words);
}

/* A line of Bᵀ d. d and out: `step` apart. */
static inline void transform_input_line(const qb_words *d, qb_words *out, size_t step)
{
    const qb_words d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step];
    const qb_words even = d4 - d2, twice = (d3 - d1) * 2;
    const qb_words even4 = d4 - d2 * 4, odd4 = d3 - d1 * 4;
    out[0] = (d[0] - d2) * 4 + even;
    out[step] = even4 + odd4;
    out[2 * step] = even4 - odd4;
    out[3 * step] = even + twice;
    out[4 * step] = even - twice;
    out[5 * step] = (d[5 * step] - d3) - twice * 2;
}

/* The last channels may be computed twice, so that there is always a whole vector of them. */
static void transform_inputs(const int8_t *const *inputs, size_t depth, int16_t *out)
{
    for (size_t first = 0; first < depth; first += WORDS) {
        const size_t k = first + WORDS <= depth ? first : depth - WORDS;
        qb_words lines[IN * IN], d[IN * IN];
        for (size_t i = 0; i < IN * IN; i++) d[i] = load_bytes(inputs[i] + k);
        for (size_t x = 0; x < IN; x++) transform_input_line(d + x, lines + x, IN);
        for (size_t y = 0; y < IN * IN; y += IN) transform_input_line(lines + y, d + y, 1);
        for (size_t i = 0; i < IN * IN; i++) memcpy(out + i * depth + k, &d[i], sizeof d[i]);
    }
}

/* A line of G g, whose rows are scaled by 4, -6, -6, 24, 24 and 1. */
static inline void transform_weight_line(const qb_words *g, size_t from_step, qb_words *out, size_t step)
{
    const qb_words g0 = g[0], g1 = g[from_step], g2 = g[2 * from_step];
    const qb_words ends = g0 + g2, far = g0 + g2 * 4, twice = g1 * 2;
    out[0] = g0;
    out[step] = ends + g1;
    out[2 * step] = ends - g1;
    out[3 * step] = far + twice;
    out[4 * step] = far - twice;
    out[5 * step] = g2;
}

static void transform_weights(const int8_t *weights, size_t count, int16_t *out, size_t stride)
{
    for (size_t i = 0; i < count; i += WORDS, out += WORDS) {
        qb_words taps[QB_WINOGRAD_TAPS], lines[IN * FILTER], points[IN * IN];
        for (size_t t = 0; t < QB_WINOGRAD_TAPS; t++) taps[t] = load_bytes(weights + t * count + i);
        for (size_t x = 0; x < FILTER; x++) transform_weight_line(taps + x, FILTER, lines + x, FILTER);
        for (size_t y = 0; y < IN; y++) transform_weight_line(lines + y * FILTER, 1, points + y * IN, 1);
        for (size_t p = 0; p < QB_WINOGRAD_POINTS; p++) memcpy(out + p * stride, &points[p], sizeof points[p]);
    }
}

/* A line of Aᵀ m, 24 times the true one. */
static inline void transform_output_line(const qb_sums *m, size_t step, qb_sums *out, size_t out_step)
{
    const qb_sums near = m[step] + m[2 * step], near_odd = m[step] - m[2 * step], last = m[5 * step];
    const qb_sums far = m[3 * step] + m[4 * step], far_odd = m[3 * step] - m[4 * step];
    out[0] = ((m[0] - near) * 2 + m[0]) * 2 + far;
    out[out_step] = (far_odd - near_odd * 2) * 2;
    out[2 * out_step] = (far - near) * 4;
    out[3 * out_step] = ((far_odd + last * 2 + last) * 2 - near_odd) * 4;
}

/* 64 times the sums of SUMS columns. products: [point][nr], from the first of them on. */
static inline void transform_outputs(const int32_t *products, size_t nr, qb_sums *sums)
{
    const uint32_t ninth = 0x38E38E39; /* the inverse of 9 modulo 2³² */
    qb_sums m[IN * IN], lines[OUT * IN];
    for (size_t p = 0; p < QB_WINOGRAD_POINTS; p++) memcpy(&m[p], products + p * nr, sizeof m[p]);
    for (size_t x = 0; x < IN; x++) transform_output_line(m + x, IN, lines + x, IN);
    for (size_t y = 0; y < OUT; y++) transform_output_line(lines + y * IN, 1, sums + y * OUT, 1);
    for (size_t i = 0; i < QB_WINOGRAD_OUTPUTS; i++) sums[i] *= ninth;
}

#endif
