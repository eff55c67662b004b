"""Recurrent layers and embeddings. State lies in variable tensors, which the references change in place.

    op                          inputs                                              attributes
    EmbeddingLookup             indices (n,), table                                 —
    Svdf                        x (batch, in), weights (filters, in), time weights (filters, memory), [bias],
                                state (batch, filters · memory)                     rank, function
    Rnn                         x (batch, in), W, R, bias, state                    function
    UnidirectionalSequenceRnn   x (batch, time, in), W, R, bias, state              function, time_major
    BidirectionalSequenceRnn    x, (W, R, bias, state) forward and backward, [auxiliary x, [its W of both]];
                                                                          function, time_major, merge
    UnidirectionalSequenceLstm  x, then 19 or 23 more as runtime/src/kernels/lstm.c lists them;
                                                        function, time_major, cell_clip, projection_clip

`function` of the cells is None, "relu", "relu6", "relu_n1_to_1" or "tanh". With int8 weights `asymmetric`
tells whether vectors are quantized with a zero point. time_major: the first two dimensions are swapped.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from harness.ops import op
from harness.ops.activations import LIMITS

CELL_FUNCTIONS = (None, "relu", "relu6", "relu_n1_to_1", "tanh")  # in the order of the runtime's numbers


def apply_function(node, x: np.ndarray) -> np.ndarray:
    """The function of the node's cells."""
    name = node.attrs.get("function")
    if name == "tanh":
        return np.tanh(x)
    low, high = LIMITS[name]
    return np.clip(x, np.float32(low), np.float32(high))


def _check_state(state, *shape: int) -> None:
    if state is None or not state.is_variable:
        raise ValueError("its state is not a variable")
    if np.prod(state.shape) != np.prod(shape):
        raise ValueError(f"its state '{state.name}' has shape {state.shape}, expected {shape}")


def _check(what: str, tensor, shape: tuple[int, ...]) -> None:
    if tensor is None or tuple(tensor.shape) != shape:
        found = "is left out" if tensor is None else f"has shape {tensor.shape}"
        raise ValueError(f"{what} {found}, expected {shape}")


@op("EmbeddingLookup")
class EmbeddingLookup:
    """Rows of the table; an index out of range reads the nearest row."""

    @staticmethod
    def infer(node, inputs):
        indices, table = inputs
        if len(indices.shape) != 1 or len(table.shape) < 2:
            raise ValueError(f"cannot look up indices {indices.shape} in a table {table.shape}")
        real = np.dtype(np.float32) if table.quant is not None else table.dtype
        return [((indices.shape[0], *table.shape[1:]), real)]

    @staticmethod
    def reference(node, arrays):
        indices, table = arrays
        return [table[np.clip(indices, 0, len(table) - 1)]]


@op("Svdf")
class Svdf:
    """runtime/src/kernels/svdf.c gives the formula."""

    defaults = {"function": None, "asymmetric": False}

    @staticmethod
    def infer(node, inputs):
        x, feature, time, bias, state = inputs
        filters, rank = feature.shape[0], node.attrs["rank"]
        if rank < 1 or filters % rank:
            raise ValueError(f"{filters} filters are not divisible by rank {rank}")
        _check("weights", feature, (filters, x.shape[1]))
        _check("time weights", time, (filters, time.shape[1]))
        if bias is not None:
            _check("bias", bias, (filters // rank,))
        _check_state(state, x.shape[0], filters * time.shape[1])
        return [((x.shape[0], filters // rank), x.dtype)]

    @staticmethod
    def reference(node, arrays):
        x, feature, time, bias, state = arrays
        filters, memory = time.shape
        past = state.reshape(len(x), filters, memory)
        past[...] = np.concatenate([past[..., 1:], (x @ feature.T)[..., None]], axis=-1)
        y = (past * time).sum(-1).reshape(len(x), -1, node.attrs["rank"]).sum(-1)
        return [apply_function(node, y if bias is None else y + bias).astype(np.float32)]

    @staticmethod
    def macs(node, inputs, out):
        return int(out[0] * (np.prod(inputs[1].shape) + np.prod(inputs[2].shape)))


def _time_first(node, x: np.ndarray) -> np.ndarray:
    """(time, batch, …) from the layout of the node, or back."""
    return x if node.attrs.get("time_major") else x.swapaxes(0, 1)


def _samples(node, x) -> int:
    return x.shape[1 if node.attrs.get("time_major") else 0]


def _check_cell(x, weights, recurrent, bias, state, batch: int) -> int:
    """The cell's units."""
    units = bias.shape[0]
    _check("weights", weights, (units, x.shape[-1]))
    _check("recurrent weights", recurrent, (units, units))
    _check_state(state, batch, units)
    return units


def _rnn_step(node, x: np.ndarray, cell, auxiliary: np.ndarray | float = 0.0) -> np.ndarray:
    weights, recurrent, bias, state = cell
    hidden = state.reshape(len(x), -1)
    hidden[...] = apply_function(node, bias + x @ weights.T + auxiliary + hidden @ recurrent.T)
    return hidden.copy()


@op("Rnn")
class Rnn:
    """h ← f(bias + W·x + R·h); y = h"""

    defaults = {"function": None, "asymmetric": False}

    @staticmethod
    def infer(node, inputs):
        x, *cell = inputs
        return [((x.shape[0], _check_cell(x, *cell, x.shape[0])), x.dtype)]

    @staticmethod
    def reference(node, arrays):
        x, *cell = arrays
        return [_rnn_step(node, x, cell)]

    @staticmethod
    def macs(node, inputs, out):
        return int(np.prod(out) * (inputs[1].shape[1] + inputs[2].shape[1]))


@op("UnidirectionalSequenceRnn")
class UnidirectionalSequenceRnn:
    """An Rnn for each step of a sequence."""

    defaults = {"function": None, "time_major": False, "asymmetric": False}

    @staticmethod
    def infer(node, inputs):
        x, *cell = inputs
        first, second, _ = x.shape
        return [((first, second, _check_cell(x, *cell, _samples(node, x))), x.dtype)]

    @staticmethod
    def reference(node, arrays):
        x, *cell = arrays
        y = np.stack([_rnn_step(node, step, cell) for step in _time_first(node, x)])
        return [_time_first(node, y)]

    macs = Rnn.macs


@op("BidirectionalSequenceRnn")
class BidirectionalSequenceRnn:
    """Two UnidirectionalSequenceRnn, the second from the last step to the first.

    With an auxiliary input but no weights for it, the second reads that input instead if time_major, and
    else it counts for nothing, as in TFLite. merge: one output of both.
    """

    defaults = {"function": None, "time_major": False, "merge": False, "asymmetric": False}

    @staticmethod
    def infer(node, inputs):
        x, auxiliary, weights = inputs[0], inputs[9], inputs[10:12]
        first, second, _ = x.shape
        weighted = any(w is not None for w in weights)
        if auxiliary is not None and tuple(auxiliary.shape[:2]) != (first, second):
            raise ValueError(f"auxiliary input {auxiliary.shape} does not run beside {x.shape}")
        behind = auxiliary if auxiliary is not None and not weighted and node.attrs.get("time_major") else x
        batch = _samples(node, x)
        units = [_check_cell(x, *inputs[1:5], batch), _check_cell(behind, *inputs[5:9], batch)]
        if weighted:
            for w, count in zip(weights, units, strict=True):
                _check("auxiliary weights", w, (count, auxiliary.shape[2]))
        widths = [sum(units)] if node.attrs.get("merge") else units
        return [((first, second, width), x.dtype) for width in widths]

    @staticmethod
    def reference(node, arrays):
        x, auxiliary, weights = arrays[0], arrays[9], arrays[10:12]
        replaced = auxiliary is not None and weights[0] is None and node.attrs.get("time_major")
        behind = auxiliary if replaced else x
        outputs = []
        directions = ((x, arrays[1:5], weights[0], 1), (behind, arrays[5:9], weights[1], -1))
        for source, cell, w, order in directions:
            steps = _time_first(node, source)[::order]
            added = [0.0] * len(steps) if w is None else (_time_first(node, auxiliary) @ w.T)[::order]
            y = np.stack([_rnn_step(node, s, cell, a) for s, a in zip(steps, added, strict=True)])
            outputs.append(_time_first(node, y[::order]))
        return [np.concatenate(outputs, axis=-1)] if node.attrs.get("merge") else outputs

    @staticmethod
    def macs(node, inputs, out):
        matrices = [inputs[i] for i in (1, 2, 5, 6, 10, 11) if inputs[i] is not None]
        return int(out[0] * out[1] * sum(np.prod(m.shape) for m in matrices))


@op("UnidirectionalSequenceLstm")
class UnidirectionalSequenceLstm:
    """runtime/src/kernels/lstm.c gives the formula and the order of inputs."""

    defaults = {
        "function": None,
        "time_major": False,
        "cell_clip": 0.0,
        "projection_clip": 0.0,
        "asymmetric": False,
    }

    @staticmethod
    def infer(node, inputs):
        if len(inputs) not in (20, 24):
            raise ValueError(f"it has {len(inputs)} inputs, expected 20 or 24")
        x, (cells, depth), (_, out) = inputs[0], inputs[4].shape, inputs[8].shape
        first, second, _ = x.shape
        for i in range(0 if inputs[1] is not None else 1, 4):
            _check("weights", inputs[1 + i], (cells, depth))
            _check("recurrent weights", inputs[5 + i], (cells, out))
            _check("bias", inputs[12 + i], (cells,))
        _check("input", x, (first, second, depth))
        if inputs[16] is not None:
            _check("projection", inputs[16], (out, cells))
        elif out != cells:
            raise ValueError(f"{cells} cells without a projection have {cells} outputs, not {out}")
        batch = _samples(node, x)
        _check_state(inputs[18], batch, out)
        _check_state(inputs[19], batch, cells)
        return [((first, second, out), x.dtype)]

    @staticmethod
    def reference(node, arrays):
        arrays = [*arrays, *[None] * (24 - len(arrays))]
        y = np.stack([_lstm_step(node, x, arrays) for x in _time_first(node, arrays[0])])
        return [_time_first(node, y)]

    @staticmethod
    def macs(node, inputs, out):
        matrices = [inputs[i] for i in (*range(1, 9), 16) if inputs[i] is not None]
        return int(out[0] * out[1] * sum(np.prod(m.shape) for m in matrices))


def _lstm_step(node, x: np.ndarray, arrays) -> np.ndarray:
    h, c = (state.reshape(len(x), -1) for state in arrays[18:20])
    old = c.copy()

    def total(gate: int, peephole: np.ndarray | None, cell: np.ndarray) -> np.ndarray:
        sums = x @ arrays[1 + gate].T + h @ arrays[5 + gate].T
        if peephole is not None:
            sums = sums + peephole * cell
        if arrays[20 + gate] is not None:
            deviation = np.sqrt(sums.var(axis=-1, keepdims=True) + np.float32(1e-8))
            sums = (sums - sums.mean(axis=-1, keepdims=True)) / deviation * arrays[20 + gate]
        return sums + arrays[12 + gate]

    forget = special.expit(total(1, arrays[10], old))
    share = 1 - forget if arrays[1] is None else special.expit(total(0, arrays[9], old))
    candidate = apply_function(node, total(2, None, old))
    c[...] = _clip(forget * old + share * candidate, node.attrs.get("cell_clip"))
    y = special.expit(total(3, arrays[11], c)) * apply_function(node, c)
    if arrays[16] is not None:
        y = y @ arrays[16].T + (0 if arrays[17] is None else arrays[17])
        y = _clip(y, node.attrs.get("projection_clip"))
    h[...] = y
    return h.copy()


def _clip(values: np.ndarray, limit: float | None) -> np.ndarray:
    return np.clip(values, -limit, limit) if limit else values
