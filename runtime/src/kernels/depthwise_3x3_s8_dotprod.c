/* int8 3×3 depthwise convolution on aarch64 with SDOT: sixteen channels at a time.
 *
 * A column of the input, three rows of sixteen channels, is laid out once for every window that it lies in: TBL puts a
 * channel's three values side by side, with a fourth that weighs nothing. SDOT then multiplies and adds a column of
 * four channels at once.
 */
#include "depthwise_3x3_neon.h"

enum { BLOCK = QB_DEPTHWISE_3X3_BLOCK, FILTER = 3, QUADS = BLOCK / 4 };

/* Four channels in each register: [channel][rows 0, 1, 2 and 0 again]. */
typedef struct column {
    int8x16_t quad[QUADS];
} column;

/* [column][channel][rows 0, 1, 2 and a zero] */
static void pack(const int8_t *weights, void *to)
{
    int8_t *value = to;
    for (size_t x = 0; x < FILTER; x++) {
        for (size_t c = 0; c < BLOCK; c++) {
            for (size_t y = 0; y < FILTER; y++) *value++ = weights[(y * FILTER + x) * BLOCK + c];
            *value++ = 0;
        }
    }
}

/* Which bytes of three rows make up quad `i`. */
QB_NEON_INLINE uint8x16_t bytes_of_quad(size_t i)
{
    static const uint8_t first[16] = {0, 16, 32, 0, 1, 17, 33, 1, 2, 18, 34, 2, 3, 19, 35, 3};
    return vaddq_u8(vld1q_u8(first), vdupq_n_u8((uint8_t)(4 * i)));
}

QB_NEON_INLINE column load_column(const int8_t *const *rows, size_t channel)
{
    const int8x16x3_t values = {{vld1q_s8(rows[0] + channel), vld1q_s8(rows[1] + channel),
                                 vld1q_s8(rows[2] + channel)}};
    return (column){{vqtbl3q_s8(values, bytes_of_quad(0)), vqtbl3q_s8(values, bytes_of_quad(1)),
                     vqtbl3q_s8(values, bytes_of_quad(2)), vqtbl3q_s8(values, bytes_of_quad(3))}};
}

QB_NEON_INLINE void add_column(int32x4_t *sums, const column *x, const int8_t *weights)
{
    QB_UNROLL
    for (size_t i = 0; i < QUADS; i++) sums[i] = vdotq_s32(sums[i], x->quad[i], vld1q_s8(weights + 16 * i));
}

/* `stride`, 1 or 2, and `tail` are constants wherever this is inlined. */
QB_NEON_INLINE void run_block(const qb_depthwise_row_s8 *row, size_t block, const size_t stride,
                              const qb_depthwise_tail tail)
{
    const size_t first = qb_depthwise_3x3_first(block, row->channels);
    const int8_t *const *x = row->columns;
    const int8_t *weights = row->weights + block * FILTER * sizeof(column);
    qb_factors_neon factors[QB_DEPTHWISE_3X3_SUMS];
    qb_depthwise_factors_neon(row, block, tail, factors);
    column window[FILTER] = {load_column(x, first), load_column(x + FILTER, first)};
    size_t at = first;
    for (size_t left = row->pixels; left > 0; left--, at += row->channels) {
        window[2] = load_column(x + 2 * FILTER, first);
        x += stride * FILTER;
        int32x4_t sums[QB_DEPTHWISE_3X3_SUMS];
        qb_depthwise_start_neon(row, block, sums);
        QB_UNROLL
        for (size_t i = 0; i < FILTER; i++) add_column(sums, &window[i], weights + i * sizeof(column));
        qb_depthwise_finish_neon(row, block, factors, at, tail, sums);
        window[0] = window[stride];
        window[1] = stride == 1 || left == 1 ? window[2] : load_column(x + FILTER, first);
    }
}

QB_DEFINE_RUN_ROW(run_block)

const qb_depthwise_3x3_s8 qb_depthwise_3x3_s8_dotprod = {
    .name = "depthwise_3x3_s8_dotprod",
    .row = run_row,
    .pack = pack,
    .block_bytes = FILTER * sizeof(column),
    .block = BLOCK,
};
