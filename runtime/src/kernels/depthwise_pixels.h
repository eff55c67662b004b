/* The walk over a row's pixels and blocks of channels that every depthwise micro-kernel shares. No include
 * guard: a file includes it once, after defining
 *
 *     ROW        qb_depthwise_row_s8 or qb_depthwise_row_f32
 *     INPUT      the type of an input value
 *     TAPS_3X3   the packed taps of a 3×3 filter, which gets unrolled loops
 *     run_block(row, x, taps, p, block, first, valid)
 *                one block of pixel p, from channel `first` on; `valid` of its channels may be read and
 *                are written
 *
 * and gets run_row.
 */

/* Every pixel of the row. Where `taps` is a constant and `x` an array of that length, the loops over taps
 * unroll and the pointers stay in registers. */
static inline __attribute__((always_inline)) void run_pixels(const ROW *row, const size_t taps,
                                                             const INPUT **x)
{
    const size_t blocks = qb_depthwise_blocks(row->channels);
    for (size_t p = 0; p < row->pixels; p++) {
        for (size_t t = 0; t < taps; t++) x[t] = row->columns[p * row->pixel_step + row->tap_offset[t]];
        if (row->channels < QB_DEPTHWISE_BLOCK) {
            run_block(row, x, taps, p, 0, 0, row->channels);
            continue;
        }
        for (size_t block = 0; block < blocks; block++) {
            run_block(row, x, taps, p, block, qb_depthwise_first(block, row->channels), QB_DEPTHWISE_BLOCK);
        }
    }
}

static void run_row(const ROW *row)
{
    const INPUT *x[TAPS_3X3];
    if (row->taps == TAPS_3X3) {
        run_pixels(row, TAPS_3X3, x);
    } else {
        run_pixels(row, row->taps, row->window);
    }
}
