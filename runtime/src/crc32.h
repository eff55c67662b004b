/* CRC-32 as in zlib (reflected polynomial 0xEDB88320), eight bytes at a step. */
#ifndef QB_CRC32_H
#define QB_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* Checksum of `size` bytes that follow those which gave `crc`; 0 at the start. */
uint32_t qb_crc32(uint32_t crc, const void *bytes, size_t size);

#endif
