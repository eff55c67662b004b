"""round_weights: float weights take one of `num_steps` values, so that the file compresses well.

    Before                                   After

    w f32: 40 000 different values           w f32: at most 256 different values

The file stays as large as it is, and so does its arithmetic; what shrinks is its compressed size, as in an
over-the-air update.

Conditions: the constant is float32 and finite and has more than `num_steps` elements.

Formula:  w' = the nearest of min + k · (max − min) / (num_steps − 1),  k = 0 … num_steps − 1
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.errors import UsageError
from harness.graph import Graph


def run(graph: Graph, num_steps: int = 256) -> Graph:
    """Raises UsageError for fewer than two steps."""
    if num_steps < 2:
        raise UsageError(f"round_weights: num_steps={num_steps}, but it takes at least 2")
    graph = graph.clone()
    for name, tensor in graph.tensors.items():
        if tensor.is_const and tensor.dtype == np.float32 and tensor.data.size > num_steps:
            graph.tensors[name] = replace(tensor, data=_rounded(tensor.data, num_steps))
    return graph


def _rounded(values: np.ndarray, num_steps: int) -> np.ndarray:
    low, high = np.float64(values.min()), np.float64(values.max())
    if not np.isfinite([low, high]).all() or low == high:
        return values
    steps = np.linspace(low, high, num_steps).astype(
        np.float32
    )  # both ends exactly, so rounding again changes nothing
    nearest = np.round((values - low) * ((num_steps - 1) / (high - low))).astype(np.int64)
    return steps[nearest]
