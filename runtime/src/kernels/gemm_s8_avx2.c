/* int8 GEMM on AVX2: tiles of 8 × 16, exact for inputs and weights of [-128, 127].
 *
 * Rows are widened to int16 once, into the workspace, even depths apart from odd ones, and so are the weights of sixteen
 * columns where they serve many tiles. These are multiplied by Winograd's inner product (1968):
 *
 *     (x0 + w1)·(x1 + w0) = x0·w0 + x1·w1 + x0·x1 + w0·w1
 *
 * VPADDW makes the factors, and VPMADDWD multiplies two pairs of them and adds: for two instructions of 16 products each that
 * is one multiplication less and one addition more, and cores have more adders. What the last two terms come to is taken off
 * the start of the sums: a row's when it is packed, a column's when its weights are widened. Sums are modulo 2^32 on the way.
 */
#include "gemm_finish_avx2.h"

enum { MR = 8, SUMMED = 4, NR = QB_FINISH_COLUMNS, KR = 4, BYTES = 32, HEAD = QB_GEMM_SLACK };

/* Of pairs of bytes, sign-extended. */
static inline __m256i even_bytes(__m256i x)
{
    return _mm256_srai_epi16(_mm256_slli_epi16(x, 8), 8);
}

static inline __m256i odd_bytes(__m256i x)
{
    return _mm256_srai_epi16(x, 8);
}

static inline int32_t sum_lanes(__m256i x)
{
    int32_t lanes[8], sum = 0;
    memcpy(lanes, &x, sizeof lanes);
    for (size_t i = 0; i < 8; i++) sum += lanes[i];
    return sum;
}

/* Bytes of a row of which each tap is padded to a multiple of KR. */
static size_t line_of(const qb_tile_s8 *tile)
{
    return tile->taps * (size_t)qb_round_up(tile->depth, KR);
}

static int16_t *rows_of(const qb_tile_s8 *tile)
{
    return (int16_t *)(void *)((char *)tile->workspace + HEAD);
}

/* `bytes` values of a row, 8, 16 or 32, a constant wherever this is inlined: even depths to `even`, odd ones to `odd`. Returns
 * the sums of their products. */
static inline __attribute__((always_inline)) __m256i widen_values(const int8_t *from, const size_t bytes, int16_t *even,
                                                                  int16_t *odd)
{
    __m256i values = _mm256_setzero_si256();
    memcpy(&values, from, bytes);
    const __m256i a = even_bytes(values), b = odd_bytes(values);
    memcpy(even, &a, bytes);
    memcpy(odd, &b, bytes);
    return _mm256_madd_epi16(a, b);
}

/* One row's taps. Returns the sum of the products of even and odd depths. */
static int32_t widen_row(const qb_tile_s8 *tile, size_t row, int16_t *even, int16_t *odd)
{
    __m256i products = _mm256_setzero_si256();
    int32_t rest = 0;
    for (size_t t = 0; t < tile->taps; t++) {
        const int8_t *from = tile->inputs[t * MR + row];
        size_t left = tile->depth;
        for (size_t bytes = BYTES; bytes >= 8; bytes /= 2) {
            for (; left >= bytes; left -= bytes, from += bytes, even += bytes / 2, odd += bytes / 2) {
                const __m256i more = bytes == BYTES ? widen_values(from, BYTES, even, odd)
                                     : bytes == 16  ? widen_values(from, 16, even, odd)
                                                    : widen_values(from, 8, even, odd);
                products = _mm256_add_epi32(products, more);
            }
        }
        for (; left > 0; left -= left < KR ? left : KR, from += KR, even += KR / 2, odd += KR / 2) {
            int8_t group[KR] = {0};
            memcpy(group, from, left < KR ? left : KR);
            even[0] = group[0], odd[0] = group[1], even[1] = group[2], odd[1] = group[3];
            rest += group[0] * group[1] + group[2] * group[3];
        }
    }
    return sum_lanes(products) + rest;
}

static void pack_tile(const qb_tile_s8 *tile)
{
    const size_t line = line_of(tile);
    int32_t *starts = tile->workspace;
    for (size_t r = 0; r < tile->rows; r++) {
        int16_t *even = rows_of(tile) + r * line;
        starts[r] = tile->row_start[r] - widen_row(tile, r, even, even + line / 2);
    }
}

/* To [depth / 4][half of the columns][odd, even], and what the columns' sums start with behind them. */
static void widen(const int8_t *weights, size_t count, int16_t *wide)
{
    __m256i *to = (__m256i *)wide, products[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (size_t i = 0; i < count; i += NR * KR) {
        for (size_t half = 0; half < 2; half++, weights += BYTES, to += 2) {
            const __m256i bytes = _mm256_load_si256((const __m256i *)weights);
            to[0] = odd_bytes(bytes);
            to[1] = even_bytes(bytes);
            products[half] = _mm256_sub_epi32(products[half], _mm256_madd_epi16(to[0], to[1]));
        }
    }
    to[0] = products[0];
    to[1] = products[1];
}

/* 32 bits from a row of int16 pairs, in all lanes. */
static inline __m256i broadcast_pair(const int16_t *pair)
{
    int32_t bits;
    memcpy(&bits, pair, sizeof bits);
    return _mm256_set1_epi32(bits);
}

/* The sums of a panel of columns and `rows` rows from `first` on. A constant wherever these are inlined: the loops over rows
 * unroll and the sums stay in registers. */
static inline __attribute__((always_inline)) void multiply_wide(const qb_tile_s8 *tile, size_t column, size_t first,
                                                                const size_t rows, __m256i *sums)
{
    const size_t line = line_of(tile);
    const __m256i *weights = (const __m256i *)tile->wide, *end = weights + line;
    const __m256i *start = (const __m256i *)(tile->channels.start + column);
    const int32_t *row_starts = (const int32_t *)tile->workspace + first;
    const int16_t *even = rows_of(tile) + first * line, *odd = even + line / 2;
    const __m256i low_start = _mm256_add_epi32(start[0], end[0]), high_start = _mm256_add_epi32(start[1], end[1]);
    __m256i low[SUMMED], high[SUMMED];
    for (size_t r = 0; r < rows; r++) {
        const __m256i row_start = _mm256_set1_epi32(row_starts[r]);
        low[r] = _mm256_add_epi32(low_start, row_start);
        high[r] = _mm256_add_epi32(high_start, row_start);
    }
    for (; weights < end; weights += KR, even += KR / 2, odd += KR / 2) {
        for (size_t r = 0; r < rows; r++) {
            const __m256i a = broadcast_pair(even + r * line), b = broadcast_pair(odd + r * line);
            const __m256i low_a = _mm256_add_epi16(a, weights[0]), low_b = _mm256_add_epi16(b, weights[1]);
            const __m256i high_a = _mm256_add_epi16(a, weights[2]), high_b = _mm256_add_epi16(b, weights[3]);
            low[r] = _mm256_add_epi32(low[r], _mm256_madd_epi16(low_a, low_b));
            high[r] = _mm256_add_epi32(high[r], _mm256_madd_epi16(high_a, high_b));
        }
    }
    for (size_t r = 0; r < rows; r++) sums[r * 2] = low[r], sums[r * 2 + 1] = high[r];
}

/* The same with packed weights. */
static inline __attribute__((always_inline)) void multiply_narrow(const qb_tile_s8 *tile, size_t column, size_t first,
                                                                  const size_t rows, __m256i *sums)
{
    const size_t line = line_of(tile);
    const __m256i *weights = (const __m256i *)(tile->weights + column * line);
    const __m256i *start = (const __m256i *)(tile->channels.start + column);
    const int16_t *even = rows_of(tile) + first * line, *odd = even + line / 2;
    __m256i low[SUMMED], high[SUMMED];
    for (size_t r = 0; r < rows; r++) {
        const __m256i row_start = _mm256_set1_epi32(tile->row_start[first + r]);
        low[r] = _mm256_add_epi32(start[0], row_start);
        high[r] = _mm256_add_epi32(start[1], row_start);
    }
    for (size_t k = 0; k < line; k += KR, weights += 2, even += KR / 2, odd += KR / 2) {
        const __m256i low_even = even_bytes(weights[0]), low_odd = odd_bytes(weights[0]);
        const __m256i high_even = even_bytes(weights[1]), high_odd = odd_bytes(weights[1]);
        for (size_t r = 0; r < rows; r++) {
            const __m256i a = broadcast_pair(even + r * line), b = broadcast_pair(odd + r * line);
            low[r] = _mm256_add_epi32(low[r], _mm256_madd_epi16(a, low_even));
            high[r] = _mm256_add_epi32(high[r], _mm256_madd_epi16(a, high_even));
            low[r] = _mm256_add_epi32(low[r], _mm256_madd_epi16(b, low_odd));
            high[r] = _mm256_add_epi32(high[r], _mm256_madd_epi16(b, high_odd));
        }
    }
    for (size_t r = 0; r < rows; r++) sums[r * 2] = low[r], sums[r * 2 + 1] = high[r];
}

/* Odd numbers of rows but one compute a row too many, which is not stored. */
static void multiply(const qb_tile_s8 *tile, size_t column, size_t first, __m256i *sums)
{
    const size_t rows = tile->rows - first;
    if (tile->wide != NULL) {
        if (rows > 2) multiply_wide(tile, column, first, SUMMED, sums);
        else multiply_wide(tile, column, first, 2, sums);
    } else {
        if (rows > 2) multiply_narrow(tile, column, first, SUMMED, sums);
        else if (rows == 2) multiply_narrow(tile, column, first, 2, sums);
        else multiply_narrow(tile, column, first, 1, sums);
    }
}

static void run_tile(const qb_tile_s8 *tile)
{
    for (size_t column = tile->first_column; column < tile->end_column; column += NR) {
        __m256i sums[MR * 2];
        for (size_t first = 0; first < tile->rows; first += SUMMED) multiply(tile, column, first, sums + first * 2);
        qb_finish_avx2(tile, column, sums);
    }
}

const qb_gemm_s8 qb_gemm_s8_avx2 = {
    .name = "gemm_s8_avx2",
    .mr = MR,
    .nr = NR,
    .kr = KR,
    .expand = sizeof(int16_t),
    .full_range = true,
    .widen = widen,
    .pack = pack_tile,
    .tile = run_tile,
};
