/* The channels of a window by the averages of an ISA: average_s8_<isa>.h includes this at its end, where QB_FEW_*, qb_few,
 * qb_few_of and qb_average_few are its own. */
#ifndef QB_AVERAGE_FEW_H
#define QB_AVERAGE_FEW_H

/* Whether qb_average_channels can. */
static inline bool qb_is_few(const qb_window *w)
{
    const size_t pixels = w->rows * w->columns;
    return pixels >= QB_FEW_LEAST && pixels <= QB_FEW_MOST && w->channels >= QB_FEW_LANES;
}

/* All channels of a window; the last sixteen again where they are no whole number of sixteens. */
static inline void qb_average_channels(const qb_window *window, const int8_t *in, int8_t *out)
{
    const qb_window w = *window;
    const qb_few few = qb_few_of(&w);
    size_t c = 0;
    for (; c + QB_FEW_VECTORS * QB_FEW_LANES <= w.channels; c += QB_FEW_VECTORS * QB_FEW_LANES) {
        qb_average_few(&w, &few, in + c, out + c, QB_FEW_VECTORS);
    }
    for (; c < w.channels; c += QB_FEW_LANES) {
        const size_t last = w.channels - QB_FEW_LANES, first = c < last ? c : last;
        qb_average_few(&w, &few, in + first, out + first, 1);
    }
}

#endif
