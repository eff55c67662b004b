"""Ops whose loops the ISA variants compile for themselves: the bytes of the plain loops of "scalar"."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.graph import Graph, Quantization
from harness.ops import infer_shapes
from tests.support import op_graphs, runner
from tests.support.linear_checks import skip_unless_it_runs

VARIANTS = (("x86_64", "avx2"), ("x86_64", "avx512"), ("aarch64", "neon"), ("armv7", "neon"))
OPS = ("Add", "Mul", "AveragePool2D", "MaxPool2D")


def add_wide(graph: Graph, op: str, quantized: bool) -> None:
    """Layers with enough channels for whole registers, and some more."""
    rng = np.random.default_rng(11)
    for index, channels in enumerate((16, 64, 79, 150)):
        d = op_graphs.Draw(graph, 100 + index, quantized, rng)
        x = d.input((1, 6, 5, channels))
        if op.endswith("Pool2D"):
            window = {"filter": (3, 3), "stride": (1 + index % 2, 1), "padding": "SAME"}
            d.node(op, x, quant=d.quant_of(x), activation=None, **window)
        else:
            same = d.quant_of(x) if index % 2 else None  # sums of equal scales halve both
            d.node(op, x, d.input((1, 6, 5, channels), same), activation="relu")
    infer_shapes(graph.verify())


def check_equals_plain_loops(
    graph: Graph, inputs: list[np.ndarray], arch: str, isa: str, folder: Path
) -> None:
    expected = runner.predict(graph, inputs, folder, isa="scalar")
    actual = runner.predict(graph, inputs, folder, arch=arch, isa=isa)
    for node, ours, reference in zip(graph.nodes, actual, expected, strict=True):
        assert ours.tobytes() == reference.tobytes(), node


@pytest.mark.parametrize("quantized", [True, False], ids=["int8", "f32"])
@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize(("arch", "isa"), VARIANTS)
def test_every_variant_equals_the_plain_loops(op, quantized, arch, isa, tmp_path):
    skip_unless_it_runs(arch, isa)
    graph = op_graphs.op_graph(op, quantized, 60, seed=9)
    add_wide(graph, op, quantized)
    inputs = op_graphs.random_inputs(graph, seed=10)
    check_equals_plain_loops(graph, inputs, arch, isa, tmp_path)


BYTES = np.arange(-128, 128, dtype=np.int8)


@pytest.mark.parametrize(("arch", "isa"), VARIANTS)
def test_sums_of_every_pair_of_bytes(arch, isa, tmp_path):
    skip_unless_it_runs(arch, isa)
    graph, rng = Graph("sums"), np.random.default_rng(3)
    scales = [(1.0, 1.0), (0.5, 0.25), (0.9, 0.03), (3.0, 0.4), *rng.uniform(0.1, 1.3, (8, 2))]
    for index, (a, b) in enumerate(scales):
        d = op_graphs.Draw(graph, index, True, rng)
        zeros = rng.integers(-128, 128, 3)
        x = d.input((BYTES.size**2,), Quantization(np.float32(a), zeros[0]))
        y = d.input((BYTES.size**2,), Quantization(np.float32(b), zeros[1]))
        d.node("Add", x, y, quant=Quantization(np.float32(1.0), zeros[2]), activation=d.activation())
    infer_shapes(graph.verify())
    inputs = len(graph.nodes) * [np.repeat(BYTES, BYTES.size), np.tile(BYTES, BYTES.size)]
    check_equals_plain_loops(graph, inputs, arch, isa, tmp_path)


@pytest.mark.parametrize(("arch", "isa"), VARIANTS)
def test_products_of_every_pair_of_bytes(arch, isa, tmp_path):
    """Factors about 1/2 and 1 and down to what leaves few outputs; every second output starts at zero."""
    skip_unless_it_runs(arch, isa)
    graph, rng = Graph("products"), np.random.default_rng(5)
    for index, scale in enumerate((0.9, 1.0, 1.9, 2.1, 60.0, 77.7, 129.0, 200.0, 900.0, 5000.0)):
        d = op_graphs.Draw(graph, index, True, rng)
        zeros = rng.integers(-128, 128, 3)
        x = d.input((BYTES.size**2,), Quantization(np.float32(1.0), zeros[0]))
        y = d.input((BYTES.size**2,), Quantization(np.float32(1.0), zeros[1]))
        start = -128 if index % 2 else zeros[2]
        d.node("Mul", x, y, quant=Quantization(np.float32(scale), start), activation="relu")
    infer_shapes(graph.verify())
    inputs = len(graph.nodes) * [np.repeat(BYTES, BYTES.size), np.tile(BYTES, BYTES.size)]
    check_equals_plain_loops(graph, inputs, arch, isa, tmp_path)


@pytest.mark.parametrize(("arch", "isa"), VARIANTS)
def test_averages_of_every_sum(arch, isa, tmp_path):
    """Windows of few pixels and of more; the values lead through all quotients and ties."""
    skip_unless_it_runs(arch, isa)
    graph, rng, inputs = Graph("averages"), np.random.default_rng(4), []
    for index, size in enumerate((1, 2, 3, 4, 6, 7, 9, 12, 25, 33, 63, 64, 65, 126, 127, 128)):
        d = op_graphs.Draw(graph, index, True, rng)
        x = d.input((1, 1, size, 128 * 31))
        sums = np.linspace(-128 * size, 127 * size, 128 * 31).astype(np.int64)
        whole, rest = sums // size, sums % size
        inputs.append((whole + (np.arange(size)[:, None] < rest)).astype(np.int8)[None, None])
        window = {"filter": (1, size), "stride": (1, 1), "padding": "VALID"}
        d.node("AveragePool2D", x, quant=d.quant_of(x), activation=None, **window)
    infer_shapes(graph.verify())
    check_equals_plain_loops(graph, inputs, arch, isa, tmp_path)
