/* CRC-32 as in zlib (reflected polynomial 0xEDB88320): eight bytes at a step, or as the best ISA variant can. */
#ifndef QB_CRC32_H
#define QB_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* Checksum of `size` bytes that follow those which gave `crc`; 0 at the start. */
uint32_t qb_crc32(uint32_t crc, const void *bytes, size_t size);

enum { QB_CRC32_UNIT = 64 };

/* An ISA variant's way (isa.h): a multiple of QB_CRC32_UNIT bytes, not none; crc goes in and comes out inverted. */
typedef uint32_t (*qb_crc32_fn)(uint32_t crc, const uint8_t *bytes, size_t size);

#endif
