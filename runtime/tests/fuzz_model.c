/* Fuzz target of the model loader, of every op's prepare, and of what they let run.
 *
 *     fuzz_model SEED.qbm COUNT      cuts the seed at every offset, then COUNT random changes; prints how they fared
 *
 * or, linked with libFuzzer (-fsanitize=fuzzer -DQB_LIBFUZZER), the usual entry point. Checksums are repaired, so that
 * changes reach the checks behind them. A fault shows as a signal.
 */
#define _GNU_SOURCE

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "crc32.h"
#include "model.h"

static unsigned long refused_at_open, refused_at_prepare, ran;

static void repair_checksums(uint8_t *bytes, size_t size)
{
    qb_model_header header;
    if (size < sizeof header) return;
    memcpy(&header, bytes, sizeof header);
    const uint64_t data = header.sections[QB_SECTION_DATA].offset;
    if (data >= sizeof header && data <= size) {
        header.tables_crc32 = qb_crc32(0, bytes + sizeof header, (size_t)data - sizeof header);
        header.data_crc32 = qb_crc32(0, bytes + data, size - (size_t)data);
    }
    header.file_size = size;
    header.header_crc32 = 0;
    header.header_crc32 = qb_crc32(0, &header, sizeof header);
    memcpy(bytes, &header, sizeof header);
}

static void use_model(const char *path)
{
    qb_error error = {""};
    qb_model *model = qb_model_open(path, &error);
    qb_session *session = model != NULL ? qb_session_create(model, NULL, &error) : NULL;
    if (session != NULL) {
        qb_session_run(session);
        qb_session_run(session);
        ran++;
    } else {
        if (error.text[0] == '\0') abort(); /* refused without a word */
        *(model != NULL ? &refused_at_prepare : &refused_at_open) += 1;
    }
    qb_session_destroy(session);
    qb_model_close(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const int file = memfd_create("model", 0);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    uint8_t *copy = malloc(size + 1);
    if (file < 0 || copy == NULL) abort();
    memcpy(copy, bytes, size);
    repair_checksums(copy, size);
    if (write(file, copy, size) != (ssize_t)size) abort();
    free(copy);
    use_model(path);
    close(file);
    return 0;
}

#ifndef QB_LIBFUZZER

static uint64_t state = 88172645463325252u;

/* Marsaglia's xorshift64. */
static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* One change: a bit, a byte, or an aligned number replaced by one that checks tend to get wrong. */
static void change(uint8_t *bytes, size_t size)
{
    static const uint32_t numbers[] = {0, 1, 2, 3, 64, 127, 255, 0x7FFFFFFF, 0x80000000, 0xFFFFFFC0, 0xFFFFFFFF};
    const size_t at = next_random() % size;
    switch (next_random() % 4) {
    case 0: bytes[at] ^= (uint8_t)(1u << (next_random() % 8)); break;
    case 1: bytes[at] = (uint8_t)next_random(); break;
    case 2: memcpy(bytes + at / 4 * 4, &numbers[next_random() % (sizeof numbers / sizeof *numbers)], 4); break;
    default: memcpy(bytes + at / 4 * 4, bytes + next_random() % (size / 4) * 4, 4); break;
    }
}

/* Changes go to the header and tables, which are small beside the constants. */
static void fuzz(const uint8_t *seed, size_t size, unsigned long count)
{
    qb_model_header header;
    memcpy(&header, seed, sizeof header);
    const size_t tables_end = (size_t)header.sections[QB_SECTION_DATA].offset;
    uint8_t *copy = malloc(size + 4);
    if (copy == NULL) abort();
    for (size_t cut = 0; cut < size; cut++) LLVMFuzzerTestOneInput(seed, cut);
    for (unsigned long i = 0; i < count; i++) {
        memcpy(copy, seed, size);
        const unsigned changes = 1 + next_random() % 3;
        for (unsigned k = 0; k < changes; k++) change(copy, next_random() % 8 == 0 ? size : tables_end);
        LLVMFuzzerTestOneInput(copy, size);
    }
    free(copy);
}

int main(int argc, char **argv)
{
    FILE *file = argc == 3 ? fopen(argv[1], "rb") : NULL;
    static uint8_t seed[1 << 20];
    if (file == NULL) return 2;
    const size_t size = fread(seed, 1, sizeof seed, file);
    fclose(file);
    if (size < sizeof(qb_model_header)) return 2;
    fuzz(seed, size, strtoul(argv[2], NULL, 10));
    printf("%lu %lu %lu\n", refused_at_open, refused_at_prepare, ran);
    return 0;
}

#endif
