#include "gemm_rows.h"

#include <string.h>

#include "packing.h"

enum { UNIT = 8, ZEROED = 16 }; /* bytes of a copy; at least what fills up gathered rows */

/* An output pixel: its sample, its place, and the input position under its first tap. */
typedef struct pixel {
    int32_t sample, out_y, out_x;
    int32_t y, x;
} pixel;

qb_rows qb_rows_plan(const qb_linear_shape *s, size_t size, size_t mr, size_t granule, size_t gather_below,
                     bool takes_lines)
{
    const size_t taps = (size_t)s->filter_h * (size_t)s->filter_w;
    const size_t channels = (size_t)s->in_c;
    qb_rows rows = {.shape = s, .size = size, .mr = mr, .taps = taps, .depth = channels};
    const bool unpadded = s->pad_top == 0 && s->pad_left == 0 && s->in_h == s->out_h && s->in_w == s->out_w;
    const bool ragged = channels % granule != 0 && channels < 8 * gather_below;
    if (taps == 1 && s->stride_h == 1 && s->stride_w == 1 && unpadded) {
        rows.kind = QB_ROWS_DIRECT;
    } else if (taps > 1 && (channels < gather_below || ragged) && takes_lines && s->dilation_w == 1) {
        rows.kind = QB_ROWS_LINES;
        rows.taps = (size_t)s->filter_h;
        rows.depth = (size_t)s->filter_w * channels;
        rows.readable = (size_t)qb_round_up(rows.depth * size, QB_ROWS_LINE_UNIT);
        rows.gathered_bytes = (uint64_t)mr * rows.taps * rows.readable;
    } else if (taps > 1 && (channels < gather_below || ragged)) {
        rows.kind = QB_ROWS_GATHERED;
        rows.taps = 1;
        rows.depth = qb_round_up(taps * channels, granule);
        rows.gathered_bytes = (uint64_t)mr * rows.depth * size;
    } else {
        rows.kind = QB_ROWS_INDIRECT;
    }
    if (rows.kind != QB_ROWS_LINES) rows.readable = rows.depth * size;
    rows.pointers_bytes = (uint64_t)rows.taps * mr * sizeof(void *);
    return rows;
}

static void place(const qb_linear_shape *s, pixel *p)
{
    p->y = p->out_y * s->stride_h - s->pad_top;
    p->x = p->out_x * s->stride_w - s->pad_left;
}

static pixel pixel_at(const qb_linear_shape *s, size_t index)
{
    const size_t width = (size_t)s->out_w, area = width * (size_t)s->out_h;
    pixel p = {(int32_t)(index / area), (int32_t)(index % area / width), (int32_t)(index % width), 0, 0};
    place(s, &p);
    return p;
}

/* Moves `count` pixels on, at most to the end of the row. */
static void advance(const qb_linear_shape *s, pixel *p, int32_t count)
{
    p->out_x += count;
    if (p->out_x == s->out_w) {
        p->out_x = 0;
        if (++p->out_y == s->out_h) {
            p->out_y = 0;
            p->sample++;
        }
    }
    place(s, p);
}

static const char *sample_of(const qb_rows *rows, const qb_image *image, const pixel *p)
{
    return (const char *)image->values + (size_t)p->sample * qb_linear_sample(rows->shape) * rows->size;
}

static const char *padding_of(const qb_image *image, const pixel *p)
{
    return (const char *)image->padding + (size_t)p->sample * image->padding_stride;
}

static bool is_inside(const qb_linear_shape *s, const pixel *p)
{
    return p->y >= 0 && p->x >= 0 && p->y + (s->filter_h - 1) * s->dilation_h < s->in_h &&
           p->x + (s->filter_w - 1) * s->dilation_w < s->in_w;
}

/* Where a tap's values are: in the image, or in the padding. */
static const char *tap_at(const qb_rows *rows, const qb_image *image, const pixel *p, int32_t ky, int32_t kx)
{
    const qb_linear_shape *s = rows->shape;
    const int32_t y = p->y + ky * s->dilation_h, x = p->x + kx * s->dilation_w;
    if (y < 0 || y >= s->in_h || x < 0 || x >= s->in_w) return padding_of(image, p);
    return sample_of(rows, image, p) + ((size_t)y * (size_t)s->in_w + (size_t)x) * (size_t)s->in_c * rows->size;
}

/* Bytes from a tap to the one below it. */
static size_t line_step(const qb_rows *rows)
{
    const qb_linear_shape *s = rows->shape;
    return (size_t)s->dilation_h * (size_t)s->in_w * (size_t)s->in_c * rows->size;
}

/* One pointer for each tap of a pixel, mr apart. */
static void point_at_taps(const qb_rows *rows, const qb_image *image, const pixel *p, const void **pointers)
{
    const qb_linear_shape *s = rows->shape;
    const size_t step = (size_t)s->dilation_w * (size_t)s->in_c * rows->size, line = line_step(rows), mr = rows->mr;
    if (is_inside(s, p)) {
        const char *left = tap_at(rows, image, p, 0, 0);
        for (int32_t ky = 0; ky < s->filter_h; ky++, left += line) {
            const char *tap = left;
            for (int32_t kx = 0; kx < s->filter_w; kx++, pointers += mr, tap += step) *pointers = tap;
        }
    } else {
        for (int32_t ky = 0; ky < s->filter_h; ky++) {
            for (int32_t kx = 0; kx < s->filter_w; kx++, pointers += mr) *pointers = tap_at(rows, image, p, ky, kx);
        }
    }
}

/* memcpy in line: a tap's values are few. */
static inline char *copy(char *to, const char *from, size_t count)
{
    if (count >= UNIT) {
        for (size_t i = 0; i + UNIT < count; i += UNIT) memcpy(to + i, from + i, UNIT);
        memcpy(to + count - UNIT, from + count - UNIT, UNIT);
    } else {
        for (size_t i = 0; i < count; i++) to[i] = from[i];
    }
    return to + count;
}

/* Copies all taps of a pixel side by side; taps next to each other in the image go in one copy. */
static void gather_taps(const qb_rows *rows, const qb_image *image, const pixel *p, char *to)
{
    const qb_linear_shape *s = rows->shape;
    const size_t pixel_bytes = (size_t)s->in_c * rows->size, line = line_step(rows);
    if (s->dilation_w == 1 && is_inside(s, p)) {
        const char *left = tap_at(rows, image, p, 0, 0);
        for (int32_t ky = 0; ky < s->filter_h; ky++, left += line) {
            to = copy(to, left, (size_t)s->filter_w * pixel_bytes);
        }
    } else {
        for (int32_t ky = 0; ky < s->filter_h; ky++) {
            for (int32_t kx = 0; kx < s->filter_w; kx++) to = copy(to, tap_at(rows, image, p, ky, kx), pixel_bytes);
        }
    }
}

static void fill_direct(const qb_rows *rows, const qb_image *image, size_t first, size_t count,
                        const void **pointers)
{
    const size_t row_bytes = rows->depth * rows->size;
    const char *row = (const char *)image->values + first * row_bytes;
    for (size_t r = 0; r < count; r++) pointers[r] = row + r * row_bytes;
}

static void fill_gathered(const qb_rows *rows, const qb_image *image, size_t first, size_t count,
                          const void **pointers, char *gathered)
{
    const size_t row_bytes = rows->depth * rows->size;
    const size_t used = qb_linear_depth(rows->shape) * rows->size;
    pixel p = pixel_at(rows->shape, first);
    for (size_t r = 0; r < count; r++, advance(rows->shape, &p, 1)) {
        char *row = gathered + r * row_bytes;
        if (row_bytes > used) memset(row + row_bytes - ZEROED, 0, ZEROED);
        gather_taps(rows, image, &p, row);
        pointers[r] = row;
    }
}

/* Copies a pixel's lines, `readable` bytes apart, and points at them, mr apart. */
static void gather_lines(const qb_rows *rows, const qb_image *image, const pixel *p, const void **pointers,
                         char *gathered)
{
    const qb_linear_shape *s = rows->shape;
    for (int32_t ky = 0; ky < s->filter_h; ky++, pointers += rows->mr, gathered += rows->readable) {
        char *to = gathered;
        for (int32_t kx = 0; kx < s->filter_w; kx++) {
            to = copy(to, tap_at(rows, image, p, ky, kx), (size_t)s->in_c * rows->size);
        }
        *pointers = gathered;
    }
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many pixels from p on have windows whose lines can be read in the image, with all that may be read of the last
 * one. All lie in p's row. */
static size_t count_readable(const qb_rows *rows, const pixel *p)
{
    const qb_linear_shape *s = rows->shape;
    if (!is_inside(s, p)) return 0;
    const size_t value = (size_t)s->in_c * rows->size, step = (size_t)s->stride_w;
    const size_t inside = (size_t)(s->in_w - s->filter_w - p->x) / step, row = (size_t)(s->out_w - p->out_x);
    const size_t below = (size_t)(s->batch - p->sample) * (size_t)s->in_h - (size_t)p->y;
    const size_t bytes = (below * (size_t)s->in_w - (size_t)p->x) * value; /* from the window on */
    const size_t used = (size_t)(s->filter_h - 1) * line_step(rows) + rows->readable;
    return bytes < used ? 0 : least(least(inside, (bytes - used) / (step * value)) + 1, row);
}

/* Windows are read in the image where they are inside it. */
static void fill_lines(const qb_rows *rows, const qb_image *image, size_t first, size_t count, const void **pointers,
                       char *gathered)
{
    const qb_linear_shape *s = rows->shape;
    const size_t line = line_step(rows), step = (size_t)(s->stride_w * s->in_c) * rows->size, mr = rows->mr;
    pixel p = pixel_at(s, first);
    for (size_t r = 0, done; r < count; r += done, advance(s, &p, (int32_t)done)) {
        const size_t readable = least(count_readable(rows, &p), count - r);
        if (readable == 0) {
            gather_lines(rows, image, &p, pointers + r, gathered + r * rows->taps * rows->readable);
        } else {
            const char *from = tap_at(rows, image, &p, 0, 0);
            for (size_t t = 0; t < rows->taps; t++, from += line) {
                for (size_t i = 0; i < readable; i++) pointers[t * mr + r + i] = from + i * step;
            }
        }
        done = readable > 0 ? readable : 1;
    }
}

void qb_rows_fill(const qb_rows *rows, const qb_image *image, size_t first, size_t count,
                  const void **pointers, void *gathered)
{
    if (rows->kind == QB_ROWS_DIRECT) {
        fill_direct(rows, image, first, count, pointers);
    } else if (rows->kind == QB_ROWS_GATHERED) {
        fill_gathered(rows, image, first, count, pointers, gathered);
    } else if (rows->kind == QB_ROWS_LINES) {
        fill_lines(rows, image, first, count, pointers, gathered);
    } else {
        pixel p = pixel_at(rows->shape, first);
        for (size_t r = 0; r < count; r++, advance(rows->shape, &p, 1)) {
            point_at_taps(rows, image, &p, pointers + r);
        }
    }
    for (size_t t = 0; t < rows->taps; t++, pointers += rows->mr) {
        for (size_t r = count; r < rows->mr; r++) pointers[r] = pointers[count - 1];
    }
}
