"""The kernels of this machine on layers of the four networks: `make kernels`.

    pytest benchmarks/test_kernels.py --benchmark-autosave      keeps the figures
    pytest benchmarks/test_kernels.py --benchmark-compare       compares with the last kept ones
    QB_ISA=avx2 pytest benchmarks/test_kernels.py               forces an ISA variant

A layer is a network of one node. The runtime is compiled into a shared library from the runner's own sources
and flags, so that a call is an inference and nothing else.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks import runtime_library
from harness.graph import Graph, Node, Tensor
from harness.ops import infer_shapes
from harness.pack import write
from harness.quantize import hybrid, int8
from harness.quantize.calibrate import Range

F32 = np.dtype(np.float32)
SAME = {"padding": "SAME", "activation": "relu6"}

# name: op, input NHWC, weights, attributes
LAYERS = {
    "first 3x3 of MobileNet": ("Conv2D", (1, 224, 224, 3), (32, 3, 3, 3), {"stride": (2, 2)} | SAME),
    "pointwise 112 of MobileNet": ("Conv2D", (1, 112, 112, 32), (64, 1, 1, 32), SAME),
    "pointwise 14 of MobileNet": ("Conv2D", (1, 14, 14, 512), (512, 1, 1, 512), SAME),
    "pointwise 7 of MobileNet v2": ("Conv2D", (1, 7, 7, 960), (320, 1, 1, 960), SAME),
    "3x3 of ResNet": ("Conv2D", (1, 14, 14, 256), (256, 3, 3, 256), SAME),
    "1x7 of Inception": ("Conv2D", (1, 17, 17, 160), (192, 1, 7, 160), SAME),
    "depthwise 3x3": ("DepthwiseConv2D", (1, 56, 56, 128), (1, 3, 3, 128), SAME),
    "depthwise 3x3 stride 2": (
        "DepthwiseConv2D",
        (1, 112, 112, 96),
        (1, 3, 3, 96),
        {"stride": (2, 2)} | SAME,
    ),
    "classifier": ("FullyConnected", (1, 2048), (1000, 2048), {}),
}


def layer(name: str) -> Graph:
    """A float network of this one layer, x → y, with random weights."""
    op, shape, weights, attrs = LAYERS[name]
    graph, rng = Graph(name.replace(" ", "_")), np.random.default_rng(0)
    channels = weights[-1] if op == "DepthwiseConv2D" else weights[0]
    values = rng.normal(0, 1, weights).astype(np.float32)
    inputs = ["x", graph.add_const("w", values), graph.add_const("b", np.zeros(channels, np.float32))]
    graph.tensors["x"], graph.tensors["y"] = Tensor("x", shape, F32), Tensor("y", None, F32)
    graph.nodes.append(Node(op, "layer", inputs, ["y"], attrs))
    graph.inputs, graph.outputs = ["x"], ["y"]
    return infer_shapes(graph.verify())


FORMS: dict[str, Callable[[Graph], Graph]] = {
    "f32": lambda graph: graph,
    "hybrid": hybrid.quantize,
    "int8": lambda graph: int8.quantize(graph, {"x": Range(-1.0, 1.0), "y": Range(0.0, 6.0)}),
}


@pytest.fixture(scope="session")
def library() -> ctypes.CDLL:
    return runtime_library.load()


@pytest.fixture
def session(library: ctypes.CDLL, tmp_path: Path):
    """session(graph): what to call for one inference. Models are closed after the test."""
    opened: list[tuple] = []

    def make(graph: Graph) -> Callable[[], None]:
        path, error = tmp_path / "layer.qbm", ctypes.create_string_buffer(512)
        write(graph, path)
        model = ctypes.c_void_p(library.qb_model_open(str(path).encode(), error))
        assert model, error.value.decode()
        isa = os.environ.get("QB_ISA", "").encode()
        running = ctypes.c_void_p(library.qb_session_create(model, isa, error))
        opened.append((model, running))
        assert running, error.value.decode()
        view = library.qb_session_input(running, 0)
        values = np.random.default_rng(1).integers(-128, 128, view.size).astype(np.int8)
        if graph.tensors["x"].dtype == np.float32:
            values = (values[: view.size // 4] / 128).astype(np.float32)
        ctypes.memmove(view.data, values.tobytes(), view.size)
        return lambda: library.qb_session_run(running)

    yield make
    for model, running in opened:
        library.qb_session_destroy(running)
        library.qb_model_close(model)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", LAYERS)
def test_kernel(benchmark, session, name: str, form: str) -> None:
    benchmark.group = name
    benchmark(session(FORMS[form](layer(name))))
