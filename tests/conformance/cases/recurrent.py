"""Embeddings and recurrent layers, their state kept over the samples."""

from __future__ import annotations

import numpy as np

from harness.graph import Quantization
from harness.quantize.weights import quantize_tensor
from tests.conformance.draw import OMITTED, Draw, case

TANH = 4


def weights(draw: Draw, *shape: int) -> int:
    """Weights whose sums with inputs of magnitude 1 have that magnitude; hybrid: as int8 with one scale."""
    values = draw.rng.normal(0, shape[-1] ** -0.5, shape).astype(np.float32)
    if draw.arithmetic == "hybrid":
        stored, quant = quantize_tensor(np.abs(values) if draw.absolute else values)
        return draw.const(stored, np.int8, quant)
    return draw.const(values, np.float32)


def floats(draw: Draw, *shape: int) -> int:
    return draw.const(draw.rng.normal(0, 0.5, shape), np.float32)


def moderate(draw: Draw, *shape: int) -> int:
    """An input that does not saturate what follows; at times one sample is zero."""
    index = draw.input(shape, np.float32, low=-2.0, high=2.0)
    if draw.chance(0.2):
        draw.model.values[-1][1] = 0.0
    return index


def cell(draw: Draw, functions=(0, 1, 2, 3, TANH, TANH, TANH)) -> dict[str, object]:
    """The options that all recurrent layers have."""
    function = draw.choice(functions)
    asymmetric = draw.arithmetic == "hybrid" and draw.chance()
    return {"FusedActivationFunction": function, "AsymmetricQuantizeInputs": asymmetric}


def state(draw: Draw, *shape: int) -> int:
    return draw.variable(shape, np.float32)


def real(draw: Draw, *shape: int) -> int:
    return draw.output(np.float32, None, shape)


@case("EMBEDDING_LOOKUP", "f32", "hybrid", "int8")
def embedding_lookup(draw: Draw) -> None:
    rows, count = draw.integer(1, 40), draw.integer(1, 12)
    table = (rows, *draw.shape(1, 3))
    indices = draw.input((count,), np.int32, low=0, high=rows - 1)
    if draw.arithmetic == "int8":
        quant = draw.quant()
        values = draw.const(draw.rng.integers(-128, 128, table), np.int8, quant)
        out = draw.output(np.int8, quant)
    else:
        values, out = weights(draw, *table), real(draw)
    draw.operator("EMBEDDING_LOOKUP", [indices, values], [out], version=3)


@case("SVDF", "f32", "hybrid", relative_to="sums")
def svdf(draw: Draw) -> None:
    batch, depth, units, rank, memory = (draw.integer(1, most) for most in (3, 20, 9, 3, 10))
    filters = units * rank
    inputs = [moderate(draw, batch, depth), weights(draw, filters, depth), weights(draw, filters, memory)]
    inputs += [floats(draw, units) if draw.chance(0.7) else OMITTED, state(draw, batch, filters * memory)]
    draw.operator("SVDF", inputs, [real(draw)], "SVDFOptions", 4, Rank=rank, **cell(draw))


@case("SVDF", "int8")
def svdf_int8(draw: Draw) -> None:
    batch, depth, units, rank, memory = (draw.integer(1, most) for most in (3, 20, 9, 3, 10))
    filters = units * rank
    feature = draw.rng.integers(-128, 128, (filters, depth))
    time = draw.rng.integers(-3000, 3000, (filters, memory))
    bounds = ((0.001, 0.01), (1e-5, 1e-4), (1e-4, 1e-2))
    quants = [Quantization(draw.rng.uniform(*between), 0) for between in bounds]
    inputs = [draw.input((batch, depth)), draw.const(feature, np.int8, quants[0])]
    inputs.append(draw.const(time, np.int16, quants[1]))
    inputs.append(draw.const(draw.rng.integers(-10000, 10000, units)) if draw.chance(0.7) else OMITTED)
    inputs.append(draw.variable((batch, filters * memory), np.int16, quants[2]))
    relu = {"FusedActivationFunction": 1}
    draw.operator("SVDF", inputs, [draw.output()], "SVDFOptions", 4, Rank=rank, **relu)


def direction(draw: Draw, batch: int, depth: int, units: int) -> list[int]:
    """Weights, recurrent weights, bias and state of a cell."""
    matrices = [weights(draw, units, depth), weights(draw, units, units)]
    return [*matrices, floats(draw, units), state(draw, batch, units)]


@case("RNN", "f32", "hybrid", relative_to="sums")
def rnn(draw: Draw) -> None:
    batch, depth, units = (draw.integer(1, most) for most in (3, 20, 12))
    inputs = [moderate(draw, batch, depth), *direction(draw, batch, depth, units)]
    draw.operator("RNN", inputs, [real(draw)], "RNNOptions", 3, **cell(draw))


def sequence(draw: Draw) -> tuple[int, bool, tuple[int, int]]:
    """Samples of a batch, whether time comes first, and the first two dimensions."""
    batch, time, time_major = draw.integer(1, 3), draw.integer(1, 6), draw.chance()
    return batch, time_major, (time, batch) if time_major else (batch, time)


@case("UNIDIRECTIONAL_SEQUENCE_RNN", "f32", "hybrid", relative_to="sums")
def sequence_rnn(draw: Draw) -> None:
    batch, time_major, rows = sequence(draw)
    depth, units = draw.integer(1, 20), draw.integer(1, 12)
    inputs = [moderate(draw, *rows, depth), *direction(draw, batch, depth, units)]
    options = cell(draw) | {"TimeMajor": time_major}
    draw.operator("UNIDIRECTIONAL_SEQUENCE_RNN", inputs, [real(draw)], "SequenceRNNOptions", 3, **options)


@case("BIDIRECTIONAL_SEQUENCE_RNN", "f32", "hybrid", relative_to="sums")
def bidirectional_rnn(draw: Draw) -> None:
    """LiteRT takes steps of an auxiliary input to be as wide as those of the input, and crashes where hybrid,
    merged and time-major meet symmetric inputs of several samples.
    """
    batch, time_major, rows = sequence(draw)
    depth, ahead, back = draw.integer(1, 20), draw.integer(1, 12), draw.integer(1, 12)
    auxiliary = draw.choice((None, None, "read by the backward cell", "weighted"))
    inputs = [moderate(draw, *rows, depth), *direction(draw, batch, depth, ahead)]
    inputs += direction(draw, batch, depth, back)
    inputs.append(moderate(draw, *rows, depth) if auxiliary else OMITTED)
    both = auxiliary == "weighted"
    inputs += [weights(draw, units, depth) if both else OMITTED for units in (ahead, back)]
    merge = draw.chance()
    outputs = [real(draw) for _ in range(1 if merge else 2)]
    options = cell(draw) | {"TimeMajor": time_major, "MergeOutputs": merge}
    if draw.arithmetic == "hybrid" and merge and time_major:
        options["AsymmetricQuantizeInputs"] = True
    kind = "BidirectionalSequenceRNNOptions"
    draw.operator("BIDIRECTIONAL_SEQUENCE_RNN", inputs, outputs, kind, 3, **options)


@case("UNIDIRECTIONAL_SEQUENCE_LSTM", "f32", "hybrid", relative_to="largest")
def sequence_lstm(draw: Draw) -> None:
    batch, time_major, rows = sequence(draw)
    depth, cells = draw.integer(1, 20), draw.integer(4, 12)
    coupled, peepholes, normalized, projected = (draw.chance(p) for p in (0.3, 0.3, 0.3, 0.4))
    out = draw.integer(4, 12) if projected else cells
    gates = [not coupled, True, True, True]

    def optional(wanted: bool, make, *shape: int) -> int:
        return make(draw, *shape) if wanted else OMITTED

    inputs = [moderate(draw, *rows, depth)]
    inputs += [optional(gate, weights, cells, depth) for gate in gates]
    inputs += [optional(gate, weights, cells, out) for gate in gates]
    inputs += [optional(peepholes and gate, weights, cells) for gate in (not coupled, True, True)]
    inputs += [optional(gate, floats, cells) for gate in gates]
    inputs += [optional(projected, weights, out, cells), optional(projected and draw.chance(), floats, out)]
    inputs += [state(draw, batch, out), state(draw, batch, cells)]
    if normalized or draw.chance():
        inputs += [optional(normalized and gate, floats, cells) for gate in gates]
    clips = {name: draw.choice((0.0, 0.0, 0.7)) for name in ("CellClip", "ProjClip")}
    options = cell(draw, (1, 2, 3, TANH, TANH, TANH)) | clips | {"TimeMajor": time_major}
    kind = "UnidirectionalSequenceLSTMOptions"
    draw.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, [real(draw)], kind, 3, **options)


@case("UNIDIRECTIONAL_SEQUENCE_LSTM", "int8")
def sequence_lstm_int8(draw: Draw) -> None:
    batch, time_major, rows = sequence(draw)
    depth, cells = draw.integer(1, 20), draw.integer(1, 12)
    gates = [draw.chance(0.7), True, True, True]
    hidden = draw.quant(0.004, 0.02)

    def matrix(columns: int) -> int:
        quant = Quantization(draw.rng.uniform(0.002, 0.02), 0)
        return draw.const(draw.rng.integers(-127, 128, (cells, columns)), np.int8, quant)

    def bias() -> int:
        return draw.const(draw.rng.integers(-5000, 5000, cells))

    inputs = [draw.input((*rows, depth), np.int8, draw.quant(0.005, 0.03))]
    inputs += [matrix(depth) if gate else OMITTED for gate in gates]
    inputs += [matrix(cells) if gate else OMITTED for gate in gates]
    inputs += [OMITTED] * 3 + [bias() if gate else OMITTED for gate in gates] + [OMITTED] * 2
    inputs.append(draw.variable((batch, cells), np.int8, hidden))
    scale = Quantization(2.0 ** -draw.integer(9, 15), 0)
    inputs += [draw.variable((batch, cells), np.int16, scale), *[OMITTED] * 4]
    between = [draw.between((), np.int8, hidden) for _ in range(5)]
    options = {"FusedActivationFunction": TANH, "TimeMajor": time_major, "CellClip": draw.choice((0.0, 0.9))}
    kind = "UnidirectionalSequenceLSTMOptions"
    outputs = [draw.output(np.int8, hidden)]
    draw.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, outputs, kind, 3, between, **options)
