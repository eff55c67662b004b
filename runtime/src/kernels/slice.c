/* Slice, Transpose and Tile: the output picks values of the input by regular steps, in another order or again.
 *
 *     slice       out[i][j]… = in[begin[0] + i·strides[0]][begin[1] + j·strides[1]]…
 *     transpose   out[i][j]… = in[…] with index i at dimension perm[0], j at perm[1], …
 *     tile        out[i][j]… = in[i mod dims[0]][j mod dims[1]]…
 */
#include "index_map.h"

/* Input 0 and the output have the same rank and dtype, and inputs 1 … are constants of one integer per dimension. */
static bool check_tensors(qb_builder *builder, const qb_step *step, uint32_t least, uint32_t most)
{
    if (!qb_check_counts(builder, step, least, most) || !qb_check_moved(builder, step)) return false;
    if (step->in[0]->rank != step->out[0]->rank) return qb_refuse(builder, step, "input and output differ in rank");
    for (uint32_t i = 1; i < step->in_count; i++) {
        if (step->in[i] == NULL) return qb_refuse(builder, step, "input %u is left out", i);
        if (!qb_check_index_const(builder, step, step->in[i], (size_t)step->in[0]->rank)) return false;
    }
    return true;
}

/* Fills in the offsets of one sliced dimension. */
static bool slice_dimension(qb_builder *builder, const qb_step *step, qb_index_map *map, int d, size_t stride)
{
    const int64_t length = step->in[0]->dims[d], count = step->out[0]->dims[d];
    const int64_t first = qb_index_at(step->in[1], (size_t)d);
    const int64_t pace = step->in_count == 4 ? qb_index_at(step->in[3], (size_t)d) : 1;
    const bool small = pace != 0 && pace >= -INT32_MAX && pace <= INT32_MAX && first >= 0 && first < length;
    const int64_t last = small ? first + (count - 1) * pace : -1;
    if (qb_index_at(step->in[2], (size_t)d) != count || last < 0 || last >= length) {
        return qb_refuse(builder, step, "dimension %d does not hold the output's %d values", d, (int)count);
    }
    qb_map_regular(map, d, (size_t)first * stride, (ptrdiff_t)pace * (ptrdiff_t)stride);
    return true;
}

bool qb_prepare_SLICE(qb_builder *builder, qb_step *step)
{
    if (!check_tensors(builder, step, 3, 4)) return false;
    qb_index_map *map = qb_map_new(builder, step->out[0]);
    if (map == NULL) return false;
    size_t strides[QB_MAX_RANK];
    qb_strides(step->in[0], strides);
    for (int d = 0; d < map->rank; d++) {
        if (!slice_dimension(builder, step, map, d, strides[d])) return false;
    }
    qb_map_gather(step, map);
    return true;
}

bool qb_prepare_TRANSPOSE(qb_builder *builder, qb_step *step)
{
    if (!check_tensors(builder, step, 2, 2)) return false;
    qb_index_map *map = qb_map_new(builder, step->out[0]);
    if (map == NULL) return false;
    bool taken[QB_MAX_RANK] = {false};
    size_t strides[QB_MAX_RANK];
    qb_strides(step->in[0], strides);
    for (int d = 0; d < map->rank; d++) {
        const int64_t from = qb_index_at(step->in[1], (size_t)d);
        if (from < 0 || from >= map->rank || taken[from] || step->in[0]->dims[from] != step->out[0]->dims[d]) {
            return qb_refuse(builder, step, "dimension %d of the output is not one of the input's", d);
        }
        taken[from] = true;
        qb_map_regular(map, d, 0, (ptrdiff_t)strides[from]);
    }
    qb_map_gather(step, map);
    return true;
}

bool qb_prepare_TILE(qb_builder *builder, qb_step *step)
{
    if (!check_tensors(builder, step, 2, 2)) return false;
    qb_index_map *map = qb_map_new(builder, step->out[0]);
    if (map == NULL) return false;
    size_t strides[QB_MAX_RANK];
    qb_strides(step->in[0], strides);
    for (int d = 0; d < map->rank; d++) {
        const size_t length = (size_t)step->in[0]->dims[d];
        const int64_t times = qb_index_at(step->in[1], (size_t)d);
        if (times < 1 || times > step->out[0]->dims[d] || (size_t)times * length != map->dims[d]) {
            return qb_refuse(builder, step, "dimension %d of the output is not the input's, repeated", d);
        }
        for (size_t i = 0; i < map->dims[d]; i++) map->offsets[d][i] = i % length * strides[d];
    }
    qb_map_gather(step, map);
    return true;
}
