/* The range of a channel's int8 weights, for ISA variants to compile too (loops_body.h). */
#ifndef QB_WEIGHTS_RANGE_H
#define QB_WEIGHTS_RANGE_H

#include "loops.h"

static inline qb_weights_range qb_find_weights_range(const int8_t *w, size_t count, const size_t step)
{
    enum { PART = 1 << 16 }; /* weights whose magnitudes' sum fits in 32 bits */
    qb_weights_range range = {0, 0, w[0], w[0]};
    for (size_t done = 0; done < count;) {
        const size_t end = count - done < PART ? count : done + PART;
        int32_t magnitudes = 0, sum = 0;
        for (; done < end; done++) {
            const int8_t value = w[done * step];
            magnitudes += value < 0 ? -value : value;
            sum += value;
            range.lowest = value < range.lowest ? value : range.lowest;
            range.highest = value > range.highest ? value : range.highest;
        }
        range.magnitudes += magnitudes;
        range.sum = (int32_t)((uint32_t)range.sum + (uint32_t)sum); /* fits wherever the magnitudes do */
    }
    return range;
}

#endif
