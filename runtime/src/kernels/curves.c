/* Real functions of one operand: Logistic, Tanh, Elu, Exp, Log, Gelu, Sqrt, Sin, Cos, Square, Floor, Ceil, Round; in
 * f32, the first six also in int8 by a table, Logistic and Tanh in int16.
 *
 * Tables are made with the double precision functions: what these round to in f32 differs least between libraries.
 */
#include <math.h>

#include "checks.h"
#include "sigmoid_s16.h"
#include "table_s8.h"

typedef float (*curve)(float x);

typedef struct curve_state {
    curve function;
} curve_state;

static void run_f32(const qb_step *step)
{
    const curve function = ((const curve_state *)step->state)->function;
    const float *in = step->in[0]->data;
    float *out = step->out[0]->data;
    for (size_t i = 0; i < step->out[0]->count; i++) out[i] = function(in[i]);
}

static bool prepare_f32(qb_builder *builder, qb_step *step, curve function)
{
    curve_state *state = qb_alloc(builder, sizeof *state);
    if (state == NULL) return false;
    state->function = function;
    step->state = state;
    step->run = run_f32;
    step->kernel = "curve_f32";
    return true;
}

/* f32, or int8 by a table of the function that TFLite fills its own with. */
static bool prepare(qb_builder *builder, qb_step *step, curve function, curve tabulated)
{
    if (!qb_check_map(builder, step)) return false;
    switch (step->node->arithmetic) {
    case QB_ARITH_F32: return prepare_f32(builder, step, function);
    case QB_ARITH_INT8:
        if (tabulated != NULL) return qb_prepare_real_table(builder, step, tabulated);
        break;
    default: break;
    }
    return qb_refuse(builder, step, "the op has no such arithmetic");
}

/* TFLite's float kernel: outside of [-9, 16.6] the function is its asymptote. */
static float logistic(float x)
{
    if (x > 16.619047164916992188f) return 1.0f;
    if (x < -9.0f) return expf(x);
    return 1.0f / (1.0f + expf(-x));
}

static float tabulated_logistic(float x)
{
    return 1.0f / (1.0f + (float)exp(-(double)x));
}

static float tabulated_tanh(float x)
{
    return (float)tanh((double)x);
}

static float elu(float x)
{
    return x < 0.0f ? expm1f(x) : x;
}

static float tabulated_elu(float x)
{
    return x < 0.0f ? (float)expm1((double)x) : x;
}

static float tabulated_exp(float x)
{
    return (float)exp((double)x);
}

/* Of what has no logarithm: the lowest value. */
static float tabulated_log(float x)
{
    return x <= 0.0f ? -INFINITY : (float)log((double)x);
}

/* x · Φ(x), by the complementary error function, which does not cancel (Hendrycks, Gimpel 2016). */
static float gelu(float x)
{
    return 0.5f * x * (float)erfc((double)(x * -0.70710678118654752440f));
}

static float gelu_by_tanh(float x)
{
    const float inner = 0.79788456080286535588f * (x + 0.044715f * x * x * x);
    return 0.5f * x * (1.0f + (float)tanh((double)inner));
}

static float square(float x)
{
    return x * x;
}

bool qb_prepare_LOGISTIC(qb_builder *builder, qb_step *step)
{
    if (step->node->arithmetic == QB_ARITH_INT16) return qb_prepare_logistic_s16(builder, step);
    return prepare(builder, step, logistic, tabulated_logistic);
}

bool qb_prepare_TANH(qb_builder *builder, qb_step *step)
{
    if (step->node->arithmetic == QB_ARITH_INT16) return qb_prepare_tanh_s16(builder, step);
    return prepare(builder, step, tanhf, tabulated_tanh);
}

bool qb_prepare_ELU(qb_builder *builder, qb_step *step)
{
    return prepare(builder, step, elu, tabulated_elu);
}

bool qb_prepare_EXP(qb_builder *builder, qb_step *step)
{
    return prepare(builder, step, expf, tabulated_exp);
}

bool qb_prepare_LOG(qb_builder *builder, qb_step *step)
{
    return prepare(builder, step, logf, tabulated_log);
}

bool qb_prepare_GELU(qb_builder *builder, qb_step *step)
{
    const curve function = step->node->options[0] != 0 ? gelu_by_tanh : gelu;
    return prepare(builder, step, function, function);
}

bool qb_prepare_SQRT(qb_builder *builder, qb_step *step)
{
    return prepare(builder, step, sqrtf, NULL);
}

bool qb_prepare_SIN(qb_builder *builder, qb_step *step)
{
    return prepare(builder, step, sinf, NULL);
}

bool qb_prepare_COS(qb_builder *builder, qb_step *step)
{
    return prepare(builder, step, cosf, NULL);
}

bool qb_prepare_SQUARE(qb_builder *builder, qb_step *step)
{
    return prepare(builder, step, square, NULL);
}

bool qb_prepare_FLOOR(qb_builder *builder, qb_step *step)
{
    return prepare(builder, step, floorf, NULL);
}

bool qb_prepare_CEIL(qb_builder *builder, qb_step *step)
{
    return prepare(builder, step, ceilf, NULL);
}

/* To nearest, ties to even. */
bool qb_prepare_ROUND(qb_builder *builder, qb_step *step)
{
    return prepare(builder, step, rintf, NULL);
}
