/* int8 3×3 depthwise convolution on AVX2: sixteen channels of two output pixels at a time, the nine taps of eight channels
 * in five VPMADDWD.
 *
 * Values are widened to int16 and interleaved: a column's upper two rows with each other, once for every window that the
 * column lies in, and the lowest row's values of two neighbouring columns. A window's lowest row lies in two such pairs, from
 * the first value of one on or from the second. Interleaving keeps to halves of a register, so the first sums are of channels
 * 0-3 and 8-11 and the second of the others; packing them to bytes puts them in order again.
 */
#include "depthwise.h"
#include "tail_avx2.h"

enum { BLOCK = QB_DEPTHWISE_3X3_BLOCK, FILTER = 3, LANES = 8, PIXELS = 2, COLUMNS = 5, LOWEST = 3, AHEAD = 3 };

static const uint8_t order[BLOCK] = {0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15};

/* What is packed for eight channels, pairs of taps: for the upper rows of each column, and for the lowest row of a window
 * that starts with a pair's first value or with its second. */
typedef struct half_weights {
    __m256i upper[FILTER], first[2], second[2];
} half_weights;

/* The taps of each pair in half_weights; NONE: 0. */
enum { PAIRS = sizeof(half_weights) / sizeof(__m256i), NONE = 9 };
static const uint8_t taps_of[PAIRS][2] = {{0, 3}, {1, 4}, {2, 5}, {6, 7}, {8, NONE}, {NONE, 6}, {7, 8}};

/* [half][pair][channel][2] int16 */
static void pack(const int8_t *weights, void *to)
{
    int16_t *value = to;
    for (size_t i = 0; i < 2 * PAIRS * LANES * 2; i++) {
        const size_t half = i / (PAIRS * LANES * 2), tap = taps_of[i / (LANES * 2) % PAIRS][i % 2];
        *value++ = tap == NONE ? 0 : weights[tap * BLOCK + order[half * LANES + i / 2 % LANES]];
    }
}

/* Two values of sixteen channels in turn: pairs of int16, eight channels each. */
typedef struct pairs {
    __m256i half[2];
} pairs;

static inline pairs load_pairs(const int8_t *a, const int8_t *b)
{
    const __m256i first = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)a));
    const __m256i second = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)b));
    return (pairs){{_mm256_unpacklo_epi16(first, second), _mm256_unpackhi_epi16(first, second)}};
}

/* Of the column `at`: its upper two rows. */
static inline pairs load_upper(const int8_t *const *at, size_t channel)
{
    return load_pairs(at[0] + channel, at[1] + channel);
}

/* The lowest row of it and the next. */
static inline pairs load_lowest(const int8_t *const *at, size_t channel)
{
    return load_pairs(at[2] + channel, at[FILTER + 2] + channel);
}

/* Half of a window's sums: `upper` from its first column on, `lowest` from the pair on that this is in. */
static inline __m256i sum_half(__m256i sum, const __m256i *upper_weights, const __m256i *lowest_weights, const pairs *upper,
                               const pairs *lowest, size_t half)
{
    for (size_t i = 0; i < FILTER; i++) {
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(upper[i].half[half], upper_weights[i]));
    }
    for (size_t i = 0; i < 2; i++) {
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(lowest[i].half[half], lowest_weights[i]));
    }
    return sum;
}

/* How eight channels' sums start and end. */
typedef struct half_tail {
    __m256i start;
    qb_requant_avx2 requant;
} half_tail;

/* Where a nudge is added to every product, the product of the start can be in it. */
static inline half_tail load_tail(const qb_channels *channels, size_t c, const bool hybrid, const qb_factors_avx2 factors)
{
    half_tail tail = {.start = _mm256_load_si256((const __m256i *)(channels->start + c))};
    if (hybrid) return tail;
    qb_requant_avx2 *r = &tail.requant;
    *r = qb_requant_load_avx2(&channels->requant, c, factors);
    if (factors == QB_FROM_ZERO) {
        const __m256i odd = qb_odd_lanes_avx2(tail.start);
        r->even_nudge = _mm256_add_epi64(r->even_nudge, _mm256_mul_epi32(tail.start, r->even));
        r->odd_nudge = _mm256_add_epi64(r->odd_nudge, _mm256_mul_epi32(odd, r->odd));
        tail.start = _mm256_setzero_si256();
    }
    return tail;
}

/* Where two pixels go, `next` values apart; 0: only the first is there. */
static inline void store_f32(const qb_depthwise_row_s8 *row, size_t c, __m256i sums[PIXELS][2], float *out, size_t next)
{
    const qb_dequant *d = &row->by_channel.dequant;
    for (size_t i = PIXELS; i-- > 0;) {
        const __m256 a = qb_dequantize_avx2(sums[i][0], d, *row->quant, c);
        const __m256 b = qb_dequantize_avx2(sums[i][1], d, *row->quant, c + LANES);
        _mm256_storeu_ps(out + i * next, _mm256_permute2f128_ps(a, b, 0x20));
        _mm256_storeu_ps(out + i * next + LANES, _mm256_permute2f128_ps(a, b, 0x31));
    }
}

static inline __attribute__((always_inline)) void store_s8(const half_tail *tails, const qb_outputs_avx2 *o,
                                                           const qb_factors_avx2 factors, __m256i sums[PIXELS][2],
                                                           int8_t *out, size_t next)
{
    const __m128i order = _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15);
    for (size_t i = 0; i < PIXELS; i++) {
        for (size_t half = 0; half < 2; half++) {
            sums[i][half] = qb_multiply_avx2(sums[i][half], &tails[half].requant, factors);
        }
    }
    const __m256i bytes = qb_narrow_two_avx2(sums[0], sums[1], o, order, factors);
    _mm_storeu_si128((__m128i *)(out + next), _mm256_extracti128_si256(bytes, 1));
    _mm_storeu_si128((__m128i *)out, _mm256_castsi256_si128(bytes));
}

/* `stride`, 1 or 2, `hybrid` and `factors` are constants wherever this is inlined. */
static inline __attribute__((always_inline)) void run_block(const qb_depthwise_row_s8 *given, size_t block,
                                                            const size_t stride, const bool hybrid,
                                                            const qb_factors_avx2 factors)
{
    const qb_depthwise_row_s8 row = *given;
    const size_t first = qb_depthwise_3x3_first(block, row.channels), c = block * BLOCK;
    const qb_outputs_avx2 outputs = qb_outputs_load_avx2(&row.by_channel.requant);
    const half_tail tails[2] = {load_tail(&row.by_channel, c, hybrid, factors),
                                load_tail(&row.by_channel, c + LANES, hybrid, factors)};
    const half_weights *weights = (const half_weights *)row.weights + 2 * block;
    const int8_t *const *x = row.columns;
    pairs upper[COLUMNS], lowest[LOWEST];
    for (size_t i = 0; i < FILTER - stride; i++) upper[i] = load_upper(x + i * FILTER, first);
    lowest[0] = load_lowest(x, first);
    for (size_t p = 0; p < row.pixels; p += PIXELS, x += stride * PIXELS * FILTER) {
        for (size_t i = FILTER - stride; i < FILTER + stride; i++) upper[i] = load_upper(x + i * FILTER, first);
        for (size_t i = 1; i <= stride; i++) lowest[i] = load_lowest(x + 2 * i * FILTER, first);
        __m256i sums[PIXELS][2];
        for (size_t half = 0; half < 2; half++) {
            const half_weights *w = weights + half;
            const __m256i start = tails[half].start, *second = stride == 1 ? w->second : w->first;
            sums[0][half] = sum_half(start, w->upper, w->first, upper, lowest, half);
            sums[1][half] = sum_half(start, w->upper, second, upper + stride, lowest + stride / 2, half);
        }
        const size_t at = p * row.channels + first, next = p + 1 < row.pixels ? row.channels : 0;
        if (hybrid) store_f32(&row, c, sums, (float *)row.out + at, next);
        else store_s8(tails, &outputs, factors, sums, (int8_t *)row.out + at, next);
        for (size_t i = 0; i < FILTER - stride; i++) upper[i] = upper[i + PIXELS * stride];
        lowest[0] = lowest[stride];
    }
}

static inline __attribute__((always_inline)) void run_blocks(const qb_depthwise_row_s8 *row, const bool hybrid,
                                                             const qb_factors_avx2 factors)
{
    const size_t blocks = (row->channels + BLOCK - 1) / BLOCK;
    for (size_t block = 0; block < blocks; block++) {
        if (row->pixel_step == FILTER) run_block(row, block, 1, hybrid, factors);
        else run_block(row, block, 2, hybrid, factors);
    }
}

static void run_row(const qb_depthwise_row_s8 *row)
{
    if (row->quant != NULL) run_blocks(row, true, QB_SHIFT_RIGHT);
    else if (row->by_channel.requant.from_zero) run_blocks(row, false, QB_FROM_ZERO);
    else run_blocks(row, false, QB_SHIFT_RIGHT);
}

const qb_depthwise_3x3_s8 qb_depthwise_3x3_s8_avx2 = {
    .name = "depthwise_3x3_s8_avx2",
    .row = run_row,
    .pack = pack,
    .block_bytes = 2 * sizeof(half_weights),
    .block = BLOCK,
    .ahead = AHEAD,
    .shifts_right = true,
    .order = order,
};
