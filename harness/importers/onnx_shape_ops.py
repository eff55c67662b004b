"""How ONNX's ops that only move values read in the IR: a table of translators, one line an op."""

from __future__ import annotations

import math

import numpy as np

from harness.importers.onnx_resize import resize
from harness.importers.onnx_source import Source
from harness.importers.onnx_values import Form, Value, channels_last, identity
from harness.ops import Shape

LAST = channels_last(4)


# --- reshaping ---


def reshaped(source: Source, x: Value, shape: Shape) -> Value:
    """The values in ONNX's order in another shape, in a form that spares transposing where there is one."""
    if shape == x.shape:
        return x
    if x.data is not None:
        return source.values.constant(x.data.reshape(shape))
    if math.prod(shape) != math.prod(x.shape):
        raise source.error(f"cannot reshape {x.shape} to {shape}")
    groups = _groups(x.shape, shape)
    cheap = sorted(x.forms, reverse=True)
    form = next((f for f in cheap if _after(f, x.shape, shape, groups) is not None), None)
    if form is None:
        form = _regrouped(x, groups)
    after = _after(form, x.shape, shape, groups)
    target = tuple(shape[axis] for axis in after)
    return source.node("Reshape", [source.read(x, form)], after, shape=target)


def _groups(have: Shape, want: Shape) -> list[tuple[list[int], list[int]]]:
    """The least groups of neighbouring axes longer than 1 that hold as many values before as after."""
    old, new = ([axis for axis, d in enumerate(shape) if d > 1] for shape in (have, want))
    groups, i, j = [], 0, 0
    while i < len(old) and j < len(new):
        before, after = [old[i]], [new[j]]
        count, target = have[old[i]], want[new[j]]
        while count != target:
            if count < target:
                i += 1
                before.append(old[i])
                count *= have[old[i]]
            else:
                j += 1
                after.append(new[j])
                target *= want[new[j]]
        groups.append((before, after))
        i, j = i + 1, j + 1
    return groups


def _after(form: Form, have: Shape, want: Shape, groups) -> Form | None:
    """The form of the reshaped value where a tensor in `form` only has to be reshaped itself, else None."""
    order, long = [], [axis for axis in form if have[axis] > 1]
    first = {before[0]: (before, after) for before, after in groups}
    while long:
        before, after = first.get(long[0], ([], []))
        if not before or long[: len(before)] != before:
            return None
        order += after
        long = long[len(before) :]
    if order == sorted(order):
        return identity(len(want))
    return (*(axis for axis, d in enumerate(want) if d == 1), *order)


def _regrouped(x: Value, groups) -> Form:
    """The cheapest form with the axes of each group together."""
    place = {axis: position for position, axis in enumerate(x.form)}
    ordered = sorted(groups, key=lambda group: place[group[0][0]])
    order = [axis for before, _ in ordered for axis in before]
    if order == sorted(order):
        return identity(x.rank)
    return (*(axis for axis, d in enumerate(x.shape) if d == 1), *order)


def reshape(source: Source) -> Value:
    x = source.args(1, 2)[0]
    wanted = source.ints(1, "shape", ())
    shape = [
        x.shape[i] if d == 0 and i < x.rank and not source.flag("allowzero") else d
        for i, d in enumerate(wanted)
    ]
    if shape.count(-1) > 1 or any(d < -1 or d == 0 for d in shape):
        raise source.error(f"cannot reshape {x.shape} to {wanted}")
    if -1 in shape:
        shape[shape.index(-1)] = math.prod(x.shape) // math.prod(d for d in shape if d != -1)
    return reshaped(source, x, tuple(shape))


def flatten(source: Source) -> Value:
    x = source.args(1)[0]
    axis = int(source.attr("axis", 1))
    axis = axis + x.rank if axis < 0 else axis
    return reshaped(source, x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def squeeze(source: Source) -> Value:
    x = source.args(1, 2)[0]
    axes = source.ints(1, "axes", ())
    axes = [source.axis(a, x.rank) for a in axes] or [i for i, d in enumerate(x.shape) if d == 1]
    return reshaped(source, x, tuple(d for i, d in enumerate(x.shape) if i not in axes))


def unsqueeze(source: Source) -> Value:
    x = source.args(1, 2)[0]
    axes = source.ints(1, "axes", ())
    rank = x.rank + len(axes)
    axes, sizes = {source.axis(a, rank) for a in axes}, iter(x.shape)
    return reshaped(source, x, tuple(1 if i in axes else next(sizes) for i in range(rank)))


def transpose(source: Source) -> Value:
    x = source.args(1)[0]
    perm = [int(p) for p in source.attr("perm", range(x.rank)[::-1])]
    if sorted(perm) != list(range(x.rank)):
        raise source.error(f"{perm} does not permute the axes of {x.shape}")
    return source.values.view(x, perm)


def same(source: Source) -> Value:
    return source.inputs[0]


# --- cutting and joining ---


def sliced(source: Source, x: Value, ranges: dict[int, tuple[int, int, int]]) -> Value:
    """For ONNX axes: (first, count, step); the other axes stay whole."""
    form = x.form
    triples = [ranges.get(axis, (0, x.shape[axis], 1)) for axis in form]
    if all(t == (0, d, 1) for t, d in zip(triples, (x.shape[a] for a in form), strict=True)):
        return x
    if any(count < 1 for _, count, _ in triples):
        raise source.error(f"leaves nothing of {x.shape}")
    begin, size, strides = (source.perm(column) for column in zip(*triples, strict=True))
    steps = [strides] if any(step != 1 for *_, step in triples) else []
    return source.node("Slice", [source.read(x, form), begin, size, *steps], form)


def slice_(source: Source) -> Value:
    x = source.args(1, 5)[0]
    starts, ends = source.ints(1, "starts", ()), source.ints(2, "ends", ())
    axes = source.ints(3, "axes") or list(range(len(starts)))
    steps = source.ints(4, "steps") or [1] * len(starts)
    ranges = {}
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis = source.axis(axis, x.rank)
        taken = range(x.shape[axis])[slice(start, end, step)]
        ranges[axis] = (taken.start, len(taken), step)
    return sliced(source, x, ranges)


def split(source: Source) -> list[Value]:
    x = source.args(1, 2)[0]
    axis = source.axis(int(source.attr("axis", 0)), x.rank)
    count, length = source.outputs, x.shape[axis]
    each = -(-length // count)
    sizes = source.ints(1, "split") or [min(each, length - i * each) for i in range(count)]
    if sum(sizes) != length or len(sizes) != count:
        raise source.error(f"splits {length} into {sizes} for {count} outputs")
    starts = np.cumsum([0, *sizes[:-1]]).tolist()
    return [sliced(source, x, {axis: (a, n, 1)}) for a, n in zip(starts, sizes, strict=True)]


def gather(source: Source) -> Value:
    x, indices = source.args(2)
    axis = source.axis(int(source.attr("axis", 0)), x.rank)
    picked = source.known(1, "indices")
    picked = np.where(picked < 0, picked + x.shape[axis], picked)
    if picked.size != 1 or picked.ndim > 1:
        at = source.values.constant(picked.astype(np.int32))
        return source.node(
            "Gather", [source.read(x), source.read(at)], identity(x.rank - 1 + indices.rank), axis=axis
        )
    one = sliced(source, x, {axis: (int(picked.reshape(())), 1, 1)})
    return one if picked.ndim else reshaped(source, one, (*x.shape[:axis], *x.shape[axis + 1 :]))


def concat(source: Source) -> Value:
    parts = source.args(1, max(1, len(source.inputs)))
    axis = source.axis(int(source.attr("axis")), parts[0].rank)
    form = max((part.form for part in parts if part.data is None), default=identity(parts[0].rank))
    if any(part.rank != parts[0].rank for part in parts):
        raise source.error(f"joins {', '.join(str(part.shape) for part in parts)}")
    return source.node(
        "Concatenation", [source.read(part, form) for part in parts], form, axis=form.index(axis)
    )


def expand(source: Source) -> Value:
    x = source.args(2)[0]
    shape = np.broadcast_shapes(x.shape, tuple(source.ints(1, "shape")))
    x = reshaped(source, x, (1,) * (len(shape) - x.rank) + x.shape)
    form = x.form
    times = [shape[axis] // x.shape[axis] for axis in form]
    return (
        source.node("Tile", [source.read(x, form), source.perm(times)], form)
        if max(times, default=1) > 1
        else x
    )


# --- images ---


def pad(source: Source) -> Value:
    x = source.args(1, 4)[0]
    pads = source.ints(1, "pads", ())
    axes = source.ints(3, "axes") or list(range(x.rank))
    if len(pads) != 2 * len(axes) or min(pads, default=0) < 0:
        raise source.error(f"pads {x.shape} by {pads}, which is not supported")
    of_axis = {source.axis(axis, x.rank): (pads[i], pads[i + len(axes)]) for i, axis in enumerate(axes)}
    form, mode = x.form, source.attr("mode", "constant")
    pairs = np.array([of_axis.get(axis, (0, 0)) for axis in form], np.int32)
    inputs = [source.read(x, form), source.values.store(pairs, f"{source.name}/pads")]
    if mode == "reflect":
        return source.node("MirrorPad", inputs, form, mode="REFLECT")
    if mode != "constant":
        raise source.error(f"has mode '{mode}', which is not supported")
    value = source.known(2, "values around the image")
    number = float(source.attr("value", 0.0) if value is None else np.reshape(value, ()))
    return source.node("Pad", inputs, form, **({"value": number} if number else {}))


def depth_to_space(source: Source) -> Value:
    """Pixel (i, j) of a block is channel (i · block + j) · C + c; in mode CRD, c · block² + i · block + j."""
    x = source.image(source.args(1)[0])
    block = int(source.attr("blocksize"))
    batch, channels, height, width = x.shape
    if block < 1 or channels % block**2:
        raise source.error(f"cannot make blocks of {block} from {channels} channels")
    if source.attr("mode", "DCR") == "DCR":
        return source.node("DepthToSpace", [source.read(x, LAST)], LAST, block=block)
    parts = reshaped(source, x, (batch, channels // block**2, block, block, height, width))
    moved = source.values.view(parts, (0, 1, 4, 2, 5, 3))
    return reshaped(source, moved, (batch, channels // block**2, height * block, width * block))


def space_to_depth(source: Source) -> Value:
    x = source.image(source.args(1)[0])
    return source.node("SpaceToDepth", [source.read(x, LAST)], LAST, block=int(source.attr("blocksize")))


SHAPE_OPS = {
    "Reshape": reshape,
    "Flatten": flatten,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Transpose": transpose,
    "Identity": same,
    "Dropout": same,
    "Slice": slice_,
    "Split": split,
    "Gather": gather,
    "Concat": concat,
    "Expand": expand,
    "Pad": pad,
    "Resize": resize,
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth,
}
