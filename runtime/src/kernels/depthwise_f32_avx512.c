/* float32 3×3 depthwise convolution on AVX-512: two blocks of eight channels at a time, column by column: a column of the
 * input is loaded once for every window of the row that it lies in. Each sum is a chain of fused multiply-adds over the taps
 * in order, as in the reference. Other filters go to AVX2. */
#include "depthwise.h"
#include "tail_avx512.h"

enum { FILTER = 3, TAPS = FILTER * FILTER, BLOCK = QB_DEPTHWISE_BLOCK, ONE_BLOCK = 0xFF, TWO_BLOCKS = 0xFFFF };

extern const qb_depthwise_f32 qb_depthwise_f32_avx2;

typedef struct column {
    __m512 row[FILTER];
} column;

static inline __attribute__((always_inline)) column load_column(const float *const *rows, size_t channel, __mmask16 lanes)
{
    column c;
    for (size_t y = 0; y < FILTER; y++) c.row[y] = _mm512_maskz_loadu_ps(lanes, rows[y] + channel);
    return c;
}

/* A row of windows for the channels from `channel` on that `lanes`, a bit each, has. `stride`, 1 or 2, is a constant
 * wherever this is inlined. */
static inline __attribute__((always_inline)) void run_columns(const qb_depthwise_row_f32 *row, const __m512 *weights,
                                                              __m512 bias, size_t channel, __mmask16 lanes,
                                                              const size_t stride)
{
    const float *const *x = row->columns;
    float *out = row->out + channel;
    column window[FILTER] = {load_column(x, channel, lanes), load_column(x + FILTER, channel, lanes)};
    for (size_t p = 0; p < row->pixels; p++, out += row->channels) {
        window[2] = load_column(x + 2 * FILTER, channel, lanes);
        __m512 sum = bias;
        for (size_t t = 0; t < TAPS; t++) {
            sum = _mm512_fmadd_ps(window[t % FILTER].row[t / FILTER], weights[t], sum);
        }
        _mm512_mask_storeu_ps(out, lanes, qb_clamp_avx512(sum, row->range));
        x += stride * FILTER;
        window[0] = window[stride];
        window[1] = stride == 1 || p + 1 == row->pixels ? window[2] : load_column(x + FILTER, channel, lanes);
    }
}

/* Two blocks' values side by side, or one block's and zeros. */
static inline __m512 load_blocks(const float *first, const float *second)
{
    const __m512 low = _mm512_castps256_ps512(_mm256_load_ps(first));
    return _mm512_insertf32x8(low, second == NULL ? _mm256_setzero_ps() : _mm256_load_ps(second), 1);
}

static void run_3x3(const qb_depthwise_row_f32 *row)
{
    const size_t blocks = qb_depthwise_blocks(row->channels);
    for (size_t block = 0; block < blocks; block++) {
        const size_t first = qb_depthwise_first(block, row->channels);
        const bool two = first + 2 * BLOCK <= row->channels;
        const float *from = row->weights + block * TAPS * BLOCK, *bias = row->bias + block * BLOCK;
        __m512 weights[TAPS];
        for (size_t t = 0; t < TAPS; t++, from += BLOCK) weights[t] = load_blocks(from, two ? from + TAPS * BLOCK : NULL);
        const __m512 start = load_blocks(bias, two ? bias + BLOCK : NULL);
        const __mmask16 lanes = two ? TWO_BLOCKS : ONE_BLOCK;
        if (row->pixel_step == FILTER) run_columns(row, weights, start, first, lanes, 1);
        else run_columns(row, weights, start, first, lanes, 2);
        block += two ? 1 : 0;
    }
}

static void run(const qb_depthwise_row_f32 *row)
{
    const bool by_columns = row->filter_3x3 && row->pixel_step <= 2 * FILTER && row->channels >= BLOCK;
    (by_columns ? run_3x3 : qb_depthwise_f32_avx2.row)(row);
}

const qb_depthwise_f32 qb_depthwise_f32_avx512 = {.name = "depthwise_f32_avx512", .row = run};
