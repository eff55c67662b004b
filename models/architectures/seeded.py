"""Weights for a network whose trained ones are not at hand: random, and scaled as training leaves them.

Convolutions and dense layers are drawn as by K. He et al., "Delving Deep into Rectifiers", 2015. Batch norm
statistics are those of the network's own activations on random inputs, so that signals neither die nor grow
through a hundred layers; the logits' spread is that of a trained classifier.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from harness.graph import Graph, Node
from harness.ops import spec
from models import Preprocess
from models.architectures.builder import Weights

SEED = 0
VALUES = 1 << 17  # of the random inputs together: some images, or hundreds of small inputs
LOGITS_DEVIATION = 2.0
# Norms shift their unit signals so far up that activations cut little off: else a hundred random layers make
# a rounding error of int8 as large as the signal (B. Poole et al., "Exponential expressivity", 2016).
USUAL = {"gamma": 1.0, "beta": 2.0, "moving_variance": 1.0}
BLOCK = 8  # pixels of one colour in a random image, so that convolutions have something to find
_RANGES = {"uint8": (0.0, 255.0), "int8": (-128.0, 127.0), "float32": (-1.0, 1.0)}  # of what samples store


def seeded(
    build: Callable[..., Graph], input_shape: tuple[int, ...], preprocess: Preprocess
) -> Callable[[int | None], Graph]:
    """A recipe's `seeded`, from build(weights, input_shape=…); the weights are the same every time."""

    def make(side: int | None) -> Graph:
        shape = input_shape if side is None else (1, *[side] * (len(input_shape) - 2), input_shape[-1])
        count = max(2, VALUES // math.prod(shape))
        return _fitted(build(_drawn(), input_shape=shape), random_inputs(preprocess, shape, count))

    return make


def random_samples(
    preprocess: Preprocess, shape: tuple[int, ...], count: int, seed: int = SEED
) -> np.ndarray:
    """(count, *shape[1:]) in the dtype and range that samples are stored in; images are coloured blocks."""
    rng = np.random.default_rng(seed)
    low, high = _RANGES[preprocess.dtype]
    size = (count, *shape[1:])
    values = rng.random(size, np.float32)
    if len(size) == 4:
        coarse = rng.random((count, -(-size[1] // BLOCK), -(-size[2] // BLOCK), size[3]), np.float32)
        blocks = coarse.repeat(BLOCK, 1).repeat(BLOCK, 2)[:, : size[1], : size[2]]
        values = (3 * blocks + values) / 4
    values = low + (high - low) * values
    dtype = np.dtype(preprocess.dtype)
    return values.astype(dtype) if dtype.kind == "f" else np.rint(values).astype(dtype)


def random_inputs(preprocess: Preprocess, shape: tuple[int, ...], count: int, seed: int = SEED) -> np.ndarray:
    """What such samples are as inputs, float32 (count, *shape[1:])."""
    stored = random_samples(preprocess, shape, count, seed).astype(np.float32)
    return (stored - np.float32(preprocess.mean)) / np.float32(preprocess.std)


def _drawn() -> Weights:
    rng = np.random.default_rng(SEED)

    def weights(name: str, shape: tuple[int, ...]) -> np.ndarray:
        values = rng.standard_normal(shape, np.float32)
        part = name.rsplit("/", 1)[-1]
        if part in ("weights", "depthwise_weights"):
            inputs = math.prod(shape[1:3] if part == "depthwise_weights" else shape[1:])
            return values * np.float32(math.sqrt(2 / inputs))
        return np.float32(USUAL.get(part, 0.0)) + np.float32(0.1) * np.tanh(values)

    return weights


def _fitted(graph: Graph, x: np.ndarray) -> Graph:
    """Runs the graph on x, and sets each batch norm's statistics and the logits' scale on the way."""
    values = {name: tensor.data for name, tensor in graph.tensors.items() if tensor.is_const}
    values[graph.inputs[0]] = x
    order, producers = graph.execution_order(), graph.producers()
    last_use = {name: node.name for node in order for name in node.inputs}
    for node in order:
        if node.op == "BatchNorm":
            _fit_norm(node, values)
        if node.op == "Softmax":
            _fit_logits(producers[node.inputs[0]], values)
        values[node.outputs[0]] = spec(node).reference(node, [values[name] for name in node.inputs])[0]
        for name in node.inputs:
            if last_use[name] == node.name and not graph.tensors[name].is_const:
                del values[name]
    for name, tensor in graph.tensors.items():
        if tensor.is_const:
            tensor.data = values[name]
    return graph


def _fit_norm(node: Node, values: dict[str, np.ndarray]) -> None:
    x, _, _, mean, variance = node.inputs
    axes = tuple(range(values[x].ndim - 1))
    values[mean], values[variance] = values[x].mean(axes), values[x].var(axes)


def _fit_logits(dense: Node, values: dict[str, np.ndarray]) -> None:
    """No class is likelier than another, and one input's logits spread by LOGITS_DEVIATION."""
    _, weights, bias = dense.inputs
    logits = values[dense.outputs[0]]
    mean = logits.mean(0)
    scale = np.float32(LOGITS_DEVIATION / (logits - mean).std())
    values[weights], values[bias] = values[weights] * scale, (values[bias] - mean) * scale
    values[dense.outputs[0]] = (logits - mean) * scale
