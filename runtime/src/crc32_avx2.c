/* CRC-32 by carry-less multiplication, 64 bytes at a step (Gopal and others, "Fast CRC computation for generic
 * polynomials using PCLMULQDQ instruction", Intel 2009). Every processor with AVX2 has PCLMULQDQ. */
#include <immintrin.h>

#include "crc32.h"

enum { LANES = 4, STEP = 64, LANE = 16 };

static inline __m128i load(const uint8_t *from)
{
    return _mm_loadu_si128((const __m128i *)from);
}

/* What `value` contributes a distance further on, which is what the two factors stand for. */
static inline __m128i fold(__m128i value, __m128i factors)
{
    return _mm_xor_si128(_mm_clmulepi64_si128(value, factors, 0x00), _mm_clmulepi64_si128(value, factors, 0x11));
}

/* 128 bits to the remainder of 32: to 96 and 64 bits, then Barrett's reduction. */
static uint32_t reduce(__m128i value, __m128i by_lane)
{
    const __m128i low32 = _mm_setr_epi32(-1, 0, -1, 0);
    const __m128i by_word = _mm_set_epi64x(0, 0x163CD6124), poly_and_inverse = _mm_set_epi64x(0x1F7011641, 0x1DB710641);
    const __m128i upper = _mm_clmulepi64_si128(value, by_lane, 0x10);
    const __m128i bits96 = _mm_xor_si128(_mm_srli_si128(value, 8), upper);
    const __m128i word = _mm_clmulepi64_si128(_mm_and_si128(bits96, low32), by_word, 0x00);
    const __m128i bits64 = _mm_xor_si128(_mm_srli_si128(bits96, 4), word);
    const __m128i quotient = _mm_clmulepi64_si128(_mm_and_si128(bits64, low32), poly_and_inverse, 0x10);
    const __m128i product = _mm_clmulepi64_si128(_mm_and_si128(quotient, low32), poly_and_inverse, 0x00);
    return (uint32_t)_mm_extract_epi32(_mm_xor_si128(bits64, product), 1);
}

/* The factors are x^(n + 32) and x^(n − 32) modulo the polynomial, bits reflected, for a distance of n bits. */
uint32_t qb_crc32_blocks_avx2(uint32_t crc, const uint8_t *bytes, size_t size)
{
    const __m128i by_step = _mm_set_epi64x(0x1C6E41596, 0x154442BD4);
    const __m128i by_lane = _mm_set_epi64x(0x0CCAA009E, 0x1751997D0);
    __m128i lanes[LANES];
    for (int i = 0; i < LANES; i++) lanes[i] = load(bytes + i * LANE);
    lanes[0] = _mm_xor_si128(lanes[0], _mm_cvtsi32_si128((int32_t)crc));
    for (size_t at = STEP; at < size; at += STEP) {
        for (int i = 0; i < LANES; i++) {
            lanes[i] = _mm_xor_si128(fold(lanes[i], by_step), load(bytes + at + (size_t)i * LANE));
        }
    }
    __m128i all = lanes[0];
    for (int i = 1; i < LANES; i++) all = _mm_xor_si128(fold(all, by_lane), lanes[i]);
    return reduce(all, by_lane);
}
