/* 3×3 convolutions by minimal filtering, int8 and hybrid arithmetic: weights are laid out at load and transformed at run,
 * some columns at a time, so that they take no more memory than the file's. */
#include "winograd.h"

#include <string.h>

#include "../isa.h"
#include "gemm_rows.h"
#include "interleave.h"

enum {
    TILES_BYTES = 384 * 1024, /* of transformed inputs: the weights of nr columns serve as many tiles as fit */
    UNIT = 16,                /* bytes of a copy */
    CACHE_LINE = 64,
    STRIDE_GAP = 32,          /* values between points, whose addresses would share a few sets of the cache */
};
#define LARGEST_SUM (1 << 25)
/* Depths whose sums stay under it with any weights. */
enum { PART_DEPTH = LARGEST_SUM / (128 * 128 * QB_WINOGRAD_TAPS) / QB_WINOGRAD_PAIR * QB_WINOGRAD_PAIR };

/* What prepare leaves: op->fast. Offsets are bytes into scratch. */
typedef struct packed {
    const qb_winograd *kernel;
    const int8_t *weights; /* [columns / nr rounded up][tap][depth / 2][nr][2] */
    const int8_t *padding; /* int8: in_c times the input's zero point */
    qb_tile_s8 tile;       /* all that does not change from tile to tile */
    int32_t high, wide;    /* tiles of an image, in each direction */
    size_t block;          /* tiles at a time */
    size_t parts, part_depth;
    size_t products_stride; /* from part to part */
    size_t weights_stride;
    size_t places, inputs, transformed_weights, products, outputs;
} packed;

typedef struct place {
    int32_t sample, y, x; /* of a tile's first output */
} place;

static size_t count_tiles(const packed *p, const qb_linear_shape *s)
{
    return (size_t)s->batch * (size_t)p->high * (size_t)p->wide;
}

static place place_of(const packed *p, size_t index)
{
    const size_t wide = (size_t)p->wide, area = wide * (size_t)p->high;
    return (place){(int32_t)(index / area), (int32_t)(index % area / wide) * QB_WINOGRAD_OUT,
                   (int32_t)(index % wide) * QB_WINOGRAD_OUT};
}

/* Where the inputs of a tile are: in the image, or in the padding. */
static void point_at_inputs(const qb_linear_shape *s, const qb_image *image, place at, const int8_t **inputs)
{
    const int8_t *sample = (const int8_t *)image->values + (size_t)at.sample * qb_linear_sample(s);
    const int8_t *padding = (const int8_t *)image->padding + (size_t)at.sample * image->padding_stride;
    const size_t channels = (size_t)s->in_c;
    for (int32_t i = 0; i < QB_WINOGRAD_IN; i++, inputs += QB_WINOGRAD_IN) {
        const int32_t y = at.y - s->pad_top + i, left = at.x - s->pad_left;
        const bool above = y < 0 || y >= s->in_h;
        const int8_t *line = above ? sample : sample + (size_t)y * (size_t)s->in_w * channels;
        for (int32_t x = left; x < left + QB_WINOGRAD_IN; x++) {
            inputs[x - left] = above || x < 0 || x >= s->in_w ? padding : line + (size_t)x * channels;
        }
    }
}

/* memcpy in line: a pixel's bytes are few. */
static inline void copy(const char *from, size_t bytes, char *to)
{
    size_t i = 0;
    for (; i + UNIT <= bytes; i += UNIT) memcpy(to + i, from + i, UNIT);
    for (; i < bytes; i++) to[i] = from[i];
}

/* A tile's outputs of `bytes` bytes a pixel to the output, all that lie in it. */
static void place_outputs(const qb_linear_shape *s, place at, const char *from, size_t from_stride, size_t bytes, char *y,
                          size_t pixel_bytes)
{
    const int32_t high = s->out_h - at.y < QB_WINOGRAD_OUT ? s->out_h - at.y : QB_WINOGRAD_OUT;
    const int32_t wide = s->out_w - at.x < QB_WINOGRAD_OUT ? s->out_w - at.x : QB_WINOGRAD_OUT;
    for (int32_t row = 0; row < high; row++) {
        const size_t line = ((size_t)at.sample * (size_t)s->out_h + (size_t)(at.y + row)) * (size_t)s->out_w;
        char *to = y + (line + (size_t)at.x) * pixel_bytes;
        const char *pixel = from + (size_t)row * QB_WINOGRAD_OUT * from_stride;
        for (int32_t column = 0; column < wide; column++, to += pixel_bytes, pixel += from_stride) {
            copy(pixel, bytes, to);
        }
    }
}

/* The columns from tile->first_column on of a block's tiles. size: bytes of an output. */
static void run_columns(const qb_step *step, const qb_winograd_block *block, const place *places, qb_tile_s8 *tile,
                        const qb_sample_quant *samples, size_t size)
{
    const qb_linear *op = step->state;
    const packed *p = op->fast;
    const size_t nr = p->kernel->nr, left = (size_t)op->shape.out_c - tile->first_column;
    char *y = (char *)step->out[0]->data + tile->first_column * size;
    qb_sample_quant quant[QB_WINOGRAD_OUTPUTS];
    tile->quant = quant;
    for (size_t i = 0; i < block->tiles; i++) {
        for (size_t o = 0; samples != NULL && o < QB_WINOGRAD_OUTPUTS; o++) quant[o] = samples[places[i].sample];
        p->kernel->finish(tile, block->products + i * QB_WINOGRAD_POINTS * nr, p->parts, p->products_stride);
        place_outputs(&op->shape, places[i], (const char *)tile->out + tile->first_column * size, tile->out_stride * size,
                      (left < nr ? left : nr) * size, y, (size_t)op->shape.out_c * size);
    }
}

/* Part by part. The next columns' weights lie from `ahead` on; each part has its share of them fetched. */
static void multiply_parts(const packed *p, const qb_winograd_block *block, const int8_t *ahead)
{
    const size_t bytes = QB_WINOGRAD_TAPS * block->depth * p->kernel->nr / p->parts;
    qb_winograd_block part = *block;
    part.ahead = ahead;
    part.ahead_lines = bytes / (CACHE_LINE * QB_WINOGRAD_POINTS) + 1;
    for (size_t first = 0; first < block->depth; first += p->part_depth) {
        part.count = block->depth - first < p->part_depth ? block->depth - first : p->part_depth;
        p->kernel->multiply(&part);
        part.inputs += p->part_depth;
        part.weights += p->part_depth * p->kernel->nr;
        part.products += p->products_stride;
        part.ahead += part.ahead_lines * QB_WINOGRAD_POINTS * CACHE_LINE;
    }
}

static void run_tiles(const qb_step *step, const qb_image *image, const qb_sample_quant *samples, size_t size)
{
    const qb_linear *op = step->state;
    const packed *p = op->fast;
    char *scratch = step->scratch;
    int16_t *inputs = (int16_t *)(void *)(scratch + p->inputs);
    int16_t *weights = (int16_t *)(void *)(scratch + p->transformed_weights);
    const size_t depth = (size_t)op->shape.in_c, nr = p->kernel->nr, all = count_tiles(p, &op->shape);
    place *places = (place *)(void *)(scratch + p->places);
    qb_tile_s8 tile = p->tile;
    tile.out = scratch + p->outputs;
    for (size_t first = 0; first < all; first += p->block) {
        const size_t tiles = all - first < p->block ? all - first : p->block;
        for (size_t i = 0; i < tiles; i++) {
            const int8_t *pointers[QB_WINOGRAD_POINTS];
            places[i] = place_of(p, first + i);
            point_at_inputs(&op->shape, image, places[i], pointers);
            p->kernel->transform_inputs(pointers, depth, inputs + i * QB_WINOGRAD_POINTS * depth);
        }
        const qb_winograd_block block = {
            .tiles = tiles,
            .depth = depth,
            .inputs = inputs,
            .weights = weights,
            .weights_stride = p->weights_stride,
            .products = (int32_t *)(void *)(scratch + p->products),
        };
        for (size_t column = 0; column < (size_t)op->shape.out_c; column += nr) {
            const int8_t *stored = p->weights + column * QB_WINOGRAD_TAPS * depth;
            p->kernel->transform_weights(stored, depth * nr, weights, p->weights_stride);
            multiply_parts(p, &block, stored + nr * QB_WINOGRAD_TAPS * depth);
            tile.first_column = column;
            tile.end_column = column + nr;
            run_columns(step, &block, places, &tile, samples, size);
        }
    }
}

static void run_s8(const qb_step *step)
{
    const packed *p = ((const qb_linear *)step->state)->fast;
    const qb_image image = {step->in[0]->data, p->padding, 0};
    run_tiles(step, &image, NULL, sizeof(int8_t));
}

static void run_hybrid(const qb_step *step)
{
    const qb_linear *op = step->state;
    const qb_hybrid_input input = qb_hybrid_quantize(step, &op->shape);
    const qb_image image = {input.values, input.padding, (size_t)op->shape.in_c};
    run_tiles(step, &image, input.quant, sizeof(float));
}

static bool suits(const qb_linear *op, const packed *p)
{
    const qb_linear_shape *s = &op->shape;
    const bool filter = s->filter_h == 3 && s->filter_w == 3 && s->stride_h == 1 && s->stride_w == 1 &&
                        s->dilation_h == 1 && s->dilation_w == 1;
    const bool exact = op->weight_zero == 0 && qb_linear_has_headroom(op);
    const bool pays = (size_t)s->in_c >= p->kernel->least_depth && (size_t)s->out_c >= p->kernel->nr &&
                      count_tiles(p, s) >= p->kernel->least_tiles;
    return filter && exact && pays && !op->rounds_once && s->in_c % QB_WINOGRAD_PAIR == 0;
}

/* Parts of the depth of about the same size, where one would be too large. */
static void plan_parts(packed *p, const qb_linear *op)
{
    const size_t depth = (size_t)op->shape.in_c, fewest = (depth + PART_DEPTH - 1) / PART_DEPTH;
    p->parts = op->largest_magnitude < LARGEST_SUM / 128 ? 1 : fewest;
    p->part_depth = (size_t)qb_round_up((depth + p->parts - 1) / p->parts, QB_WINOGRAD_PAIR);
}

static bool lay_out_scratch(qb_builder *builder, const qb_step *step, packed *p, const qb_linear_shape *s,
                            bool hybrid)
{
    const size_t nr = p->kernel->nr, all = count_tiles(p, s);
    const uint64_t depth = (uint64_t)s->in_c, tile_bytes = QB_WINOGRAD_POINTS * depth * sizeof(int16_t);
    const size_t mr = p->kernel->mr, fitting = (size_t)(TILES_BYTES / tile_bytes) / mr * mr;
    const size_t most = fitting > mr ? fitting : mr;
    p->block = all < most ? all : most;
    const uint64_t stride = depth * nr + STRIDE_GAP, rows = qb_round_up(p->block, p->kernel->row_step);
    const uint64_t places = hybrid ? qb_hybrid_scratch(s) : 0;
    const uint64_t inputs = places + qb_round_up(rows * sizeof(place), QB_ALIGNMENT);
    const uint64_t weights = inputs + qb_round_up(rows * tile_bytes, QB_ALIGNMENT);
    const uint64_t products = weights + qb_round_up(QB_WINOGRAD_POINTS * stride * sizeof(int16_t), QB_ALIGNMENT);
    const uint64_t stride_products = rows * QB_WINOGRAD_POINTS * nr;
    const uint64_t outputs = products + qb_round_up(p->parts * stride_products * sizeof(int32_t), QB_ALIGNMENT);
    p->tile.out_stride = (size_t)qb_round_up((uint64_t)s->out_c, nr);
    if (!qb_reserve_scratch(builder, step, outputs + QB_WINOGRAD_OUTPUTS * (uint64_t)p->tile.out_stride * sizeof(float))) {
        return false;
    }
    p->weights_stride = (size_t)stride;
    p->products_stride = (size_t)stride_products;
    p->places = (size_t)places;
    p->inputs = (size_t)inputs;
    p->transformed_weights = (size_t)weights;
    p->products = (size_t)products;
    p->outputs = (size_t)outputs;
    return true;
}

/* OHWI to packed->weights. */
static bool pack_weights(qb_builder *builder, packed *p, const qb_linear *op)
{
    const size_t nr = p->kernel->nr, columns = (size_t)op->shape.out_c, depth = (size_t)op->shape.in_c;
    int8_t *weights = qb_alloc_array(builder, qb_round_up(columns, nr) * QB_WINOGRAD_TAPS * depth, sizeof *weights);
    if (weights == NULL) return false;
    const size_t line = QB_WINOGRAD_TAPS * depth;
    for (size_t first = 0; first < columns; first += nr) {
        const qb_columns panel = {
            .from = (const int8_t *)op->weights + first * line,
            .stride = line,
            .columns = columns - first < nr ? columns - first : nr,
            .nr = nr,
            .to = weights + first * line,
        };
        qb_interleave_16(&panel, line / QB_WINOGRAD_PAIR);
    }
    p->weights = weights;
    return true;
}

static bool pack_columns(qb_builder *builder, packed *p, const qb_linear *op)
{
    const size_t columns = (size_t)op->shape.out_c, slots = (size_t)qb_round_up(columns, p->kernel->nr);
    int32_t *channel_of = qb_alloc_array(builder, slots, sizeof *channel_of);
    if (channel_of == NULL) return false;
    for (size_t n = 0; n < slots; n++) channel_of[n] = n < columns ? (int32_t)n : -1;
    return qb_pack_channels(builder, op, channel_of, slots, 0, 0, &p->tile.channels);
}

bool qb_winograd_prepare(qb_builder *builder, qb_step *step, qb_linear *op)
{
    packed found = {.kernel = qb_builder_isa(builder)->winograd};
    found.high = (op->shape.out_h + QB_WINOGRAD_OUT - 1) / QB_WINOGRAD_OUT;
    found.wide = (op->shape.out_w + QB_WINOGRAD_OUT - 1) / QB_WINOGRAD_OUT;
    if (found.kernel == NULL || !suits(op, &found)) return true;
    const bool hybrid = step->node->arithmetic == QB_ARITH_HYBRID;
    packed *p = qb_alloc(builder, sizeof *p);
    int8_t *padding = qb_alloc(builder, (size_t)op->shape.in_c);
    if (p == NULL || padding == NULL) return false;
    memset(padding, op->input_zero, (size_t)op->shape.in_c);
    *p = found;
    p->padding = padding;
    plan_parts(p, op);
    if (!lay_out_scratch(builder, step, p, &op->shape, hybrid)) return false;
    if (!pack_weights(builder, p, op) || !pack_columns(builder, p, op)) return false;
    p->tile.rows = QB_WINOGRAD_OUTPUTS;
    p->tile.tail = hybrid ? QB_TAIL_F32 : QB_TAIL_S8;
    op->fast = p;
    step->run = hybrid ? run_hybrid : run_s8;
    step->kernel = p->kernel->name;
    return true;
}
