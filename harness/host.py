"""Runs a network on this machine, on real values: what checks and labels are computed with.

A float network runs in the NumPy references, which define the ops; int8 weights beside float activations are
expanded first. A network with quantized activations runs in the C runtime, whose integers are its definition,
and its values come back as the reals that they stand for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import devices
from harness import passes
from harness.errors import FormatError, UsageError
from harness.graph import Graph, Tensor
from harness.importers import read_bytes
from harness.ops import infer_shapes, run_reference
from harness.passes import dequantize_weights
from harness.predict import predict_all
from harness.trial import Progress

FLOATS = (np.float32, np.float64)


class HostNetwork:
    """A graph with one input, ready to run. `graph` is the one that runs."""

    def __init__(self, graph: Graph, work: Path, progress: Progress) -> None:
        """work: a folder for files in between. Raises FormatError where the graph cannot run here."""
        if len(graph.inputs) != 1:
            raise FormatError(f"model '{graph.name}' has {len(graph.inputs)} inputs; checks feed one")
        live = passes.function("strip_unused_nodes")(graph)
        self.quantized = any(t.quant is not None for t in live.tensors.values() if not t.is_const)
        self.graph = passes.apply(live) if self.quantized else dequantize_weights.run(infer_shapes(live))
        self._work = work
        self._progress = progress

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.graph.tensors[self.graph.inputs[0]].shape

    def layers(self) -> list[str]:
        """Names of the tensors that depend on the input, in execution order."""
        found = dict.fromkeys(self.graph.inputs)
        for node in self.graph.execution_order():
            if not found.keys().isdisjoint(node.inputs):
                found.update(dict.fromkeys(node.outputs))
        return [name for name in found if name not in self.graph.inputs]

    def run(self, x: np.ndarray, fetch: Sequence[str] | None = None) -> list[np.ndarray]:
        """Real values of the tensors `fetch` (default: the outputs) for x, float32 `input_shape`."""
        names = list(fetch or self.graph.outputs)
        if not self.quantized:
            values = run_reference(self.graph, {self.graph.inputs[0]: x}, names)
            return [values[name] for name in names]
        source = self.graph.tensors[self.graph.inputs[0]]
        stored = x if source.quant is None else source.quant.quantize(x, source.dtype)
        graph = replace(self.graph, outputs=names)
        device = devices.open_device("local")
        arrays = predict_all(device, graph, stored, self._work, self._progress)
        return [self._reals(name, values) for name, values in zip(names, arrays, strict=True)]

    def _reals(self, name: str, values: np.ndarray) -> np.ndarray:
        quant = self.graph.tensors[name].quant
        return values if quant is None else quant.dequantize(values)


class OnnxNetwork:
    """A float .onnx file with one input in ONNX Runtime, for comparing; nothing inside it can be seen."""

    def __init__(self, path: Path) -> None:
        """Raises UsageError where ONNX Runtime is not installed, FormatError where it refuses the file."""
        try:
            import onnxruntime
        except ImportError as error:
            raise UsageError(
                f"running '{path}' needs ONNX Runtime: pip install 'quantbench[onnx]'"
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4  # its errors arrive as exceptions
        try:
            self._session = onnxruntime.InferenceSession(read_bytes(path), options)
        except tuple(_onnx_errors(onnxruntime)) as error:
            raise FormatError(f"ONNX Runtime refuses '{path}': {error}") from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        fixed = all(isinstance(size, int) for value in (*inputs, *outputs) for size in value.shape)
        if len(inputs) != 1 or not fixed or any(v.type != "tensor(float)" for v in (*inputs, *outputs)):
            raise FormatError(
                f"'{path}' has not one float input, or outputs that are not float of fixed shape"
            )
        tensors = {v.name: Tensor(v.name, tuple(v.shape), np.dtype(np.float32)) for v in (*inputs, *outputs)}
        self.graph = Graph(path.stem, tensors, [], [inputs[0].name], [v.name for v in outputs])

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.graph.tensors[self.graph.inputs[0]].shape

    def layers(self) -> list[str]:
        return []

    def run(self, x: np.ndarray, fetch: Sequence[str] | None = None) -> list[np.ndarray]:
        """The outputs `fetch` for x, float32 `input_shape`."""
        return self._session.run(list(fetch or self.graph.outputs), {self.graph.inputs[0]: x})


def _onnx_errors(onnxruntime) -> list[type[Exception]]:
    """The exceptions that ONNX Runtime's binding raises for a model."""
    state = onnxruntime.capi.onnxruntime_pybind11_state
    return [kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception)]
