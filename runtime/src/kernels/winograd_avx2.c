/* Winograd's convolution on AVX2: the products of int16 by VPMADDWD, tiles of 6 × 16. */
#include "gemm_finish_avx2.h"
#include "winograd.h"

enum { MR = 6, NR = QB_FINISH_COLUMNS, ROW_STEP = 2, LINE = 64 };

enum { VECTOR = 32, WORDS = VECTOR / 2, SUMS = VECTOR / 4 }; /* bytes, and values, of a vector */
enum { IN = QB_WINOGRAD_IN, OUT = QB_WINOGRAD_OUT, FILTER = 3 };
enum { SCALE_BITS = 6 };

typedef int8_t qb_bytes __attribute__((vector_size(WORDS)));
typedef int16_t qb_words __attribute__((vector_size(WORDS * 2)));
typedef uint32_t qb_sums __attribute__((vector_size(SUMS * 4)));

static inline qb_words load_bytes(const int8_t *from)
{
    qb_bytes bytes;
    memcpy(&bytes, from, sizeof bytes);
    return __builtin_convertvector(bytes, qb_words);
}

/* A line of Bᵀ d. d and out: `step` apart. */
static inline void transform_input_line(const qb_words *d, qb_words *out, size_t step)
{
    const qb_words d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step];
    const qb_words even = d4 - d2, twice = (d3 - d1) * 2;
    const qb_words even4 = d4 - d2 * 4, odd4 = d3 - d1 * 4;
    out[0] = (d[0] - d2) * 4 + even;
    out[step] = even4 + odd4;
    out[2 * step] = even4 - odd4;
    out[3 * step] = even + twice;
    out[4 * step] = even - twice;
    out[5 * step] = (d[5 * step] - d3) - twice * 2;
}

/* The last channels may be computed twice, so that there is always a whole vector of them. */
static void transform_inputs(const int8_t *const *inputs, size_t depth, int16_t *out)
{
    for (size_t first = 0; first < depth; first += WORDS) {
        const size_t k = first + WORDS <= depth ? first : depth - WORDS;
        qb_words lines[IN * IN], d[IN * IN];
        for (size_t i = 0; i < IN * IN; i++) d[i] = load_bytes(inputs[i] + k);
        for (size_t x = 0; x < IN; x++) transform_input_line(d + x, lines + x, IN);
        for (size_t y = 0; y < IN * IN; y += IN) transform_input_line(lines + y, d + y, 1);
        for (size_t i = 0; i < IN * IN; i++) memcpy(out + i * depth + k, &d[i], sizeof d[i]);
    }
}

/* A line of G g, whose rows are scaled by 4, -6, -6, 24, 24 and 1. */
static inline void transform_weight_line(const qb_words *g, size_t from_step, qb_words *out, size_t step)
{
    const qb_words g0 = g[0], g1 = g[from_step], g2 = g[2 * from_step];
    const qb_words ends = g0 + g2, far = g0 + g2 * 4, twice = g1 * 2;
    out[0] = g0;
    out[step] = ends + g1;
    out[2 * step] = ends - g1;
    out[3 * step] = far + twice;
    out[4 * step] = far - twice;
    out[5 * step] = g2;
}

static void transform_weights(const int8_t *weights, size_t count, int16_t *out, size_t stride)
{
    for (size_t i = 0; i < count; i += WORDS, out += WORDS) {
        qb_words taps[QB_WINOGRAD_TAPS], lines[IN * FILTER], points[IN * IN];
        for (size_t t = 0; t < QB_WINOGRAD_TAPS; t++) taps[t] = load_bytes(weights + t * count + i);
        for (size_t x = 0; x < FILTER; x++) transform_weight_line(taps + x, FILTER, lines + x, FILTER);
        for (size_t y = 0; y < IN; y++) transform_weight_line(lines + y * FILTER, 1, points + y * IN, 1);
        for (size_t p = 0; p < QB_WINOGRAD_POINTS; p++) memcpy(out + p * stride, &points[p], sizeof points[p]);
    }
}

/* A line of Aᵀ m, 24 times the true one. */
static inline void transform_output_line(const qb_sums *m, size_t step, qb_sums *out, size_t out_step)
{
    const qb_sums near = m[step] + m[2 * step], near_odd = m[step] - m[2 * step], last = m[5 * step];
    const qb_sums far = m[3 * step] + m[4 * step], far_odd = m[3 * step] - m[4 * step];
    out[0] = ((m[0] - near) * 2 + m[0]) * 2 + far;
    out[out_step] = (far_odd - near_odd * 2) * 2;
    out[2 * out_step] = (far - near) * 4;
    out[3 * out_step] = ((far_odd + last * 2 + last) * 2 - near_odd) * 4;
}

/* 64 times the sums of SUMS columns. products: [point][nr], from the first of them on. */
static inline void transform_outputs(const int32_t *products, size_t nr, qb_sums *sums)
{
    const uint32_t ninth = 0x38E38E39; /* the inverse of 9 modulo 2³² */
    qb_sums m[IN * IN], lines[OUT * IN];
    for (size_t p = 0; p < QB_WINOGRAD_POINTS; p++) memcpy(&m[p], products + p * nr, sizeof m[p]);
    for (size_t x = 0; x < IN; x++) transform_output_line(m + x, IN, lines + x, IN);
    for (size_t y = 0; y < OUT; y++) transform_output_line(lines + y * IN, 1, sums + y * OUT, 1);
    for (size_t i = 0; i < QB_WINOGRAD_OUTPUTS; i++) sums[i] *= ninth;
}

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
    const int8_t *ahead = block->ahead;
    for (size_t p = 0; p < QB_WINOGRAD_POINTS; p++) {
        for (size_t i = 0; i < block->ahead_lines; i++, ahead += LINE) _mm_prefetch(ahead, _MM_HINT_T1);
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
