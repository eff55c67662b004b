#include "constants.h"

#include "crc32.h"
#include "error.h"

enum { PART = 1 << 20 }; /* bytes that may be read before pages are let go */

static void note(qb_constants *c, size_t first, size_t end)
{
    if (c->end == 0 || first < c->first) c->first = first;
    if (end > c->end) c->end = end;
}

static void check_to(qb_constants *c, size_t end)
{
    if (end <= c->checked) return;
    c->crc = qb_crc32(c->crc, c->model->data + c->checked, end - c->checked);
    note(c, c->checked, end);
    c->checked = end;
}

/* Other constants were computed when the session was made. */
static bool is_of_file(const qb_model *model, const uint8_t *data)
{
    return data >= model->data && data < model->bytes + model->size;
}

void qb_constants_take(qb_constants *c, const qb_step *step)
{
    for (uint32_t i = 0; i < step->in_count; i++) {
        const qb_tensor *in = step->in[i];
        if (in != NULL && in->stored != NULL) in = in->stored;
        if (in == NULL || in->kind != QB_CONSTANT || !is_of_file(c->model, in->data)) continue;
        const size_t first = (size_t)((const uint8_t *)in->data - c->model->data);
        check_to(c, first + in->size);
        note(c, first, first + in->size);
    }
}

static void release(qb_constants *c)
{
    qb_model_release_pages(c->model, c->model->data + c->first, c->end - c->first);
    c->end = 0;
}

void qb_constants_release(qb_constants *c)
{
    if (c->end != 0 && c->end - c->first >= PART) release(c);
}

bool qb_constants_finish(qb_constants *c, qb_error *error)
{
    const size_t size = c->model->size - (size_t)(c->model->data - c->model->bytes);
    while (c->checked < size) {
        check_to(c, size - c->checked < PART ? size : c->checked + PART);
        qb_constants_release(c);
    }
    if (c->end != 0) release(c);
    return c->crc == c->model->header->data_crc32 ||
           qb_fail(error, "%s: the constants' checksum does not match: the file is damaged", c->model->path);
}
