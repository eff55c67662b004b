/* float32 3×3 depthwise convolution of one block of channels, column by column: a column of the input is loaded
 * once for every window of the row that it lies in. No include guard: a file includes it once, after defining
 *
 *     VECTOR                      as many channels as a block has
 *     LOAD(from, lanes), STORE(to, value, lanes), FMADD(a, b, c), CLAMP(value, range)
 *
 * and gets run_columns. Each sum is a chain of fused multiply-adds over the taps in order, as in the reference.
 */

enum { FILTER = 3 };

typedef struct column {
    VECTOR row[FILTER];
} column;

static inline __attribute__((always_inline)) column load_column(const float *const *rows, size_t channel,
                                                                unsigned lanes)
{
    (void)lanes;
    return (column){{LOAD(rows[0] + channel, lanes), LOAD(rows[1] + channel, lanes), LOAD(rows[2] + channel, lanes)}};
}

/* `stride`, 1 or 2, is a constant wherever this is inlined. */
static inline __attribute__((always_inline)) void run_stride(const qb_depthwise_row_f32 *row, const VECTOR *weights,
                                                             VECTOR bias, size_t channel, unsigned lanes,
                                                             const size_t stride)
{
    const float *const *x = row->columns;
    float *out = row->out + channel;
    column window[FILTER] = {load_column(x, channel, lanes), load_column(x + FILTER, channel, lanes)};
    for (size_t p = 0; p < row->pixels; p++, out += row->channels) {
        window[2] = load_column(x + 2 * FILTER, channel, lanes);
        VECTOR sum = bias;
        for (size_t t = 0; t < FILTER * FILTER; t++) {
            sum = FMADD(window[t % FILTER].row[t / FILTER], weights[t], sum);
        }
        STORE(out, CLAMP(sum, row->range), lanes);
        x += stride * FILTER;
        window[0] = window[stride];
        window[1] = stride == 1 || p + 1 == row->pixels ? window[2] : load_column(x + FILTER, channel, lanes);
    }
}

/* A row of windows for the channels from `channel` on that `lanes`, a bit each, has. */
static inline __attribute__((always_inline)) void run_columns(const qb_depthwise_row_f32 *row, const VECTOR *weights,
                                                              VECTOR bias, size_t channel, unsigned lanes)
{
    if (row->pixel_step == FILTER) {
        run_stride(row, weights, bias, channel, lanes, 1);
    } else {
        run_stride(row, weights, bias, channel, lanes, 2);
    }
}
