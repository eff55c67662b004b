/* Input rows of a GEMM tile packed for aarch64's micro-kernels: four rows side by side, a few depths of each in
 * turn, so that one load gives the multiplications by lane what they need. A tile of eight rows is two panels.
 *
 *     panel   [tap][depth in bytes / unit rounded up][4 rows][unit], zero behind each tap's last depth
 *
 * ST4 does the transposition. It writes whole registers: up to QB_GEMM_SLACK bytes behind a panel's end.
 */
#ifndef QB_PANEL_NEON_H
#define QB_PANEL_NEON_H

#include <arm_neon.h>
#include <string.h>

#include "gemm.h"

enum { QB_PANEL_ROWS = 4 };

/* Up to sixteen bytes, zeros behind them. */
static inline int8x16_t qb_load_bytes(const int8_t *x, size_t count)
{
    if (count == 8) return vcombine_s8(vld1_s8(x), vdup_n_s8(0)); /* the usual case */
    int8_t values[16] = {0};
    memcpy(values, x, count);
    return vld1q_s8(values);
}

static inline void qb_store_panel_4(int8_t *to, const int8x16_t *x)
{
    const int32x4x4_t rows = {{vreinterpretq_s32_s8(x[0]), vreinterpretq_s32_s8(x[1]),
                               vreinterpretq_s32_s8(x[2]), vreinterpretq_s32_s8(x[3])}};
    vst4q_s32((int32_t *)(void *)to, rows);
}

static inline void qb_store_panel_8(int8_t *to, const int8x16_t *x)
{
    const int64x2x4_t rows = {{vreinterpretq_s64_s8(x[0]), vreinterpretq_s64_s8(x[1]),
                               vreinterpretq_s64_s8(x[2]), vreinterpretq_s64_s8(x[3])}};
    vst4q_s64((int64_t *)(void *)to, rows);
}

/* One tap of four rows, `bytes` long, in units of 4 or 8 bytes. whole: as many may be read as fill the last vector; what
 * lies there meets weights that are zero. Returns the panel's end. */
static inline __attribute__((always_inline)) int8_t *qb_pack_tap(const int8_t *const *x, size_t bytes, bool whole,
                                                                 const size_t unit, int8_t *to)
{
    int8x16_t values[QB_PANEL_ROWS];
    const int8_t *row[QB_PANEL_ROWS] = {x[0], x[1], x[2], x[3]}; /* stores of bytes may change anything in memory */
    size_t left = bytes;
    for (; left >= 16; left -= 16, to += 16 * QB_PANEL_ROWS) {
        for (size_t r = 0; r < QB_PANEL_ROWS; row[r] += 16, r++) values[r] = vld1q_s8(row[r]);
        (unit == 4 ? qb_store_panel_4 : qb_store_panel_8)(to, values);
    }
    if (left == 0) return to;
    for (size_t r = 0; r < QB_PANEL_ROWS; r++) values[r] = whole ? vld1q_s8(row[r]) : qb_load_bytes(row[r], left);
    (unit == 4 ? qb_store_panel_4 : qb_store_panel_8)(to, values);
    return to + (left + unit - 1) / unit * unit * QB_PANEL_ROWS;
}

/* The panels of a tile's rows. mr: of the kernel, a multiple of four. */
static inline __attribute__((always_inline)) void qb_pack_panels(const qb_tile_s8 *tile, const size_t mr,
                                                                 const size_t unit)
{
    const size_t rows = tile->rows, taps = tile->taps, bytes = tile->depth;
    const bool whole = tile->readable > bytes;
    int8_t *to = tile->workspace;
    for (size_t first = 0; first < rows; first += QB_PANEL_ROWS) {
        const int8_t *const *inputs = tile->inputs + first;
        for (size_t t = 0; t < taps; t++, inputs += mr) to = qb_pack_tap(inputs, bytes, whole, unit, to);
    }
}

#endif
