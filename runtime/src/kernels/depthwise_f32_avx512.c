/* float32 3×3 depthwise convolution on AVX-512: two blocks of eight channels at a time. Other filters go to AVX2. */
#include "depthwise.h"
#include "tail_avx512.h"

#define VECTOR __m512
#define LOAD(from, lanes) _mm512_maskz_loadu_ps((__mmask16)(lanes), from)
#define STORE(to, value, lanes) _mm512_mask_storeu_ps(to, (__mmask16)(lanes), value)
#define FMADD _mm512_fmadd_ps
#define CLAMP qb_clamp_avx512
#include "depthwise_3x3_f32.h"

enum { BLOCK = QB_DEPTHWISE_BLOCK, TAPS = FILTER * FILTER, ONE_BLOCK = 0xFF, TWO_BLOCKS = 0xFFFF };

extern const qb_depthwise_f32 qb_depthwise_f32_avx2;

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
        run_columns(row, weights, start, first, two ? TWO_BLOCKS : ONE_BLOCK);
        block += two ? 1 : 0;
    }
}

static void run(const qb_depthwise_row_f32 *row)
{
    const bool by_columns = row->filter_3x3 && row->pixel_step <= 2 * FILTER && row->channels >= BLOCK;
    (by_columns ? run_3x3 : qb_depthwise_f32_avx2.row)(row);
}

const qb_depthwise_f32 qb_depthwise_f32_avx512 = {.name = "depthwise_f32_avx512", .row = run};
