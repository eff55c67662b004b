"""Ops that move values without computing: reshape, transpose, pad, concatenate."""

from __future__ import annotations

import numpy as np

from harness.ops import op
from harness.ops.activations import activate


def constant(tensor, what) -> np.ndarray:
    """The values of an input that must not change while the network runs; ValueError where it may."""
    if not tensor.is_const:
        raise ValueError(f"{what} '{tensor.name}' must be a constant")
    return tensor.data


@op("Reshape")
class Reshape:
    @staticmethod
    def _target(node, shape_input, size):
        wanted = node.attrs.get("shape") if shape_input is None else shape_input
        wanted = [int(d) for d in np.asarray(wanted).reshape(-1)]
        if wanted.count(-1) > 1 or any(d < -1 for d in wanted):
            raise ValueError(f"{wanted} is no shape")
        known = int(np.prod([d for d in wanted if d != -1], dtype=np.int64))
        if -1 in wanted and known:
            wanted[wanted.index(-1)] = size // known
        if int(np.prod(wanted, dtype=np.int64)) != size:
            raise ValueError(f"{size} values do not fill shape {wanted}")
        return tuple(wanted)

    @staticmethod
    def infer(node, inputs):
        x, shape = (*inputs, None)[:2]
        wanted = None if shape is None else constant(shape, "the shape")
        return [(Reshape._target(node, wanted, int(np.prod(x.shape))), x.dtype)]

    @staticmethod
    def reference(node, arrays):
        x, shape = (*arrays, None)[:2]
        return [x.reshape(Reshape._target(node, shape, x.size))]


@op("Squeeze")
class Squeeze:
    defaults = {"axes": ()}

    @staticmethod
    def _shape(node, shape):
        axes = [a % len(shape) for a in node.attrs.get("axes", ())]
        axes = axes or [i for i, d in enumerate(shape) if d == 1]
        if any(shape[a] != 1 for a in axes):
            raise ValueError(f"axes {axes} of {shape} are not all of length 1")
        return tuple(d for i, d in enumerate(shape) if i not in axes)

    @staticmethod
    def infer(node, inputs):
        return [(Squeeze._shape(node, inputs[0].shape), inputs[0].dtype)]

    @staticmethod
    def reference(node, arrays):
        return [arrays[0].reshape(Squeeze._shape(node, arrays[0].shape))]


@op("Transpose")
class Transpose:
    @staticmethod
    def infer(node, inputs):
        x, perm = inputs[0], [int(p) for p in constant(inputs[1], "the permutation")]
        if sorted(perm) != list(range(len(x.shape))):
            raise ValueError(f"{perm} does not permute {len(x.shape)} axes")
        return [(tuple(x.shape[p] for p in perm), x.dtype)]

    @staticmethod
    def reference(node, arrays):
        return [np.ascontiguousarray(arrays[0].transpose(arrays[1]))]


@op("Pad")
class Pad:
    """value: what is put around; a real number for a quantized tensor."""

    defaults = {"value": 0.0}

    @staticmethod
    def infer(node, inputs):
        x, pads = inputs[0], constant(inputs[1], "the padding")
        if pads.shape != (len(x.shape), 2) or pads.min() < 0:
            raise ValueError(f"padding {pads.tolist()} does not suit rank {len(x.shape)}")
        return [(tuple(d + sum(pair) for d, pair in zip(x.shape, pads.tolist(), strict=True)), x.dtype)]

    @staticmethod
    def reference(node, arrays):
        return [np.pad(arrays[0], arrays[1], constant_values=node.attrs.get("value", 0.0))]


@op("Concatenation")
class Concatenation:
    defaults = {"activation": None}

    @staticmethod
    def infer(node, inputs):
        shape = list(inputs[0].shape)
        axis = node.attrs["axis"] % len(shape)
        for other in inputs[1:]:
            if [d for i, d in enumerate(other.shape) if i != axis] != [
                d for i, d in enumerate(shape) if i != axis
            ]:
                raise ValueError(f"{other.shape} cannot join {inputs[0].shape} along axis {axis}")
        shape[axis] = sum(t.shape[axis] for t in inputs)
        return [(tuple(shape), inputs[0].dtype)]

    @staticmethod
    def reference(node, arrays):
        return [activate(node, np.concatenate(arrays, axis=node.attrs["axis"]))]
