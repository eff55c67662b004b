#include "index_map.h"

#include <string.h>

bool qb_check_moved(qb_builder *builder, const qb_step *step)
{
    if (step->in[0]->dtype != step->out[0]->dtype) return qb_refuse(builder, step, "input and output differ in dtype");
    if (step->in[0]->count == 0) return qb_refuse(builder, step, "the input is empty");
    return qb_check_no_activation(builder, step);
}

qb_index_map *qb_map_new(qb_builder *builder, const qb_tensor *walked)
{
    qb_index_map *map = qb_alloc(builder, sizeof *map);
    if (map == NULL) return NULL;
    map->rank = walked->rank;
    map->element_size = walked->size / walked->count;
    for (int d = 0; d < walked->rank; d++) {
        map->dims[d] = (size_t)walked->dims[d];
        map->offsets[d] = qb_alloc(builder, map->dims[d] * sizeof *map->offsets[d]);
        if (map->offsets[d] == NULL) return NULL;
    }
    return map;
}

void qb_map_regular(qb_index_map *map, int dimension, size_t first, ptrdiff_t step)
{
    for (size_t i = 0; i < map->dims[dimension]; i++) {
        map->offsets[dimension][i] = (size_t)((ptrdiff_t)first + (ptrdiff_t)i * step);
    }
}

void qb_strides(const qb_tensor *tensor, size_t strides[QB_MAX_RANK])
{
    size_t stride = 1;
    for (int d = tensor->rank - 1; d >= 0; d--) {
        strides[d] = stride;
        stride *= (size_t)tensor->dims[d];
    }
}

/* Whether neighbours along a dimension lie `distance` apart in the other tensor. */
static bool is_regular(const qb_index_map *map, int dimension, size_t distance)
{
    for (size_t i = 1; i < map->dims[dimension]; i++) {
        if (map->offsets[dimension][i] != map->offsets[dimension][i - 1] + distance) return false;
    }
    return true;
}

/* Inner dimensions that lie together in both tensors become one run, which is moved at once. */
static void finish(qb_index_map *map)
{
    static const size_t at_start[] = {0};
    int dimension = map->rank - 1;
    map->run = 1;
    for (; dimension >= 0 && is_regular(map, dimension, map->run); dimension--) {
        map->start += map->offsets[dimension][0];
        map->run *= map->dims[dimension];
    }
    map->outer = dimension > 0 ? dimension : 0;
    map->steps = dimension >= 0 ? map->dims[dimension] : 1;
    map->inner = dimension >= 0 ? map->offsets[dimension] : at_start;
    map->rows = 1;
    for (int d = 0; d < map->outer; d++) map->rows *= map->dims[d];
}

/* Where the row at these indices begins in the other tensor. */
static size_t row_start(const qb_index_map *map, const size_t *at)
{
    size_t start = map->start;
    for (int d = 0; d < map->outer; d++) start += map->offsets[d][at[d]];
    return start;
}

static void next_row(const qb_index_map *map, size_t *at)
{
    for (int d = map->outer - 1; d >= 0; d--) {
        if (++at[d] < map->dims[d]) return;
        at[d] = 0;
    }
}

/* One row of runs of `unit` bytes. Called with a constant, it needs no call for each value. */
static inline void gather_row(const qb_index_map *map, char *out, const char *in, size_t unit)
{
    for (size_t i = 0; i < map->steps; i++) memcpy(out + i * unit, in + map->inner[i] * map->element_size, unit);
}

static inline void scatter_row(const qb_index_map *map, char *out, const char *in, size_t unit)
{
    for (size_t i = 0; i < map->steps; i++) memcpy(out + map->inner[i] * map->element_size, in + i * unit, unit);
}

static void gather(const qb_step *step)
{
    const qb_index_map *map = step->state;
    const size_t unit = map->run * map->element_size;
    char *out = step->out[0]->data;
    size_t at[QB_MAX_RANK] = {0};
    for (size_t row = 0; row < map->rows; row++, next_row(map, at), out += map->steps * unit) {
        const char *in = (const char *)step->in[0]->data + row_start(map, at) * map->element_size;
        switch (unit) {
        case 1: gather_row(map, out, in, 1); break;
        case 2: gather_row(map, out, in, 2); break;
        case 4: gather_row(map, out, in, 4); break;
        case 8: gather_row(map, out, in, 8); break;
        default: gather_row(map, out, in, unit);
        }
    }
}

/* Every element of the output becomes the map's. */
static void fill(const qb_index_map *map, const qb_tensor *out)
{
    char *bytes = out->data;
    for (size_t i = 1; i < map->element_size; i++) {
        if (map->fill[i] == map->fill[0]) continue;
        for (size_t done = 0; done < out->size; done += map->element_size) {
            memcpy(bytes + done, map->fill, map->element_size);
        }
        return;
    }
    memset(bytes, map->fill[0], out->size);
}

static void scatter(const qb_step *step)
{
    const qb_index_map *map = step->state;
    const size_t unit = map->run * map->element_size;
    const char *in = step->in[0]->data;
    size_t at[QB_MAX_RANK] = {0};
    fill(map, step->out[0]);
    for (size_t row = 0; row < map->rows; row++, next_row(map, at), in += map->steps * unit) {
        char *out = (char *)step->out[0]->data + row_start(map, at) * map->element_size;
        switch (unit) {
        case 1: scatter_row(map, out, in, 1); break;
        case 2: scatter_row(map, out, in, 2); break;
        case 4: scatter_row(map, out, in, 4); break;
        case 8: scatter_row(map, out, in, 8); break;
        default: scatter_row(map, out, in, unit);
        }
    }
}

void qb_map_gather(qb_step *step, qb_index_map *map)
{
    finish(map);
    step->state = map;
    step->run = gather;
    step->kernel = "gather_by_index";
}

void qb_map_scatter(qb_step *step, qb_index_map *map)
{
    finish(map);
    step->state = map;
    step->run = scatter;
    step->kernel = "scatter_by_index";
}
