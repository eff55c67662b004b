/* int8 sums with one rounding instead of TFLite's four: both operands less their zero points are rescaled, then their sum.
 *
 * That is nearly linear: a·x + b·y + start, in units of 2^-QB_SUM_BITS, has the same whole part wherever TFLite's roundings
 * do not carry it over the next whole number. Every pair of bytes says between which bounds `start` must lie for
 * that; mostly some number lies between all of them, as few pairs come close to a whole number.
 */
#ifndef QB_AFFINE_SUM_H
#define QB_AFFINE_SUM_H

#include <math.h>
#include <string.h>

#include "loops.h"

enum { QB_BYTES = 256, QB_LARGEST_FACTOR = (1 << 22) - 128 };

typedef struct qb_bounds {
    int64_t least, most;
} qb_bounds;

/* Narrows the bounds to what gives outputs out[j] for x and y[j]. Saturated ones bound on one side. */
static inline qb_bounds qb_narrow_bounds(qb_bounds start, const qb_binary_s8 *op, qb_affine_sum sum, int32_t x,
                                         const int8_t *y, const int8_t *out)
{
    int32_t least = INT32_MIN, most = INT32_MAX;
    for (size_t j = 0; j < QB_BYTES; j++) {
        const int32_t from = out[j] * (1 << QB_SUM_BITS) - (sum.a * x + sum.b * y[j]);
        const int32_t to = from + (1 << QB_SUM_BITS) - 1;
        const int32_t low = out[j] > op->range.min ? from : INT32_MIN, high = out[j] < op->range.max ? to : INT32_MAX;
        least = low > least ? low : least;
        most = high < most ? high : most;
    }
    return (qb_bounds){least > start.least ? least : start.least, most < start.most ? most : start.most};
}

/* qb_loops.find_sum. add_s8: exact for an op whose `sum` is not set. */
static inline qb_affine_sum qb_find_affine_sum(const qb_binary_s8 *op, double a, double b,
                                               void (*add_s8)(const qb_binary_s8 *op, const int8_t *a, const int8_t *b,
                                                              int8_t *out, size_t count))
{
    const double unit = 1 << QB_SUM_BITS;
    if (!(a * unit < QB_LARGEST_FACTOR) || !(b * unit < QB_LARGEST_FACTOR)) return (qb_affine_sum){0};
    qb_affine_sum sum = {.a = (int32_t)lround(a * unit), .b = (int32_t)lround(b * unit)};
    int8_t x[QB_BYTES], y[QB_BYTES], out[QB_BYTES];
    for (int i = 0; i < QB_BYTES; i++) y[i] = (int8_t)(INT8_MIN + i);
    qb_bounds start = {INT32_MIN, INT32_MAX};
    for (int i = INT8_MIN; i <= INT8_MAX; i++) {
        memset(x, i, QB_BYTES);
        add_s8(op, x, y, out, QB_BYTES);
        start = qb_narrow_bounds(start, op, sum, i, y, out);
    }
    const int64_t middle = (start.least + start.most) / 2, factors = (int64_t)sum.a + sum.b;
    sum.start = (int32_t)middle;
    sum.exact = start.least <= start.most && middle + INT8_MAX * factors <= INT32_MAX &&
                middle + INT8_MIN * factors >= INT32_MIN;
    return sum;
}

#endif
