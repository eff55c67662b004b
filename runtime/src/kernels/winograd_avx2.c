/* Winograd's convolution on AVX2: the products of int16 by VPMADDWD, tiles of 6 × 16. */
#include "gemm_finish_avx2.h"

#define QB_VECTOR 32
#include "winograd_body.h"

enum { MR = 6, NR = QB_FINISH_COLUMNS, ROW_STEP = 2 };

/* 32 bits from a row of int16 pairs, in all lanes. */
static inline __m256i broadcast_pair(const int16_t *pair)
{
    int32_t bits;
    memcpy(&bits, pair, sizeof bits);
    return _mm256_set1_epi32(bits);
}

/* One point of `rows` tiles, a constant wherever this is inlined. */
static inline __attribute__((always_inline)) void multiply_rows(const qb_winograd_block *block, const int16_t *inputs,
                                                                const int16_t *weights, int32_t *products,
                                                                const size_t rows)
{
    const size_t step = QB_WINOGRAD_POINTS * block->depth;
    __m256i low[MR], high[MR];
    for (size_t r = 0; r < rows; r++) low[r] = high[r] = _mm256_setzero_si256();
    for (size_t k = 0; k < block->count; k += QB_WINOGRAD_PAIR, weights += NR * QB_WINOGRAD_PAIR) {
        const __m256i low_weights = _mm256_load_si256((const __m256i *)weights);
        const __m256i high_weights = _mm256_load_si256((const __m256i *)(weights + NR));
        for (size_t r = 0; r < rows; r++) {
            const __m256i x = broadcast_pair(inputs + r * step + k);
            low[r] = _mm256_add_epi32(low[r], _mm256_madd_epi16(x, low_weights));
            high[r] = _mm256_add_epi32(high[r], _mm256_madd_epi16(x, high_weights));
        }
    }
    for (size_t r = 0; r < rows; r++, products += QB_WINOGRAD_POINTS * NR) {
        _mm256_store_si256((__m256i *)products, low[r]);
        _mm256_store_si256((__m256i *)(products + NR / 2), high[r]);
    }
}

static void multiply(const qb_winograd_block *block)
{
    const size_t tile_inputs = QB_WINOGRAD_POINTS * block->depth, tile_products = QB_WINOGRAD_POINTS * NR;
    for (size_t p = 0; p < QB_WINOGRAD_POINTS; p++) {
        const int16_t *inputs = block->inputs + p * block->depth, *weights = block->weights + p * block->weights_stride;
        int32_t *products = block->products + p * NR;
        for (size_t first = 0, rows; first < block->tiles; first += rows) {
            rows = block->tiles - first < MR ? block->tiles - first : MR;
            switch ((rows + ROW_STEP - 1) / ROW_STEP) {
            case 1: multiply_rows(block, inputs, weights, products, 2); break;
            case 2: multiply_rows(block, inputs, weights, products, 4); break;
            default: multiply_rows(block, inputs, weights, products, MR); break;
            }
            inputs += rows * tile_inputs;
            products += rows * tile_products;
        }
    }
}

static void finish(const qb_tile_s8 *tile, const int32_t *products, size_t parts, size_t stride)
{
    const __m256i *start = (const __m256i *)(tile->channels.start + tile->first_column);
    __m256i sums[QB_WINOGRAD_OUTPUTS * 2];
    for (size_t i = 0; i < QB_WINOGRAD_OUTPUTS * 2; i++) sums[i] = start[i % 2];
    for (size_t part = 0; part < parts; part++, products += stride) {
        for (size_t half = 0; half < 2; half++) {
            qb_sums outputs[QB_WINOGRAD_OUTPUTS];
            transform_outputs(products + half * SUMS, NR, outputs);
            for (size_t i = 0; i < QB_WINOGRAD_OUTPUTS; i++) {
                const __m256i sum = _mm256_srai_epi32((__m256i)outputs[i], SCALE_BITS);
                sums[i * 2 + half] = _mm256_add_epi32(sums[i * 2 + half], sum);
            }
        }
    }
    qb_finish_avx2(tile, tile->first_column, sums);
}

const qb_winograd qb_winograd_avx2 = {
    .name = "winograd_s8_avx2",
    .nr = NR,
    .mr = MR,
    .row_step = ROW_STEP,
    .least_depth = 32,
    .least_tiles = 4,
    .transform_weights = transform_weights,
    .transform_inputs = transform_inputs,
    .multiply = multiply,
    .finish = finish,
};
