#include "crc32.h"

#include <stdbool.h>
#include <string.h>

#include "isa.h"

/* tables[k][b]: what byte b contributes when k more bytes follow it in the same step. */
static uint32_t tables[8][256];
static bool ready;
static qb_crc32_fn blocks; /* NULL: the tables */

static void prepare(void)
{
    struct qb_isa isa;
    qb_isa_choose(NULL, &isa);
    blocks = isa.crc32;
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320u : 0);
        tables[0][byte] = crc;
    }
    for (uint32_t byte = 0; byte < 256; byte++) {
        for (int k = 1; k < 8; k++) {
            const uint32_t before = tables[k - 1][byte];
            tables[k][byte] = (before >> 8) ^ tables[0][before & 0xFF];
        }
    }
    ready = true;
}

uint32_t qb_crc32(uint32_t crc, const void *bytes, size_t size)
{
    if (!ready) prepare();
    const uint8_t *at = bytes;
    crc = ~crc;
    if (blocks != NULL && size >= QB_CRC32_UNIT) {
        const size_t whole = size / QB_CRC32_UNIT * QB_CRC32_UNIT;
        crc = blocks(crc, at, whole);
        at += whole;
        size -= whole;
    }
    for (; size >= 8; size -= 8, at += 8) {
        uint32_t low, high;
        memcpy(&low, at, 4);
        memcpy(&high, at + 4, 4);
        low ^= crc;
        crc = tables[7][low & 0xFF] ^ tables[6][(low >> 8) & 0xFF] ^ tables[5][(low >> 16) & 0xFF] ^
              tables[4][low >> 24] ^ tables[3][high & 0xFF] ^ tables[2][(high >> 8) & 0xFF] ^
              tables[1][(high >> 16) & 0xFF] ^ tables[0][high >> 24];
    }
    for (; size > 0; size--, at++) crc = (crc >> 8) ^ tables[0][(crc ^ *at) & 0xFF];
    return ~crc;
}
