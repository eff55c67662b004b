/* The loops of loops.h. No include guard: loops_<isa>.c includes this once and gets `qb_loops` members as static
 * functions, named as they are. */
#include "hybrid_loops.h"
#include "loops.h"
#include "weights_range.h"

/* The output of a loop is memory of its own or one of the inputs, value for value: no turn depends on another. */
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wpass-failed" /* with sanitizers they stay loops of single values */
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif

/* Where the including file has vectors of its own for int8 sums and products, these are for what is left over. */
#if defined(QB_OWN_BINARY_S8) && defined(__clang__)
#define BINARY_S8_LOOP _Pragma("clang loop vectorize(disable) unroll(disable)")
#else
#define BINARY_S8_LOOP INDEPENDENT
#endif

static inline int32_t rescale(int32_t value, qb_rescale by)
{
    const int64_t product = (int64_t)(int32_t)((uint32_t)value << by.left) * by.multiplier + by.nudge;
    return ((int32_t)(product >> 32) + ((value >> 31) & by.away)) >> by.right;
}

static inline void add_s8(const qb_binary_s8 *op, const int8_t *a, const int8_t *b, int8_t *out, size_t count)
{
    const qb_binary_s8 o = *op;
    BINARY_S8_LOOP for (size_t i = 0; i < count; i++) {
        const int32_t x = rescale((a[i] - o.a_zero) * (1 << o.common_bits), o.a);
        const int32_t y = rescale((b[i] - o.b_zero) * (1 << o.common_bits), o.b);
        out[i] = qb_clamp_s8(rescale(x + y, o.out) + o.zero, o.range);
    }
}

static inline void mul_s8(const qb_binary_s8 *op, const int8_t *a, const int8_t *b, int8_t *out, size_t count)
{
    const qb_binary_s8 o = *op;
    BINARY_S8_LOOP for (size_t i = 0; i < count; i++) {
        const int32_t product = (a[i] - o.a_zero) * (b[i] - o.b_zero);
        out[i] = qb_clamp_s8(rescale(product, o.out) + o.zero, o.range);
    }
}

static void add_f32(qb_range_f32 range, const float *a, const float *b, float *out, size_t count)
{
    INDEPENDENT for (size_t i = 0; i < count; i++) out[i] = qb_clamp_f32(a[i] + b[i], range);
}

static void mul_f32(qb_range_f32 range, const float *a, const float *b, float *out, size_t count)
{
    INDEPENDENT for (size_t i = 0; i < count; i++) out[i] = qb_clamp_f32(a[i] * b[i], range);
}

static void turn_signs(const int8_t *from, size_t count, uint8_t *to)
{
    INDEPENDENT for (size_t i = 0; i < count; i++) to[i] = (uint8_t)(from[i] ^ INT8_MIN);
}

enum { CHUNK = 64, SMALL_CHUNK = 16 }; /* channels whose results stay in registers while a window is read */

/* Smaller where the including file has averages of its own for most windows. */
#ifdef QB_OWN_AVERAGE_S8
enum { AVERAGE_CHUNK = SMALL_CHUNK };
#else
enum { AVERAGE_CHUNK = CHUNK };
#endif

/* Defines a loop over a window, of whose channels up to `most` are a chunk. A chunk of `acc_type` accumulators starts as
 * `start`, takes `step` for every pixel of the window, where v is the pixel's value and acc the accumulator, and ends as
 * `end`. */
#define WINDOW_LOOP(name, type, acc_type, most, start, step, end)                                               \
    static inline __attribute__((always_inline)) void name##_chunk(const qb_window *w, const type *in, type *out,  \
                                                                   const size_t channels)                       \
    {                                                                                                           \
        acc_type chunk[most];                                                                                   \
        for (size_t c = 0; c < channels; c++) chunk[c] = (start);                                               \
        for (size_t y = 0; y < w->rows; y++) {                                                                  \
            for (size_t x = 0; x < w->columns; x++) {                                                           \
                const type *pixel = in + y * w->row_step + x * w->channels;                                     \
                for (size_t c = 0; c < channels; c++) {                                                         \
                    const acc_type v = pixel[c], acc = chunk[c];                                                \
                    chunk[c] = (step);                                                                          \
                }                                                                                               \
            }                                                                                                   \
        }                                                                                                       \
        for (size_t c = 0; c < channels; c++) {                                                                 \
            const acc_type acc = chunk[c];                                                                      \
            out[c] = (type)(end);                                                                               \
        }                                                                                                       \
    }                                                                                                           \
                                                                                                                \
    static void name(const qb_window *window, const type *in, type *out)                                        \
    {                                                                                                           \
        const qb_window w = *window;                                                                            \
        size_t c = 0;                                                                                           \
        for (; (most) == CHUNK && c + CHUNK <= w.channels; c += CHUNK) name##_chunk(&w, in + c, out + c, CHUNK); \
        for (; c + SMALL_CHUNK <= w.channels; c += SMALL_CHUNK) name##_chunk(&w, in + c, out + c, SMALL_CHUNK); \
        if (c < w.channels) name##_chunk(&w, in + c, out + c, w.channels - c);                                  \
    }

/* sum / count to nearest. The float quotient of whole numbers this small is cut to the right whole number. */
static inline int32_t divide(int32_t sum, float count, int32_t half, int32_t offset_sum, int32_t offset)
{
    const int32_t total = sum + offset_sum;
    return (int32_t)((float)(total + (total >= 0 ? half : -half)) / count) - offset;
}

static inline int8_t average(const qb_window *w, int32_t sum)
{
    const int32_t count = (int32_t)(w->rows * w->columns), offset = w->half_up ? 128 : 0;
    return qb_clamp_s8(divide(sum, (float)count, count / 2, offset * count, offset), w->range_s8);
}

WINDOW_LOOP(max_s8, int8_t, int8_t, CHUNK, INT8_MIN, v > acc ? v : acc, qb_clamp_s8(acc, w->range_s8))
WINDOW_LOOP(max_f32, float, float, CHUNK, in[c], v > acc ? v : acc, qb_clamp_f32(acc, w->range_f32))
WINDOW_LOOP(average_s8, int8_t, int32_t, AVERAGE_CHUNK, 0, acc + v, average(w, acc))
WINDOW_LOOP(average_f32, float, float, CHUNK, 0.0f, acc + v,
            qb_clamp_f32(acc / (float)(w->rows * w->columns), w->range_f32))

static qb_weights_range weights_range(const int8_t *weights, size_t count)
{
    return qb_find_weights_range(weights, count, 1);
}

/* The members of which no ISA variant has its own. */
#define QB_LOOPS_OF_THE_COMPILER                                                                                \
    .add_f32 = add_f32, .mul_f32 = mul_f32, .max_s8 = max_s8, .max_f32 = max_f32, .average_f32 = average_f32,   \
    .weights_range = weights_range, .turn_signs = turn_signs
#define QB_LOOPS                                                                                                \
    {                                                                                                           \
        .add_s8 = add_s8, .mul_s8 = mul_s8, .average_s8 = average_s8, .find_range = qb_find_range,              \
        .quantize_sample = qb_quantize_sample, QB_LOOPS_OF_THE_COMPILER                                         \
    }
