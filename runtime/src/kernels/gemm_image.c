#include "gemm_image.h"

#include <string.h>

enum { SIGN = 0x80, SLACK = 64 };

qb_padded qb_padded_plan(const qb_linear_shape *s, const qb_loops *loops)
{
    qb_padded p = {.shape = s, .loops = loops};
    p.wide = (size_t)(s->out_w - 1) * (size_t)s->stride_w + (size_t)s->filter_w;
    p.high = (size_t)(s->out_h - 1) * (size_t)s->stride_h + (size_t)(s->filter_h - 1) * (size_t)s->dilation_h + 1;
    p.line = p.wide * (size_t)s->in_c;
    p.sample = p.high * p.line;
    p.tap_step = (size_t)s->dilation_h * p.line;
    p.bytes = (uint64_t)s->batch * p.high * p.wide * (uint64_t)s->in_c + SLACK;
    return p;
}

static void fill_line(const qb_padded *p, const int8_t *from, uint8_t padding, uint8_t *to)
{
    const qb_linear_shape *s = p->shape;
    const size_t pixel = (size_t)s->in_c, left = (size_t)s->pad_left < p->wide ? (size_t)s->pad_left : p->wide;
    const size_t room = p->wide - left, inside = (size_t)s->in_w < room ? (size_t)s->in_w : room;
    memset(to, padding, left * pixel);
    to += left * pixel;
    p->loops->turn_signs(from, inside * pixel, to);
    memset(to + inside * pixel, padding, (room - inside) * pixel);
}

void qb_padded_fill(const qb_padded *p, const qb_image *image, uint8_t *to)
{
    const qb_linear_shape *s = p->shape;
    const int8_t *values = image->values, *paddings = image->padding;
    const size_t line = (size_t)s->in_w * (size_t)s->in_c;
    for (int32_t b = 0; b < s->batch; b++, values += qb_linear_sample(s), paddings += image->padding_stride) {
        const uint8_t padding = (uint8_t)(*paddings ^ SIGN);
        for (size_t i = 0; i < p->high; i++, to += p->line) {
            const int64_t y = (int64_t)i - s->pad_top;
            if (y < 0 || y >= s->in_h) memset(to, padding, p->line);
            else fill_line(p, values + (size_t)y * line, padding, to);
        }
    }
}

void qb_padded_point(const qb_padded *p, const uint8_t *filled, size_t first, size_t count, size_t all,
                     const uint8_t **windows)
{
    const qb_linear_shape *s = p->shape;
    const size_t width = (size_t)s->out_w, high = (size_t)s->out_h, step = (size_t)s->stride_w * (size_t)s->in_c;
    const size_t row = first / width;
    size_t x = first % width, y = row % high, r = 0;
    const uint8_t *sample = filled + row / high * p->sample, *last = filled;
    for (; r < count; x = 0) {
        const uint8_t *line = sample + y * (size_t)s->stride_h * p->line;
        for (; x < width && r < count; x++, r++) windows[r] = last = line + x * step;
        if (++y == high) y = 0, sample += p->sample;
    }
    for (; r < all; r++) windows[r] = last;
}
