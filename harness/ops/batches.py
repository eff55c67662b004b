"""Pixels exchanged for channels, or for images of a batch: how TensorFlow writes a dilated convolution."""

from __future__ import annotations

import numpy as np

from harness.ops import op


def _arguments(tensors):
    """(block, pairs) as lists of ints, from constants; pairs are paddings or crops."""
    for tensor in tensors[1:]:
        if not tensor.is_const:
            raise ValueError(f"'{tensor.name}' must be a constant")
    return _checked(len(tensors[0].shape), tensors[1].data, tensors[2].data)


def _checked(rank, block, pairs):
    if block.ndim != 1 or pairs.shape != (len(block), 2) or not 0 < len(block) < rank:
        raise ValueError(f"blocks {block.tolist()} and pairs {pairs.tolist()} do not suit rank {rank}")
    if block.min() < 1 or pairs.min() < 0:
        raise ValueError(f"blocks {block.tolist()} and pairs {pairs.tolist()} must not be negative")
    return block.tolist(), pairs.tolist()


@op("SpaceToBatchND")
class SpaceToBatchND:
    """Pads the first M spatial dimensions and moves every block-th pixel into an image of its own."""

    @staticmethod
    def infer(node, inputs):
        (batch, *rest), (block, pads) = inputs[0].shape, _arguments(inputs)
        padded = [d + sum(pad) for d, pad in zip(rest, pads, strict=False)]
        if any(d % b for d, b in zip(padded, block, strict=True)):
            raise ValueError(f"{padded} does not divide into blocks of {block}")
        small = [d // b for d, b in zip(padded, block, strict=True)]
        return [((batch * int(np.prod(block)), *small, *rest[len(block) :]), inputs[0].dtype)]

    @staticmethod
    def reference(node, arrays):
        x, count = arrays[0], len(arrays[1])
        block, pads = _checked(x.ndim, *arrays[1:])
        x = np.pad(x, [(0, 0), *pads, *[(0, 0)] * (x.ndim - 1 - count)])
        rest = x.shape[1 + count :]
        split = [n for d, b in zip(x.shape[1:], block, strict=False) for n in (d // b, b)]
        view = x.reshape(x.shape[0], *split, *rest)
        inner, outer = range(2, 2 * count + 1, 2), range(1, 2 * count + 1, 2)
        view = view.transpose(*inner, 0, *outer, *range(2 * count + 1, view.ndim))
        return [view.reshape(-1, *(split[2 * i] for i in range(count)), *rest)]


@op("BatchToSpaceND")
class BatchToSpaceND:
    """The inverse of SpaceToBatchND, with crops where that one pads."""

    @staticmethod
    def infer(node, inputs):
        (batch, *rest), (block, crops) = inputs[0].shape, _arguments(inputs)
        images = int(np.prod(block))
        large = [d * b - sum(crop) for d, b, crop in zip(rest, block, crops, strict=False)]
        if batch % images or min(large) < 1:
            raise ValueError(f"{inputs[0].shape} cannot be put together from blocks of {block}")
        return [((batch // images, *large, *rest[len(block) :]), inputs[0].dtype)]

    @staticmethod
    def reference(node, arrays):
        x, count = arrays[0], len(arrays[1])
        block, crops = _checked(x.ndim, *arrays[1:])
        rest = x.shape[1 + count :]
        view = x.reshape(*block, -1, *x.shape[1:])
        pairs = [axis for i in range(count) for axis in (count + 1 + i, i)]
        view = view.transpose(count, *pairs, *range(2 * count + 1, view.ndim))
        view = view.reshape(-1, *(d * b for d, b in zip(x.shape[1:], block, strict=False)), *rest)
        slices = [slice(low, view.shape[i + 1] - high) for i, (low, high) in enumerate(crops)]
        return [view[(slice(None), *slices)]]


def _block(node) -> int:
    block = node.attrs["block"]
    if block < 1:
        raise ValueError(f"a block of {block} pixels")
    return block


@op("DepthToSpace")
class DepthToSpace:
    """y[n, i·b + k, j·b + l, c] = x[n, i, j, (k·b + l)·C + c] for blocks of b × b pixels, NHWC."""

    @staticmethod
    def infer(node, inputs):
        (batch, height, width, depth), block = inputs[0].shape, _block(node)
        if depth % block**2:
            raise ValueError(f"{depth} channels do not divide into blocks of {block} × {block}")
        return [((batch, height * block, width * block, depth // block**2), inputs[0].dtype)]

    @staticmethod
    def reference(node, arrays):
        (batch, height, width, depth), block = arrays[0].shape, _block(node)
        view = arrays[0].reshape(batch, height, width, block, block, -1).transpose(0, 1, 3, 2, 4, 5)
        return [view.reshape(batch, height * block, width * block, depth // block**2)]


@op("SpaceToDepth")
class SpaceToDepth:
    """The inverse of DepthToSpace."""

    @staticmethod
    def infer(node, inputs):
        (batch, height, width, depth), block = inputs[0].shape, _block(node)
        if height % block or width % block:
            raise ValueError(f"{height} × {width} pixels do not divide into blocks of {block}")
        return [((batch, height // block, width // block, depth * block**2), inputs[0].dtype)]

    @staticmethod
    def reference(node, arrays):
        (batch, height, width, depth), block = arrays[0].shape, _block(node)
        view = arrays[0].reshape(batch, height // block, block, width // block, block, depth)
        view = view.transpose(0, 1, 3, 2, 4, 5)
        return [view.reshape(batch, height // block, width // block, depth * block**2)]
