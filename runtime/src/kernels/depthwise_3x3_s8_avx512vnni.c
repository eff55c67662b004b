/* int8 3×3 depthwise convolution on AVX-512 VNNI: a column of three taps in each VPDPBUSD, for 64 channels of a pixel or
 * for 32 channels of two neighbours.
 *
 * The column's three bytes of a channel lie in one 32-bit lane, shifted by 128 to be unsigned (input_offset). Columns are
 * laid out once for all windows that they lie in, by interleaving their three rows within quarters of a register; the
 * packing of the outputs undoes that order.
 */
#include "depthwise.h"
#include "tail_avx512.h"

enum { HALF = 32, FILTER = 3, LANE = 4, SHIFT = 128, QUARTERS = 4, WINDOWS = 32, COLUMNS = 2 * WINDOWS + 1 };

/* Where the channels of a half stand in the four registers: four of each in turn. */
static const uint8_t order[HALF] = {0, 1, 2,  3,  16, 17, 18, 19, 4,  5,  6,  7,  20, 21, 22, 23,
                                    8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31};

/* [column][lane][row, and a zero] */
static void pack(const int8_t *weights, void *to)
{
    int8_t *lane = to;
    for (size_t x = 0; x < FILTER; x++) {
        for (size_t i = 0; i < HALF; i++, lane += LANE) {
            for (size_t y = 0; y < FILTER; y++) lane[y] = weights[(y * FILTER + x) * HALF + order[i]];
        }
    }
}

/* Some windows of the registers' two halves, each a block of channels and a pixel to begin at. */
typedef struct windows {
    const qb_depthwise_row_s8 *row;
    size_t count, step; /* columns from a window to the next */
    size_t channel[2], slot[2];
    const int8_t *const *from[2];
    size_t out[2], out_step; /* values of the output */
} windows;

static inline __m512i join(const void *low, const void *high)
{
    const __m512i first = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)low));
    return _mm512_inserti64x4(first, _mm256_loadu_si256((const __m256i *)high), 1);
}

/* What an array by channel has for register i. */
static inline __m512i load_slots(const windows *w, const void *values, size_t i)
{
    const int32_t *from = (const int32_t *)values + i * HALF / QUARTERS;
    return join(from + w->slot[0], from + w->slot[1]);
}

/* The weights of register i. */
static inline void load_weights(const windows *w, size_t i, __m512i *weights)
{
    const int8_t *from = w->row->weights + i * (HALF / QUARTERS * LANE);
    for (size_t x = 0; x < FILTER; x++, from += HALF * LANE) {
        weights[x] = join(from + w->slot[0] * FILTER * LANE, from + w->slot[1] * FILTER * LANE);
    }
}

static inline __m512i load_row(const windows *w, size_t pointer)
{
    const __m512i bytes = join(w->from[0][pointer] + w->channel[0], w->from[1][pointer] + w->channel[1]);
    return _mm512_xor_si512(bytes, _mm512_set1_epi8((char)SHIFT));
}

static void lay_out(const windows *w, __m512i (*columns)[QUARTERS])
{
    const size_t count = (w->count - 1) * w->step + FILTER;
    const __m512i zero = _mm512_setzero_si512();
    for (size_t x = 0; x < count; x++, columns++) {
        const __m512i top = load_row(w, x * FILTER), middle = load_row(w, x * FILTER + 1),
                      bottom = load_row(w, x * FILTER + 2);
        const __m512i low = _mm512_unpacklo_epi8(top, middle), high = _mm512_unpackhi_epi8(top, middle);
        const __m512i low_end = _mm512_unpacklo_epi8(bottom, zero), high_end = _mm512_unpackhi_epi8(bottom, zero);
        (*columns)[0] = _mm512_unpacklo_epi16(low, low_end);
        (*columns)[1] = _mm512_unpackhi_epi16(low, low_end);
        (*columns)[2] = _mm512_unpacklo_epi16(high, high_end);
        (*columns)[3] = _mm512_unpackhi_epi16(high, high_end);
    }
}

static inline __m512i add_window(__m512i sum, __m512i (*columns)[QUARTERS], size_t i, const __m512i *weights)
{
    for (size_t x = 0; x < FILTER; x++) sum = _mm512_dpbusd_epi32(sum, columns[x][i], weights[x]);
    return sum;
}

static inline __attribute__((always_inline)) qb_requant_avx512 load_requant(const windows *w, size_t i,
                                                                            const bool from_zero)
{
    const qb_requant *q = &w->row->by_channel.requant;
    return qb_requant_of_avx512(load_slots(w, q->multiplier, i), load_slots(w, q->left, i),
                                load_slots(w, q->right, i), from_zero);
}

/* Registers `first` and the next one of every window: the first two leave their words, the last two the outputs.
 * from_zero: a constant wherever this is inlined. */
static inline __attribute__((always_inline)) void run_pair(const windows *w, __m512i (*columns)[QUARTERS], size_t first,
                                                           __m512i *words, const bool from_zero)
{
    const qb_ends_avx512 ends = qb_ends_load_avx512(&w->row->by_channel.requant);
    __m512i low_weights[FILTER], high_weights[FILTER];
    load_weights(w, first, low_weights);
    load_weights(w, first + 1, high_weights);
    const int32_t *start = w->row->by_channel.start;
    const __m512i low_start = load_slots(w, start, first), high_start = load_slots(w, start, first + 1);
    const qb_requant_avx512 a = load_requant(w, first, from_zero), b = load_requant(w, first + 1, from_zero);
    int8_t *out = w->row->out;
    for (size_t k = 0; k < w->count; k++, columns += w->step) {
        const __m512i low = add_window(low_start, columns, first, low_weights);
        const __m512i high = add_window(high_start, columns, first + 1, high_weights);
        const __m512i pair =
            qb_words_avx512(qb_multiply_avx512(low, &a, from_zero), qb_multiply_avx512(high, &b, from_zero), &ends, from_zero);
        if (first == 0) {
            words[k] = pair;
            continue;
        }
        const __m512i bytes = qb_bytes_avx512(words[k], pair, &ends, from_zero);
        int8_t *to = out + w->out[0] + k * w->out_step;
        if (w->out[1] == w->out[0] + HALF) {
            _mm512_storeu_si512(to, bytes);
        } else {
            _mm256_storeu_si256((__m256i *)to, _mm512_castsi512_si256(bytes));
            _mm256_storeu_si256((__m256i *)(to + (w->out[1] - w->out[0])), _mm512_extracti64x4_epi64(bytes, 1));
        }
    }
}

/* Register i of every window to its quarters of the outputs. */
static void run_hybrid(const windows *w, __m512i (*columns)[QUARTERS], size_t i)
{
    const qb_dequant *d = &w->row->by_channel.dequant;
    const qb_dequant_avx512 dequant = {load_slots(w, d->weight_sum, i), (__m512)load_slots(w, d->weight_scale, i),
                                       (__m512)load_slots(w, d->bias, i)};
    const __m512i start = load_slots(w, w->row->by_channel.start, i);
    __m512i weights[FILTER];
    load_weights(w, i, weights);
    for (size_t k = 0; k < w->count; k++, columns += w->step) {
        const __m512i sum = add_window(start, columns, i, weights);
        const __m512 real = qb_dequantize_avx512(sum, &dequant, *w->row->quant, d->range);
        float *low = (float *)w->row->out + w->out[0] + k * w->out_step + i * LANE;
        float *high = (float *)w->row->out + w->out[1] + k * w->out_step + i * LANE;
        _mm_storeu_ps(low, _mm512_castps512_ps128(real));
        _mm_storeu_ps(low + HALF / 2, _mm512_extractf32x4_ps(real, 1));
        _mm_storeu_ps(high, _mm512_extractf32x4_ps(real, 2));
        _mm_storeu_ps(high + HALF / 2, _mm512_extractf32x4_ps(real, 3));
    }
}

static void run_windows(const windows *w)
{
    __m512i columns[COLUMNS][QUARTERS], words[WINDOWS];
    lay_out(w, columns);
    if (w->row->quant != NULL) {
        for (size_t i = 0; i < QUARTERS; i++) run_hybrid(w, columns, i);
    } else {
        const bool from_zero = w->row->by_channel.requant.from_zero;
        for (size_t first = 0; first < QUARTERS; first += 2) {
            if (from_zero) run_pair(w, columns, first, words, true);
            else run_pair(w, columns, first, words, false);
        }
    }
}

/* `count` windows of the blocks of channels `blocks`, the halves' first pixels being `pixels`. */
static void run_blocks(const qb_depthwise_row_s8 *row, const size_t *blocks, const size_t *pixels, size_t count)
{
    const size_t apart = blocks[0] == blocks[1] ? 2 : 1, stride = row->pixel_step / FILTER; /* pixels between windows */
    const size_t fitting = (COLUMNS - FILTER) / (apart * stride) + 1, most = fitting < WINDOWS ? fitting : WINDOWS;
    for (size_t done = 0; done < count; done += most) {
        windows w = {
            .row = row,
            .count = count - done < most ? count - done : most,
            .step = apart * stride,
            .out_step = apart * row->channels,
        };
        for (size_t half = 0; half < 2; half++) {
            const size_t pixel = pixels[half] + done * apart;
            w.channel[half] = qb_depthwise_block_first(blocks[half], HALF, row->channels);
            w.slot[half] = blocks[half] * HALF;
            w.from[half] = row->columns + pixel * row->pixel_step;
            w.out[half] = pixel * row->channels + w.channel[half];
        }
        run_windows(&w);
    }
}

static void run_row(const qb_depthwise_row_s8 *row)
{
    const size_t all = (row->channels + HALF - 1) / HALF, pixels = row->pixels;
    size_t block = 0;
    for (; block + 2 <= all; block += 2) {
        run_blocks(row, (size_t[]){block, block + 1}, (size_t[]){0, 0}, pixels);
    }
    if (block == all) return;
    if (pixels > 1) run_blocks(row, (size_t[]){block, block}, (size_t[]){0, 1}, pixels / 2);
    if (pixels % 2 == 0) return;
    const size_t before = pixels > 1 ? pixels - 2 : 0; /* is computed again: registers have two halves */
    run_blocks(row, (size_t[]){block, block}, (size_t[]){before, pixels - 1}, 1);
}

extern const qb_depthwise_3x3_s8 qb_depthwise_3x3_s8_avx2;

const qb_depthwise_3x3_s8 qb_depthwise_3x3_s8_avx512vnni = {
    .name = "depthwise_3x3_s8_avx512vnni",
    .row = run_row,
    .pack = pack,
    .block = HALF,
    .block_bytes = FILTER * HALF * LANE,
    .order = order,
    .input_offset = SHIFT,
    .next = &qb_depthwise_3x3_s8_avx2, /* 16 to 31 channels */
};
