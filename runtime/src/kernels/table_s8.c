#include "table_s8.h"

#include "../requantize.h"
#include "checks.h"

bool qb_check_map(qb_builder *builder, const qb_step *step)
{
    if (!qb_check_counts(builder, step, 1, 1) || !qb_check_elementary(builder, step) ||
        !qb_check_no_activation(builder, step)) {
        return false;
    }
    if (qb_same_shape(step->in[0], step->out[0])) return true;
    return qb_refuse(builder, step, "input and output differ in shape");
}

static void run(const qb_step *step)
{
    const int8_t *table = (const int8_t *)step->state + 128;
    const int8_t *in = step->in[0]->data;
    int8_t *out = step->out[0]->data;
    for (size_t i = 0; i < step->out[0]->count; i++) out[i] = table[in[i]];
}

bool qb_prepare_table(qb_builder *builder, qb_step *step, qb_map_s8 map, const void *context)
{
    int8_t *table = qb_alloc(builder, 256);
    if (table == NULL) return false;
    for (int32_t q = INT8_MIN; q <= INT8_MAX; q++) {
        table[q + 128] = (int8_t)qb_clamp(map(context, q), INT8_MIN, INT8_MAX);
    }
    step->state = table;
    step->run = run;
    step->kernel = "table_s8";
    return true;
}

typedef struct real_map {
    float (*function)(float);
    const qb_tensor *in, *out;
} real_map;

static int32_t map_real(const void *context, int32_t q)
{
    const real_map *map = context;
    const float real = map->in->scales[0] * (float)(q - map->in->zero_point);
    const float inverse = 1.0f / map->out->scales[0];
    const float rounded = roundf(map->function(real) * inverse) + (float)map->out->zero_point;
    return rounded >= 127.0f ? 127 : rounded > -128.0f ? (int32_t)rounded : -128; /* NaN too becomes -128 */
}

bool qb_prepare_real_table(qb_builder *builder, qb_step *step, float (*function)(float))
{
    const real_map map = {function, step->in[0], step->out[0]};
    return qb_prepare_table(builder, step, map_real, &map);
}
