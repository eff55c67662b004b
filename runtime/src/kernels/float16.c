#include "float16.h"

#include <string.h>

static inline float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t to_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* The exponent and ten digits, moved to where float32 has them, are those of the value times 2^-112 once the exponent
 * has gained 224, by which 31 becomes 255: infinities and NaN stay what they are, and the product is exact. A subnormal
 * number's digits stand for their value in the last places of 1/2. No step meets a float32 that is subnormal, which
 * armv7's vectors would take for zero. (The method of Maratyszcza's library FP16.) */
static inline float expand(uint16_t value)
{
    const uint32_t sign = (uint32_t)(value & 0x8000) << 16, magnitude = value & 0x7FFF;
    const float normal = from_bits((magnitude << 13) + (224u << 23)) * 0x1p-112f;
    const float subnormal = from_bits(magnitude | 126u << 23) - 0.5f;
    return from_bits(sign | to_bits(magnitude < 1 << 10 ? subnormal : normal));
}

void qb_expand_f16(const uint16_t *values, size_t count, float *expanded)
{
    for (size_t i = 0; i < count; i++) expanded[i] = expand(values[i]);
}
