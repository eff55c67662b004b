/* Opening a model file: mapping, header, sections, the tables' checksum. */
#define _DEFAULT_SOURCE /* madvise */

#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crc32.h"
#include "error.h"

static bool map_file(qb_model *model, qb_error *error)
{
    const int file = open(model->path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return qb_fail(error, "%s: %s", model->path, strerror(errno));
    struct stat status;
    const bool regular = fstat(file, &status) == 0 && S_ISREG(status.st_mode);
    void *bytes = MAP_FAILED;
    if (regular && status.st_size >= (off_t)sizeof(qb_model_header) && (uint64_t)status.st_size <= QB_MEMORY_LIMIT) {
        bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    }
    close(file);
    if (!regular) return qb_fail(error, "%s: not a regular file", model->path);
    if (bytes == MAP_FAILED) {
        return qb_fail(error, "%s: %lld bytes cannot be a model or cannot be mapped", model->path,
                       (long long)status.st_size);
    }
    model->bytes = bytes;
    model->size = (size_t)status.st_size;
    model->header = bytes;
    return true;
}

static bool check_header(const qb_model *model, qb_error *error)
{
    const qb_model_header *header = model->header;
    if (memcmp(header->magic, "QBMODEL\n", sizeof header->magic) != 0) {
        return qb_fail(error, "%s: not a model file", model->path);
    }
    if (header->version != QB_MODEL_VERSION || header->header_size != sizeof *header) {
        return qb_fail(error, "%s: format version %u, this runner reads %d: pack the model again", model->path,
                       header->version, QB_MODEL_VERSION);
    }
    if (header->file_size != model->size) {
        return qb_fail(error, "%s: has %zu bytes but should have %llu: cut short or changed", model->path, model->size,
                       (unsigned long long)header->file_size);
    }
    qb_model_header blank = *header;
    blank.header_crc32 = 0;
    if (qb_crc32(0, &blank, sizeof blank) != header->header_crc32) {
        return qb_fail(error, "%s: the header's checksum does not match: the file is damaged", model->path);
    }
    return true;
}

/* Sections follow each other in order, aligned, inside the file, and their counts fit in 32 bits (data: in the file). */
static bool check_sections(const qb_model *model, qb_error *error)
{
    static const uint64_t record_sizes[QB_SECTION_COUNT] = {
        sizeof(qb_tensor_record), sizeof(qb_node_record), sizeof(uint32_t), sizeof(float), 1, 1,
    };
    uint64_t end = sizeof(qb_model_header);
    for (int i = 0; i < QB_SECTION_COUNT; i++) {
        const qb_section *section = &model->header->sections[i];
        const bool placed = section->offset >= end && section->offset <= model->size &&
                            section->offset % QB_ALIGNMENT == 0;
        if (!placed || section->count > (model->size - section->offset) / record_sizes[i]) {
            return qb_fail(error, "%s: section %d lies outside the file or over another", model->path, i);
        }
        end = section->offset + section->count * record_sizes[i];
    }
    const qb_section *strings = &model->header->sections[QB_SECTION_STRINGS];
    if (strings->count == 0 || model->bytes[strings->offset + strings->count - 1] != 0) {
        return qb_fail(error, "%s: the strings do not end in NUL", model->path);
    }
    return true;
}

void qb_model_release_pages(const qb_model *model, const uint8_t *from, size_t size)
{
    enum { AROUND = 64 << 10 }; /* a page fault maps neighbours too, as many as such a part of the addresses has */
    const uintptr_t start = (uintptr_t)model->bytes, end = start + model->size;
    const uintptr_t first = (uintptr_t)from / AROUND * AROUND, last = ((uintptr_t)from + size + AROUND - 1) / AROUND * AROUND;
    const uintptr_t clipped = first > start ? first : start;
    madvise((void *)clipped, (last < end ? last : end) - clipped, MADV_DONTNEED); /* a wish: failure changes nothing */
}

static bool check_tables(const qb_model *model, qb_error *error)
{
    const uint64_t tables = sizeof(qb_model_header), data = model->header->sections[QB_SECTION_DATA].offset;
    if (qb_crc32(0, model->bytes + tables, (size_t)(data - tables)) == model->header->tables_crc32) return true;
    return qb_fail(error, "%s: the tables' checksum does not match: the file is damaged", model->path);
}

static void locate_sections(qb_model *model)
{
    const qb_section *sections = model->header->sections;
    const uint8_t *at[QB_SECTION_COUNT];
    for (int i = 0; i < QB_SECTION_COUNT; i++) at[i] = model->bytes + sections[i].offset;
    model->tensors = (const qb_tensor_record *)at[QB_SECTION_TENSORS];
    model->tensor_count = (uint32_t)sections[QB_SECTION_TENSORS].count;
    model->nodes = (const qb_node_record *)at[QB_SECTION_NODES];
    model->node_count = (uint32_t)sections[QB_SECTION_NODES].count;
    model->links = (const uint32_t *)at[QB_SECTION_LINKS];
    model->link_count = (uint32_t)sections[QB_SECTION_LINKS].count;
    model->scales = (const float *)at[QB_SECTION_SCALES];
    model->scale_count = (uint32_t)sections[QB_SECTION_SCALES].count;
    model->strings = (const char *)at[QB_SECTION_STRINGS];
    model->strings_size = (uint32_t)sections[QB_SECTION_STRINGS].count;
    model->data = at[QB_SECTION_DATA];
    model->data_size = sections[QB_SECTION_DATA].count;
}

qb_model *qb_model_open(const char *path, qb_error *error)
{
    qb_model *model = calloc(1, sizeof *model);
    char *copy = strdup(path);
    if (model == NULL || copy == NULL) {
        free(model);
        free(copy);
        qb_fail(error, "%s: out of memory", path);
        return NULL;
    }
    model->path = copy;
    if (!map_file(model, error) || !check_header(model, error) || !check_sections(model, error) ||
        !check_tables(model, error)) {
        qb_model_close(model);
        return NULL;
    }
    locate_sections(model);
    if (!qb_model_check_records(model, error)) {
        qb_model_close(model);
        return NULL;
    }
    model->name = model->strings + model->header->name;
    return model;
}

void qb_model_close(qb_model *model)
{
    if (model == NULL) return;
    if (model->bytes != NULL) munmap((void *)(uintptr_t)model->bytes, model->size);
    free((void *)(uintptr_t)model->path);
    free(model);
}
