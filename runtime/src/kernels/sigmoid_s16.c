#include "sigmoid_s16.h"

#include <math.h>

#include "checks.h"
#include "table_s8.h"

enum { TABLE_SIZE = 256 };

/* σ(i / 24) in 65536ths, up to 10.7, where int16 has no more bits for it: the values that TFLite gives, of which some
 * are rounded the other way. */
static const uint16_t table[TABLE_SIZE] = {
    32768, 33451, 34133, 34813, 35493, 36169, 36843, 37513, 38180, 38841, 39498, 40149, 40794, 41432,
    42064, 42688, 43304, 43912, 44511, 45102, 45683, 46255, 46817, 47369, 47911, 48443, 48964, 49475,
    49975, 50464, 50942, 51409, 51865, 52311, 52745, 53169, 53581, 53983, 54374, 54755, 55125, 55485,
    55834, 56174, 56503, 56823, 57133, 57433, 57724, 58007, 58280, 58544, 58800, 59048, 59288, 59519,
    59743, 59959, 60168, 60370, 60565, 60753, 60935, 61110, 61279, 61441, 61599, 61750, 61896, 62036,
    62172, 62302, 62428, 62549, 62666, 62778, 62886, 62990, 63090, 63186, 63279, 63368, 63454, 63536,
    63615, 63691, 63765, 63835, 63903, 63968, 64030, 64090, 64148, 64204, 64257, 64308, 64357, 64405,
    64450, 64494, 64536, 64576, 64614, 64652, 64687, 64721, 64754, 64786, 64816, 64845, 64873, 64900,
    64926, 64950, 64974, 64997, 65019, 65039, 65060, 65079, 65097, 65115, 65132, 65149, 65164, 65179,
    65194, 65208, 65221, 65234, 65246, 65258, 65269, 65280, 65291, 65301, 65310, 65319, 65328, 65337,
    65345, 65352, 65360, 65367, 65374, 65381, 65387, 65393, 65399, 65404, 65410, 65415, 65420, 65425,
    65429, 65433, 65438, 65442, 65445, 65449, 65453, 65456, 65459, 65462, 65465, 65468, 65471, 65474,
    65476, 65479, 65481, 65483, 65485, 65488, 65489, 65491, 65493, 65495, 65497, 65498, 65500, 65501,
    65503, 65504, 65505, 65507, 65508, 65509, 65510, 65511, 65512, 65513, 65514, 65515, 65516, 65517,
    65517, 65518, 65519, 65520, 65520, 65521, 65522, 65522, 65523, 65523, 65524, 65524, 65525, 65525,
    65526, 65526, 65526, 65527, 65527, 65528, 65528, 65528, 65529, 65529, 65529, 65529, 65530, 65530,
    65530, 65530, 65531, 65531, 65531, 65531, 65531, 65532, 65532, 65532, 65532, 65532, 65532, 65533,
    65533, 65533, 65533, 65533, 65533, 65533, 65533, 65534, 65534, 65534, 65534, 65534, 65534, 65534,
    65534, 65534, 65534, 65535,
};

typedef struct sigmoid {
    int32_t multiplier; /* of the input, to 3 · 4096ths */
    int shift;          /* then to the right */
} sigmoid;

/* σ(x / 24 / 2^bits) in 2^(16 + bits)ths, between the table's values in proportion; x is not negative. */
static uint32_t interpolate(uint32_t x, int bits)
{
    const uint32_t index = x >> bits, rest = x & ((1u << bits) - 1);
    const uint32_t low = table[index];
    return (low << bits) + rest * (table[index + 1] - low);
}

/* An input in 3 · 4096ths, limited to what is beyond the table's end all the same. */
static int32_t rescale(const sigmoid *op, int16_t value)
{
    const int64_t nudge = op->shift > 0 ? INT64_C(1) << (op->shift - 1) : 0;
    const int64_t x = ((int64_t)value * op->multiplier + nudge) >> op->shift, limit = 1 << 24;
    return (int32_t)(x < -limit ? -limit : x > limit ? limit : x);
}

static void run_logistic(const qb_step *step)
{
    const sigmoid *op = step->state;
    const int16_t *in = step->in[0]->data;
    int16_t *out = step->out[0]->data;
    for (size_t i = 0; i < step->out[0]->count; i++) {
        const int32_t x = rescale(op, in[i]);
        const uint32_t magnitude = (uint32_t)(x < 0 ? -x : x);
        const uint32_t value = magnitude >> 9 >= TABLE_SIZE - 1 ? 0x7FFFu << 10 : interpolate(magnitude, 9);
        const uint32_t reflected = x >= 0 ? value + (1u << 9) : (1u << 25) - value + (1u << 9) - 1;
        out[i] = (int16_t)(reflected >> 10);
    }
}

/* tanh(x) = 2 σ(2x) − 1 */
static void run_tanh(const qb_step *step)
{
    const sigmoid *op = step->state;
    const int16_t *in = step->in[0]->data;
    int16_t *out = step->out[0]->data;
    for (size_t i = 0; i < step->out[0]->count; i++) {
        const int32_t x = rescale(op, in[i]);
        const uint32_t magnitude = (uint32_t)(x < 0 ? -x : x);
        const int32_t value =
            magnitude >> 8 >= TABLE_SIZE - 1 ? 0xFFFF << 8 : (int32_t)interpolate(magnitude, 8);
        const int32_t half = 1 << 23, rounding = 1 << 7;
        const int32_t reflected = x >= 0 ? value - half + rounding : -value + half + rounding - 1;
        out[i] = (int16_t)(reflected >> 8);
    }
}

/* log₂ of a scale that is a power of two, as near as TFLite asks; otherwise false. */
static bool checked_log2(float scale, int *log2)
{
    const float exact = log2f(scale);
    *log2 = (int)roundf(exact);
    return fabsf(exact - (float)*log2) < 1e-3f;
}

/* The input's scale as multiplier and shift; powers of two that need no more than `largest_shift` to the left are
 * exact (TFLite's TanhPrepare and SigmoidPrepare). */
static void set_scale(sigmoid *op, float scale, int largest_shift)
{
    int log2;
    const bool power_of_two = checked_log2(scale, &log2);
    const int left = 12 + log2;
    if (power_of_two && left >= 0 && left <= largest_shift) {
        op->multiplier = 3 << left;
        return;
    }
    double multiplier = (double)scale * 4096.0 * 3.0;
    for (; multiplier <= 32767.0 / 2.0 && op->shift <= 30; op->shift++) multiplier *= 2.0;
    op->multiplier = multiplier < 2147483647.0 ? (int32_t)multiplier : INT32_MAX;
}

static bool prepare(qb_builder *builder, qb_step *step, int largest_shift)
{
    if (!qb_check_map(builder, step)) return false;
    const qb_tensor *in = step->in[0], *out = step->out[0];
    if (in->zero_point != 0 || out->zero_point != 0 || out->scales[0] != 1.0f / 32768.0f) {
        return qb_refuse(builder, step, "the output's scale is not 1/32768 or a zero point not 0");
    }
    sigmoid *op = qb_alloc(builder, sizeof *op);
    if (op == NULL) return false;
    set_scale(op, in->scales[0], largest_shift);
    step->state = op;
    step->kernel = "sigmoid_s16";
    return true;
}

bool qb_prepare_logistic_s16(qb_builder *builder, qb_step *step)
{
    step->run = run_logistic;
    return prepare(builder, step, 0);
}

bool qb_prepare_tanh_s16(qb_builder *builder, qb_step *step)
{
    step->run = run_tanh;
    return prepare(builder, step, 1);
}
