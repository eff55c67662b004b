/* int8 3×3 depthwise convolution on AVX-512 VNNI: sixteen channels at a time, a column of three taps in each VPDPBUSD.
 *
 * The column's three bytes of a channel lie in one 32-bit lane, shifted by 128 to be unsigned (input_offset). A
 * column is laid out once and serves every window of the row that it lies in.
 */
#include "depthwise.h"
#include "tail_avx512.h"

enum { BLOCK = QB_DEPTHWISE_3X3_BLOCK, FILTER = 3, LANE = 4, SHIFT = 128 };

/* [column][channel][row, and a zero] */
static void pack(const int8_t *weights, void *to)
{
    int8_t *lane = to;
    for (size_t x = 0; x < FILTER; x++) {
        for (size_t c = 0; c < BLOCK; c++, lane += LANE) {
            for (size_t y = 0; y < FILTER; y++) lane[y] = weights[(y * FILTER + x) * BLOCK + c];
        }
    }
}

static inline __m512i load(const int8_t *from)
{
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)from));
}

static inline __m512i load_column(const int8_t *const *rows, size_t channel)
{
    const __m512i top = load(rows[0] + channel), middle = _mm512_slli_epi32(load(rows[1] + channel), 8),
                  bottom = _mm512_slli_epi32(load(rows[2] + channel), 16);
    const __m512i bytes = _mm512_or_si512(_mm512_or_si512(top, middle), bottom);
    return _mm512_xor_si512(bytes, _mm512_set1_epi32(0x808080));
}

/* `stride`, 1 or 2, and `hybrid` are constants wherever this is inlined. */
static inline __attribute__((always_inline)) void run_block(const qb_depthwise_row_s8 *row, size_t block,
                                                            const size_t stride, const bool hybrid)
{
    const size_t first = qb_depthwise_3x3_first(block, row->channels), slot = block * BLOCK;
    const __m512i *weights = (const __m512i *)row->weights + block * FILTER;
    const __m512i left = weights[0], middle = weights[1], right = weights[2];
    const __m512i start = _mm512_load_si512(row->by_channel.start + slot);
    qb_requant_avx512 requant;
    if (!hybrid) requant = qb_requant_load_avx512(&row->by_channel.requant, slot);
    const int8_t *const *x = row->columns;
    __m512i a = load_column(x, first), b = load_column(x + FILTER, first);
    for (size_t p = 0; p < row->pixels; p++) {
        const __m512i c = load_column(x + 2 * FILTER, first);
        const __m512i two = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(start, a, left), b, middle);
        const __m512i sum = _mm512_dpbusd_epi32(two, c, right);
        const size_t at = p * row->channels + first;
        if (hybrid) {
            const __m512 real = qb_dequantize_avx512(sum, &row->by_channel.dequant, *row->quant, slot);
            _mm512_storeu_ps((float *)row->out + at, real);
        } else {
            _mm_storeu_si128((__m128i *)((int8_t *)row->out + at), qb_requantize_avx512(sum, &requant));
        }
        x += stride * FILTER;
        a = stride == 1 ? b : c;
        b = stride == 1 || p + 1 == row->pixels ? c : load_column(x + FILTER, first);
    }
}

static void run_row(const qb_depthwise_row_s8 *row)
{
    const size_t blocks = (row->channels + BLOCK - 1) / BLOCK;
    const bool hybrid = row->quant != NULL, steps = row->pixel_step == FILTER;
    for (size_t block = 0; block < blocks; block++) {
        if (steps) {
            if (hybrid) run_block(row, block, 1, true);
            else run_block(row, block, 1, false);
        } else {
            if (hybrid) run_block(row, block, 2, true);
            else run_block(row, block, 2, false);
        }
    }
}

const qb_depthwise_3x3_s8 qb_depthwise_3x3_s8_avx512vnni = {
    .name = "depthwise_3x3_s8_avx512vnni",
    .row = run_row,
    .pack = pack,
    .block_bytes = FILTER * BLOCK * LANE,
    .order = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    .input_offset = SHIFT,
};
