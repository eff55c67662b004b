#include "gemm_parts.h"

/* The least number of equal pieces of at most `most`, and how large they are. */
static size_t even_pieces(size_t all, size_t most)
{
    const size_t pieces = (all + most - 1) / most;
    return (all + pieces - 1) / pieces;
}

qb_parts qb_parts_plan(size_t taps, size_t depth, size_t tap_step, size_t kr, size_t most)
{
    const size_t groups = (depth + kr - 1) / kr;
    qb_parts p = {.all_taps = taps, .tap_groups = groups, .tap_step = tap_step, .kr = kr};
    if (tap_step == 0) p.all_taps = 1, p.tap_groups = taps * groups;
    p.groups = p.tap_groups < most ? p.tap_groups : even_pieces(p.tap_groups, most);
    p.taps = p.groups < p.tap_groups ? 1 : even_pieces(p.all_taps, most > p.groups ? most / p.groups : 1);
    return p;
}

static qb_part part_from(const qb_parts *p, size_t tap, size_t group)
{
    const size_t taps = p->all_taps - tap < p->taps ? p->all_taps - tap : p->taps;
    const size_t groups = p->tap_groups - group < p->groups ? p->tap_groups - group : p->groups;
    return (qb_part){
        .tap = tap,
        .group = group,
        .taps = taps,
        .groups = groups,
        .at = tap * p->tap_step + group * p->kr,
        .first = tap == 0 && group == 0,
        .last = tap + taps == p->all_taps && group + groups == p->tap_groups,
    };
}

qb_part qb_parts_first(const qb_parts *p)
{
    return part_from(p, 0, 0);
}

qb_part qb_parts_next(const qb_parts *p, const qb_part *part)
{
    const size_t group = part->group + part->groups;
    return group < p->tap_groups ? part_from(p, part->tap, group) : part_from(p, part->tap + part->taps, 0);
}
