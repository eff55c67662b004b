/* Blocks of pixels exchanged for channels or for images of the batch, NHWC.
 *
 *     depth to space   out[n][y][x][c] = in[n][y / b][x / b][((y mod b)·b + x mod b)·C + c]
 *     space to depth   the inverse
 *     batch to space   out[n][y][x]… = in[((y' mod b0)·b1 + x' mod b1)·N + n][y' / b0][x' / b1]…,
 *                      y' = y + crop before, x' likewise, for one to four dimensions of blocks b0, b1, …
 *     space to batch   the inverse, with zeros where batch to space crops
 */
#include "index_map.h"

enum { LARGEST_BLOCK = 1 << 15 };

/* Offsets along one dimension of an image: pixel i, `before` of them cropped, in a tensor of its blocks. */
static void map_pixels(qb_index_map *map, int d, size_t block, size_t before, size_t block_stride,
                       size_t pixel_stride)
{
    for (size_t i = 0; i < map->dims[d]; i++) {
        const size_t pixel = i + before;
        map->offsets[d][i] = pixel / block * block_stride + pixel % block * pixel_stride;
    }
}

/* A map that walks the image, whose blocks of pixels are the other tensor's channels; NULL after qb_refuse. */
static qb_index_map *map_depth(qb_builder *builder, const qb_step *step, const qb_tensor *image,
                               const qb_tensor *blocks)
{
    const int64_t b = step->node->options[0];
    if (image->rank != 4 || blocks->rank != 4 || b < 1 || b > LARGEST_BLOCK || image->dims[0] != blocks->dims[0] ||
        image->dims[1] != blocks->dims[1] * b || image->dims[2] != blocks->dims[2] * b ||
        blocks->dims[3] != image->dims[3] * b * b) {
        qb_refuse(builder, step, "blocks of %d do not lead from the input's shape to the output's", (int)b);
        return NULL;
    }
    qb_index_map *map = qb_map_new(builder, image);
    if (map == NULL) return NULL;
    const size_t block = (size_t)b, channels = (size_t)image->dims[3];
    size_t strides[QB_MAX_RANK];
    qb_strides(blocks, strides);
    qb_map_regular(map, 0, 0, (ptrdiff_t)strides[0]);
    map_pixels(map, 1, block, 0, strides[1], block * channels);
    map_pixels(map, 2, block, 0, strides[2], channels);
    qb_map_regular(map, 3, 0, 1);
    return map;
}

bool qb_prepare_DEPTH_TO_SPACE(qb_builder *builder, qb_step *step)
{
    if (!qb_check_counts(builder, step, 1, 1) || !qb_check_moved(builder, step)) return false;
    qb_index_map *map = map_depth(builder, step, step->out[0], step->in[0]);
    if (map == NULL) return false;
    qb_map_gather(step, map);
    return true;
}

bool qb_prepare_SPACE_TO_DEPTH(qb_builder *builder, qb_step *step)
{
    if (!qb_check_counts(builder, step, 1, 1) || !qb_check_moved(builder, step)) return false;
    qb_index_map *map = map_depth(builder, step, step->in[0], step->out[0]);
    if (map == NULL) return false;
    qb_map_scatter(step, map);
    return true;
}

/* Inputs 1 and 2 are block sizes and, for each, what is padded or cropped before and after. */
static bool check_batch(qb_builder *builder, const qb_step *step)
{
    if (!qb_check_counts(builder, step, 3, 3) || !qb_check_moved(builder, step)) return false;
    const qb_tensor *in = step->in[0];
    const size_t count = step->in[1]->count;
    if (in->rank != step->out[0]->rank || count < 1 || count >= (size_t)in->rank) {
        return qb_refuse(builder, step, "%zu blocks do not suit the input's or the output's rank", count);
    }
    return qb_check_index_const(builder, step, step->in[1], count) &&
           qb_check_index_const(builder, step, step->in[2], 2 * count);
}

/* Checks dimension d, which `block_length` blocks make up, and maps it. *images: into how many the later dimensions
 * divide each image; *images times image_stride lies between neighbours in a block. */
static bool map_blocks(qb_builder *builder, const qb_step *step, qb_index_map *map, int d, int64_t block_length,
                       size_t block_stride, size_t image_stride, int64_t *images)
{
    const size_t i = (size_t)d - 1;
    const int64_t block = qb_index_at(step->in[1], i), before = qb_index_at(step->in[2], 2 * i),
                  after = qb_index_at(step->in[2], 2 * i + 1);
    const bool small = block >= 1 && block <= LARGEST_BLOCK && before >= 0 && before <= INT32_MAX && after >= 0 &&
                       after <= INT32_MAX;
    if (!small || (int64_t)map->dims[d] + before + after != block_length * block || *images * block > INT32_MAX) {
        return qb_refuse(builder, step, "blocks of dimension %d do not lead from the input's shape to the output's",
                         d);
    }
    map_pixels(map, d, (size_t)block, (size_t)before, block_stride, (size_t)*images * image_stride);
    *images *= block;
    return true;
}

/* A map that walks the tensor of few large images; `blocks` has many small ones. NULL after qb_refuse. */
static qb_index_map *map_batch(qb_builder *builder, const qb_step *step, const qb_tensor *image,
                               const qb_tensor *blocks)
{
    qb_index_map *map = qb_map_new(builder, image);
    if (map == NULL) return NULL;
    int64_t images = 1;
    size_t strides[QB_MAX_RANK];
    qb_strides(blocks, strides);
    const size_t image_stride = (size_t)image->dims[0] * strides[0];
    const int count = (int)step->in[1]->count;
    qb_map_regular(map, 0, 0, (ptrdiff_t)strides[0]);
    for (int d = image->rank - 1; d > count; d--) {
        qb_map_regular(map, d, 0, (ptrdiff_t)strides[d]);
        if (image->dims[d] == blocks->dims[d]) continue;
        qb_refuse(builder, step, "input and output differ in dimension %d", d);
        return NULL;
    }
    for (int d = count; d > 0; d--) {
        if (!map_blocks(builder, step, map, d, blocks->dims[d], strides[d], image_stride, &images)) return NULL;
    }
    if (image->dims[0] * images == blocks->dims[0]) return map;
    qb_refuse(builder, step, "the batches of input and output do not differ by the blocks");
    return NULL;
}

bool qb_prepare_BATCH_TO_SPACE_ND(qb_builder *builder, qb_step *step)
{
    if (!check_batch(builder, step)) return false;
    qb_index_map *map = map_batch(builder, step, step->out[0], step->in[0]);
    if (map == NULL) return false;
    qb_map_gather(step, map);
    return true;
}

bool qb_prepare_SPACE_TO_BATCH_ND(qb_builder *builder, qb_step *step)
{
    if (!check_batch(builder, step)) return false;
    qb_index_map *map = map_batch(builder, step, step->in[0], step->out[0]);
    if (map == NULL) return false;
    if (step->out[0]->dtype == QB_S8) map->fill[0] = (uint8_t)(int8_t)step->out[0]->zero_point;
    qb_map_scatter(step, map);
    return true;
}
