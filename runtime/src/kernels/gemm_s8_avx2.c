/* int8 GEMM on AVX2: tiles of 32 × 16, four rows at a time, exact for inputs and weights of [-128, 127].
 *
 * VPMADDUBSW multiplies unsigned bytes by signed ones and adds two products, but saturates at 16 bits, which two products of one
 * sign may not fit. So inputs are shifted by 128 to be unsigned (input_offset), and where two weights have the same sign the
 * second input is complemented, which turns the sign of its product:
 *
 *     x0·w0 + x1·w1 = x0·w0 + (255 − x1)·(−w1) + 255·w1
 *
 * Of the first two products one is then not below zero and one not above it, and each is at most 255 · 127. VPXOR with a mask
 * that belongs to the weights complements, and VPMADDWD by ones widens: four instructions for 32 products, of which two
 * multiply. Masks, negated weights and what the constants come to are made from the packed weights of sixteen columns where they
 * serve many tiles. Elsewhere, and where a weight is -128, inputs and weights are widened to int16 for VPMADDWD.
 */
#include "gemm_finish_avx2.h"

enum { MR = 32, SUMMED = 4, NR = QB_FINISH_COLUMNS, KR = 4, BYTES = 32, UNIT = 64, LINE = 64 };
enum { WIDE = 4 }; /* registers of a group of depths */

/* `bytes` is a constant wherever this is inlined. */
static inline __attribute__((always_inline)) void shift(const int8_t *from, const size_t bytes, uint8_t *to)
{
    __m256i values = _mm256_setzero_si256();
    memcpy(&values, from, bytes);
    values = _mm256_xor_si256(values, _mm256_set1_epi8(INT8_MIN));
    memcpy(to, &values, bytes);
}

/* One row's taps, each padded to a multiple of KR with bytes that meet zero weights. */
static void copy_row(const qb_tile_s8 *tile, size_t row, uint8_t *to)
{
    for (size_t t = 0; t < tile->taps; t++) {
        const int8_t *from = tile->inputs[t * MR + row];
        size_t left = tile->depth;
        for (; left >= BYTES; left -= BYTES, from += BYTES, to += BYTES) shift(from, BYTES, to);
        for (; left >= KR; left -= KR, from += KR, to += KR) shift(from, KR, to);
        for (size_t k = 0; k < left; k++) to[k] = (uint8_t)(from[k] ^ INT8_MIN);
        to += qb_round_up(left, KR);
    }
}

static void pack_tile(const qb_tile_s8 *tile)
{
    uint8_t **rows = qb_gemm_place_rows(tile, MR, KR, UNIT);
    for (size_t r = 0; r < tile->rows; r++) copy_row(tile, r, rows[r]);
}

/* To [depth / 4][half of the columns][mask, weights], and what the constants come to behind them. */
static void widen(const int8_t *weights, size_t count, void *wide)
{
    const __m256i odd = _mm256_set1_epi16((int16_t)0xFF00), one = _mm256_set1_epi16(1);
    __m256i *to = wide, constants[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (size_t i = 0; i < count; i += NR * KR) {
        for (size_t half = 0; half < 2; half++, weights += BYTES, to += 2) {
            const __m256i bytes = _mm256_load_si256((const __m256i *)weights);
            const __m256i signs = _mm256_xor_si256(bytes, _mm256_slli_epi16(bytes, 8));
            const __m256i mask = _mm256_andnot_si256(_mm256_srai_epi16(signs, 15), odd);
            const __m256i products = _mm256_madd_epi16(_mm256_maddubs_epi16(mask, bytes), one);
            to[0] = mask;
            to[1] = _mm256_sub_epi8(_mm256_xor_si256(bytes, mask), mask);
            constants[half] = _mm256_add_epi32(constants[half], products);
        }
    }
    to[0] = constants[0];
    to[1] = constants[1];
}

/* Four bytes of a row, in all lanes. */
static inline __m256i broadcast_group(const uint8_t *group)
{
    int32_t bits;
    memcpy(&bits, group, sizeof bits);
    return _mm256_set1_epi32(bits);
}

/* Of pairs of bytes, sign-extended. */
static inline __m256i even_bytes(__m256i x)
{
    return _mm256_srai_epi16(_mm256_slli_epi16(x, 8), 8);
}

static inline __m256i odd_bytes(__m256i x)
{
    return _mm256_srai_epi16(x, 8);
}

/* Eight columns' sums with a group's products added. */
static inline __m256i add_complemented(__m256i sum, __m256i x, const __m256i *mask, const __m256i *weights)
{
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_xor_si256(x, *mask), *weights);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

static inline __m256i add_widened(__m256i sum, __m256i x, __m256i even, __m256i odd)
{
    const __m256i even_x = _mm256_and_si256(x, _mm256_set1_epi16(UINT8_MAX)), odd_x = _mm256_srli_epi16(x, 8);
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(even_x, even));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(odd_x, odd));
}

/* What sixteen columns' sums start with besides a row's own. */
typedef struct starts {
    __m256i low, high;
} starts;

static inline starts starts_of(const qb_tile_s8 *tile, size_t column)
{
    const __m256i *start = (const __m256i *)(tile->channels.start + column), zero = _mm256_setzero_si256();
    starts s = {zero, zero};
    if (tile->part->first) s = (starts){start[0], start[1]};
    if (tile->wide == NULL) return s;
    const __m256i *constants = (const __m256i *)tile->wide + tile->part->taps * tile->part->groups * WIDE;
    return (starts){_mm256_add_epi32(s.low, constants[0]), _mm256_add_epi32(s.high, constants[1])};
}

/* The part of the depth that the tile is at, for a panel of columns and `rows` rows from `first` on; sums: [rows][2]. `rows`
 * and `wide` are constants wherever this is inlined: the loops over rows unroll and the sums stay in registers. */
static inline __attribute__((always_inline)) void multiply(const qb_tile_s8 *tile, size_t column, size_t first,
                                                           const size_t rows, const bool wide, __m256i *sums)
{
    const uint8_t *const *x = (const uint8_t *const *)tile->workspace + first;
    const size_t groups = tile->part->groups, line = tile->part->taps * groups * NR * KR;
    const __m256i *weights = wide ? tile->wide : (const __m256i *)(tile->weights + column / NR * line);
    const starts start = starts_of(tile, column);
    __m256i low[SUMMED], high[SUMMED];
    for (size_t r = 0; r < rows; r++) {
        const __m256i row_start = _mm256_set1_epi32(tile->row_start[first + r]);
        low[r] = _mm256_add_epi32(start.low, tile->part->first ? row_start : sums[r * 2]);
        high[r] = _mm256_add_epi32(start.high, tile->part->first ? row_start : sums[r * 2 + 1]);
    }
    size_t tap_at = tile->part->at;
    for (size_t t = 0; t < tile->part->taps; t++, tap_at += tile->tap_step) {
        for (size_t at = tap_at; at < tap_at + groups * KR; at += KR, weights += wide ? WIDE : WIDE / 2) {
            const __m256i low_even = even_bytes(weights[0]), low_odd = odd_bytes(weights[0]);
            const __m256i high_even = even_bytes(weights[1]), high_odd = odd_bytes(weights[1]);
            for (size_t r = 0; r < rows; r++) {
                const __m256i values = broadcast_group(x[r] + at);
                low[r] = wide ? add_complemented(low[r], values, weights, weights + 1)
                              : add_widened(low[r], values, low_even, low_odd);
                high[r] = wide ? add_complemented(high[r], values, weights + 2, weights + 3)
                               : add_widened(high[r], values, high_even, high_odd);
            }
        }
    }
    for (size_t r = 0; r < rows; r++) sums[r * 2] = low[r], sums[r * 2 + 1] = high[r];
}

/* Odd numbers of rows but one compute a row too many, which is not stored. */
static void multiply_rows(const qb_tile_s8 *tile, size_t column, size_t first, __m256i *sums)
{
    const size_t rows = tile->rows - first;
    if (tile->wide != NULL) {
        if (rows > 2) multiply(tile, column, first, SUMMED, true, sums);
        else multiply(tile, column, first, 2, true, sums);
    } else {
        if (rows > 2) multiply(tile, column, first, SUMMED, false, sums);
        else if (rows == 2) multiply(tile, column, first, 2, false, sums);
        else multiply(tile, column, first, 1, false, sums);
    }
}

static void run_tile(const qb_tile_s8 *tile)
{
    __m256i *sums = (__m256i *)tile->sums;
    const int8_t *ahead = tile->ahead;
    for (size_t column = tile->first_column; column < tile->end_column; column += NR) {
        for (size_t first = 0; first < tile->rows; first += SUMMED) {
            for (size_t i = 0; i < tile->ahead_lines * SUMMED; i++, ahead += LINE) _mm_prefetch(ahead, _MM_HINT_T1);
            multiply_rows(tile, column, first, sums + first * 2);
        }
        if (tile->part->last) qb_finish_avx2(tile, column, sums);
    }
}

const qb_gemm_s8 qb_gemm_s8_avx2 = {
    .name = "gemm_s8_avx2",
    .mr = MR,
    .nr = NR,
    .kr = KR,
    .expand = sizeof(uint8_t),
    .unit = UNIT,
    .reads_images = true,
    .input_offset = 128,
    .full_range = true,
    .widen = widen,
    .pack = pack_tile,
    .tile = run_tile,
};
