/* Padding: the input in the middle of a larger output. Paddings: constant (rank, 2), before and after.
 *
 *     pad          around it lies one value
 *     mirror pad   around it lies the input again, mirrored at its edge: symmetric repeats the edge itself, reflect
 *                  does not
 */
#include <string.h>

#include "index_map.h"

/* What lies before dimension d of the input, which checked paddings state. */
static int64_t before(const qb_step *step, int d)
{
    return qb_index_at(step->in[1], 2 * (size_t)d);
}

/* Each dimension of the output is the input's and what lies before and after it, `most` at most. */
static bool check_dimension(qb_builder *builder, const qb_step *step, int d, int64_t most)
{
    const int64_t first = before(step, d), last = qb_index_at(step->in[1], 2 * (size_t)d + 1);
    const int64_t length = step->in[0]->dims[d], whole = step->out[0]->dims[d];
    if (first >= 0 && first <= most && last >= 0 && last <= most && length + first + last == whole) return true;
    return qb_refuse(builder, step, "padding %lld and %lld do not lead to the output's dimension %d", (long long)first,
                     (long long)last, d);
}

static bool check_tensors(qb_builder *builder, const qb_step *step)
{
    if (!qb_check_counts(builder, step, 2, 2) || !qb_check_moved(builder, step)) return false;
    const qb_tensor *in = step->in[0];
    if (in->rank != step->out[0]->rank) return qb_refuse(builder, step, "input and output differ in rank");
    return qb_check_index_const(builder, step, step->in[1], 2 * (size_t)in->rank);
}

bool qb_prepare_PAD(qb_builder *builder, qb_step *step)
{
    if (!check_tensors(builder, step)) return false;
    qb_index_map *map = qb_map_new(builder, step->in[0]);
    if (map == NULL) return false;
    size_t strides[QB_MAX_RANK];
    qb_strides(step->out[0], strides);
    for (int d = 0; d < map->rank; d++) {
        if (!check_dimension(builder, step, d, INT32_MAX)) return false;
        qb_map_regular(map, d, (size_t)before(step, d) * strides[d], (ptrdiff_t)strides[d]);
    }
    memcpy(map->fill, step->node->options, sizeof map->fill);
    qb_map_scatter(step, map);
    return true;
}

bool qb_prepare_MIRROR_PAD(qb_builder *builder, qb_step *step)
{
    if (!check_tensors(builder, step)) return false;
    qb_index_map *map = qb_map_new(builder, step->out[0]);
    if (map == NULL) return false;
    const int64_t edge = step->node->options[0] != 0 ? 0 : 1; /* how often the edge is left out of the mirror */
    size_t strides[QB_MAX_RANK];
    qb_strides(step->in[0], strides);
    for (int d = 0; d < map->rank; d++) {
        const int64_t length = step->in[0]->dims[d];
        if (!check_dimension(builder, step, d, length - edge)) return false;
        for (int64_t i = 0; i < (int64_t)map->dims[d]; i++) {
            int64_t at = i - before(step, d);
            if (at < 0) at = edge - 1 - at;
            if (at >= length) at = 2 * length - 1 - edge - at;
            map->offsets[d][i] = (size_t)at * strides[d];
        }
    }
    qb_map_gather(step, map);
    return true;
}
