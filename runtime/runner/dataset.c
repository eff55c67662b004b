#define _POSIX_C_SOURCE 200809L

#include "dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crc32.h"
#include "requantize.h"
#include "runner.h"

struct dataset {
    const char *path;
    const uint8_t *bytes;
    size_t size;
    const qb_dataset_header *header;
    const float *scales, *offsets; /* [header->channels] */
    size_t sample_count;           /* elements of one sample */
    qb_view input;
};

static void map_file(dataset *data)
{
    const int file = open(data->path, O_RDONLY | O_CLOEXEC);
    if (file < 0) fail("%s: %s", data->path, strerror(errno));
    struct stat status;
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) fail("%s: not a regular file", data->path);
    if (status.st_size < (off_t)sizeof(qb_dataset_header) || (uint64_t)status.st_size > SIZE_MAX) {
        fail("%s: %lld bytes cannot be a dataset", data->path, (long long)status.st_size);
    }
    data->size = (size_t)status.st_size;
    void *bytes = mmap(NULL, data->size, PROT_READ, MAP_PRIVATE, file, 0);
    close(file);
    if (bytes == MAP_FAILED) fail("%s: cannot be mapped: %s", data->path, strerror(errno));
    data->bytes = bytes;
    data->header = bytes;
}

/* Elements of one sample; 0 where the dimensions are impossible. */
static uint64_t count_of_dims(const qb_dataset_header *header)
{
    uint64_t count = 1;
    for (int i = 0; i < QB_MAX_RANK; i++) {
        const int32_t dim = header->dims[i];
        if (dim < 1 || (i >= header->rank && dim != 1)) return 0;
        count *= (uint64_t)dim;
        if (count > QB_MEMORY_LIMIT) return 0;
    }
    return count;
}

/* The header, then the scales and offsets behind it: everything but the samples. */
static void check_header(dataset *data)
{
    const qb_dataset_header *header = data->header;
    if (memcmp(header->magic, "QBDATA\n\0", sizeof header->magic) != 0) fail("%s: not a dataset file", data->path);
    if (header->version != QB_DATASET_VERSION || header->header_size != sizeof *header) {
        fail("%s: format version %u, this runner reads %d", data->path, header->version, QB_DATASET_VERSION);
    }
    if (header->file_size != data->size) {
        fail("%s: has %zu bytes but should have %llu: cut short or changed", data->path, data->size,
             (unsigned long long)header->file_size);
    }
    const uint64_t affine_size = 2 * (uint64_t)header->channels * sizeof(float);
    if (affine_size > data->size - sizeof *header) fail("%s: scale and offset lie outside the file", data->path);
    qb_dataset_header blank = *header;
    blank.header_crc32 = 0;
    const uint32_t crc = qb_crc32(0, &blank, sizeof blank);
    if (qb_crc32(crc, header + 1, (size_t)affine_size) != header->header_crc32) {
        fail("%s: the header's checksum does not match: the file is damaged", data->path);
    }
    if (header->data_offset % sizeof(float) != 0 || header->data_offset < sizeof *header + affine_size ||
        header->data_offset > data->size) {
        fail("%s: the samples lie outside the file", data->path);
    }
    data->scales = (const float *)(header + 1);
    data->offsets = data->scales + header->channels;
}

static void check_samples(dataset *data)
{
    const qb_dataset_header *header = data->header;
    const uint64_t count = header->rank <= QB_MAX_RANK ? count_of_dims(header) : 0;
    const bool known = header->dtype == QB_U8 || header->dtype == QB_S8 || header->dtype == QB_F32;
    if (count == 0 || !known || header->channels == 0 || count % header->channels != 0) {
        fail("%s: impossible dtype, dimensions or channels", data->path);
    }
    const uint64_t room = data->size - header->data_offset;
    const uint64_t sample_size = count * qb_dtype_size(header->dtype);
    if (room % sample_size != 0 || room / sample_size != header->count) {
        fail("%s: does not hold the %llu samples it should", data->path, (unsigned long long)header->count);
    }
    for (uint32_t c = 0; c < header->channels; c++) {
        if (!isfinite(data->scales[c]) || !isfinite(data->offsets[c])) fail("%s: scale or offset not finite", data->path);
    }
    if (qb_crc32(0, data->bytes + header->data_offset, (size_t)room) != header->data_crc32) {
        fail("%s: the samples' checksum does not match: the file is damaged", data->path);
    }
    data->sample_count = (size_t)count;
}

static void check_fit(const dataset *data, const qb_session *session)
{
    if (qb_session_input_count(session) != 1) fail("%s: the model has more than one input", data->path);
    const int dtype = data->input.dtype;
    const bool quantized = dtype == QB_S8 || dtype == QB_U8 || dtype == QB_S16;
    if (dtype != QB_F32 && !(quantized && data->input.scale > 0.0f)) {
        fail("%s: the model's input '%s' is neither float nor quantized", data->path, data->input.name);
    }
    const size_t wanted = data->input.size / qb_dtype_size((uint8_t)dtype);
    if (wanted != data->sample_count) {
        fail("%s: a sample has %zu values but the model's input '%s' takes %zu", data->path, data->sample_count,
             data->input.name, wanted);
    }
}

dataset *dataset_open(const char *path, const qb_session *session)
{
    dataset *data = checked_malloc(sizeof *data);
    *data = (dataset){.path = path, .input = qb_session_input(session, 0)};
    map_file(data);
    check_header(data);
    check_samples(data);
    check_fit(data, session);
    return data;
}

void dataset_close(dataset *data)
{
    munmap((void *)(uintptr_t)data->bytes, data->size);
    free(data);
}

uint64_t dataset_count(const dataset *data)
{
    return data->header->count;
}

static float stored_value(uint8_t dtype, const void *values, size_t index)
{
    switch (dtype) {
    case QB_U8: return ((const uint8_t *)values)[index];
    case QB_S8: return ((const int8_t *)values)[index];
    default: return ((const float *)values)[index];
    }
}

/* Writes a real value as element `index` of the model's input. */
static void put_value(const qb_view *input, size_t index, float real)
{
    const float scale = input->scale;
    const int32_t zero = input->zero_point;
    void *values = input->data;
    switch (input->dtype) {
    case QB_S8: ((int8_t *)values)[index] = (int8_t)qb_quantize_s8(real, scale, zero); break;
    case QB_U8: ((uint8_t *)values)[index] = (uint8_t)qb_quantize(real, scale, zero, 0, UINT8_MAX); break;
    case QB_S16: ((int16_t *)values)[index] = (int16_t)qb_quantize(real, scale, zero, INT16_MIN, INT16_MAX); break;
    default: ((float *)values)[index] = real; break;
    }
}

size_t dataset_sample_count(const dataset *data)
{
    return data->sample_count;
}

static const uint8_t *sample_at(const dataset *data, uint64_t index)
{
    const qb_dataset_header *header = data->header;
    return data->bytes + header->data_offset + (size_t)index * data->sample_count * qb_dtype_size(header->dtype);
}

static float real_value(const dataset *data, const uint8_t *sample, size_t index)
{
    const size_t channel = index % data->header->channels;
    return (stored_value(data->header->dtype, sample, index) - data->offsets[channel]) * data->scales[channel];
}

void dataset_read(const dataset *data, uint64_t index, void *input)
{
    const uint8_t *sample = sample_at(data, index);
    qb_view there = data->input;
    there.data = input;
    for (size_t i = 0; i < data->sample_count; i++) put_value(&there, i, real_value(data, sample, i));
}

void dataset_reals(const dataset *data, uint64_t index, float *reals)
{
    const uint8_t *sample = sample_at(data, index);
    for (size_t i = 0; i < data->sample_count; i++) reals[i] = real_value(data, sample, i);
}
