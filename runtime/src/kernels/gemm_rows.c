#include "gemm_rows.h"

#include <string.h>

#include "packing.h"

enum { UNIT = 8, ZEROED = 16 }; /* bytes of a copy; at least what fills up gathered rows */

/* An output pixel: its sample, its place, and the input position under its first tap. */
typedef struct pixel {
    int32_t sample, out_y, out_x;
    int32_t y, x;
} pixel;

/* Sets [first, end): the output positions along an axis whose windows have no padding. span: of a window. */
static void find_inside(int32_t in, int32_t out, int32_t span, int32_t stride, int32_t pad, int32_t *first, int32_t *end)
{
    const int64_t room = (int64_t)in + pad - span, last = room < 0 ? 0 : room / stride + 1;
    *first = (pad + stride - 1) / stride;
    *end = last < out ? (int32_t)last : out;
}

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
    const int32_t high = (s->filter_h - 1) * s->dilation_h + 1, wide = (s->filter_w - 1) * s->dilation_w + 1;
    find_inside(s->in_h, s->out_h, high, s->stride_h, s->pad_top, &rows.top, &rows.bottom);
    find_inside(s->in_w, s->out_w, wide, s->stride_w, s->pad_left, &rows.left, &rows.right);
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
    /* 32 bits, as QB_MEMORY_LIMIT allows no more pixels: processors divide them in half the time. */
    const uint32_t pixel_index = (uint32_t)index, width = (uint32_t)s->out_w, high = (uint32_t)s->out_h;
    const uint32_t row = pixel_index / width;
    pixel p = {(int32_t)(row / high), (int32_t)(row % high), (int32_t)(pixel_index % width), 0, 0};
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

static bool is_inside(const qb_rows *rows, const pixel *p)
{
    return p->out_x >= rows->left && p->out_x < rows->right && p->out_y >= rows->top && p->out_y < rows->bottom;
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
    if (s->dilation_w == 1 && is_inside(rows, p)) {
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

/* One pointer for each tap of a pixel, mr apart. */
static void point_at_taps(const qb_rows *rows, const qb_image *image, const pixel *p, const void **pointers)
{
    const qb_linear_shape *s = rows->shape;
    for (int32_t ky = 0; ky < s->filter_h; ky++) {
        for (int32_t kx = 0; kx < s->filter_w; kx++, pointers += rows->mr) *pointers = tap_at(rows, image, p, ky, kx);
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

/* How many pixels from p on have windows that can be read in the image, lines with all that may be read of the last
 * one. All lie in p's row. */
static size_t count_readable(const qb_rows *rows, const pixel *p)
{
    if (!is_inside(rows, p)) return 0;
    const qb_linear_shape *s = rows->shape;
    const size_t inside = (size_t)(rows->right - p->out_x);
    if (rows->kind != QB_ROWS_LINES) return inside;
    const size_t value = (size_t)s->in_c * rows->size, step = (size_t)s->stride_w * value;
    const size_t below = (size_t)(s->batch - p->sample) * (size_t)s->in_h - (size_t)p->y;
    const size_t bytes = (below * (size_t)s->in_w - (size_t)p->x) * value; /* from the window on */
    const size_t used = (size_t)(s->filter_h - 1) * line_step(rows) + rows->readable;
    if (bytes < used) return 0;
    return (inside - 1) * step <= bytes - used ? inside : (bytes - used) / step + 1;
}

/* The taps or lines of `count` pixels from p on, whose windows can be read in the image. */
static void point_at_windows(const qb_rows *rows, const qb_image *image, const pixel *p, size_t count,
                             const void **pointers)
{
    const qb_linear_shape *s = rows->shape;
    const size_t value = (size_t)s->in_c * rows->size, step = (size_t)s->stride_w * value;
    const size_t across = rows->kind == QB_ROWS_LINES ? 1 : (size_t)s->filter_w, line = line_step(rows);
    const char *left = tap_at(rows, image, p, 0, 0);
    for (int32_t ky = 0; ky < s->filter_h; ky++, left += line) {
        const char *tap = left;
        for (size_t kx = 0; kx < across; kx++, pointers += rows->mr, tap += (size_t)s->dilation_w * value) {
            const char *at = tap;
#pragma clang loop vectorize(disable) unroll(disable) /* they are few */
            for (size_t i = 0; i < count; i++, at += step) pointers[i] = at;
        }
    }
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void fill_windows(const qb_rows *rows, const qb_image *image, size_t first, size_t count, const void **pointers,
                         char *gathered)
{
    const bool lines = rows->kind == QB_ROWS_LINES;
    pixel p = pixel_at(rows->shape, first);
    for (size_t r = 0, done; r < count; r += done, advance(rows->shape, &p, (int32_t)done)) {
        const size_t readable = least(count_readable(rows, &p), count - r);
        if (readable > 0) point_at_windows(rows, image, &p, readable, pointers + r);
        else if (lines) gather_lines(rows, image, &p, pointers + r, gathered + r * rows->taps * rows->readable);
        else point_at_taps(rows, image, &p, pointers + r);
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
    } else {
        fill_windows(rows, image, first, count, pointers, gathered);
    }
    for (size_t t = 0; count < rows->mr && t < rows->taps; t++, pointers += rows->mr) {
        for (size_t r = count; r < rows->mr; r++) pointers[r] = pointers[count - 1];
    }
}
