/* Winograd's convolution on AVX-512 VNNI: the products of int16 by VPDPWSSD, tiles of 16 × 16. */
#include "gemm_finish_avx512.h"

#define QB_VECTOR 64
#include "winograd_body.h"

enum { MR = 16, NR = QB_FINISH_COLUMNS, ROW_STEP = 4 };

/* One point of `rows` tiles, a constant wherever this is inlined. */
static inline __attribute__((always_inline)) void multiply_rows(const qb_winograd_block *block, const int16_t *inputs,
                                                                const int16_t *weights, int32_t *products,
                                                                const size_t rows)
{
    const size_t depth = block->depth, step = QB_WINOGRAD_POINTS * depth;
    __m512i sums[MR];
#pragma unroll
    for (size_t r = 0; r < rows; r++) sums[r] = _mm512_setzero_si512();
    for (size_t k = 0; k < depth; k += QB_WINOGRAD_PAIR, weights += NR * QB_WINOGRAD_PAIR) {
        const __m512i columns = _mm512_load_si512(weights);
#pragma unroll
        for (size_t r = 0; r < rows; r++) {
            int32_t pair;
            memcpy(&pair, inputs + r * step + k, sizeof pair);
            sums[r] = _mm512_dpwssd_epi32(sums[r], _mm512_set1_epi32(pair), columns);
        }
    }
#pragma unroll
    for (size_t r = 0; r < rows; r++) _mm512_store_si512(products + r * QB_WINOGRAD_POINTS * NR, sums[r]);
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
            case 1: multiply_rows(block, inputs, weights, products, 4); break;
            case 2: multiply_rows(block, inputs, weights, products, 8); break;
            case 3: multiply_rows(block, inputs, weights, products, 12); break;
            default: multiply_rows(block, inputs, weights, products, MR); break;
            }
            inputs += rows * tile_inputs;
            products += rows * tile_products;
        }
    }
}

static void finish(const qb_tile_s8 *tile, const int32_t *products)
{
    const __m512i start = _mm512_load_si512(tile->channels.start + tile->first_column);
    qb_sums outputs[QB_WINOGRAD_OUTPUTS];
    __m512i sums[QB_WINOGRAD_OUTPUTS];
    transform_outputs(products, NR, outputs);
    for (size_t i = 0; i < QB_WINOGRAD_OUTPUTS; i++) {
        sums[i] = _mm512_add_epi32(_mm512_srai_epi32((__m512i)outputs[i], SCALE_BITS), start);
    }
    qb_finish_avx512(tile, tile->first_column, sums, 1);
}

const qb_winograd qb_winograd_avx512vnni = {
    .name = "winograd_s8_avx512vnni",
    .nr = NR,
    .mr = MR,
    .row_step = ROW_STEP,
    .least_depth = 32,
    .least_tiles = 24,
    .transform_weights = transform_weights,
    .transform_inputs = transform_inputs,
    .multiply = multiply,
    .finish = finish,
};
