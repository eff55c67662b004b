"""The recurrent ops: state over steps, what does not fit, hybrid weights."""

from __future__ import annotations

import numpy as np
import pytest

from harness import pack
from harness.errors import FormatError
from harness.graph import OPTIONAL, Graph, Node, Tensor
from harness.ops import infer_shapes, initial_state, run_reference
from harness.quantize import hybrid
from tests.support import runner

STEPS, DEPTH, UNITS, MEMORY = 5, 6, 4, 3


def svdf(rank: int = 2) -> Graph:
    rng = np.random.default_rng(3)
    graph = Graph("stream", inputs=["x"], outputs=["y"])
    filters = UNITS * rank
    graph.tensors = {
        "x": Tensor("x", (1, DEPTH), np.dtype(np.float32)),
        "state": Tensor("state", (1, filters * MEMORY), np.dtype(np.float32), is_variable=True),
        "y": Tensor("y", None, np.dtype(np.float32)),
    }
    weights = [
        graph.add_const(name, rng.normal(0, 0.5, shape).astype(np.float32))
        for name, shape in (("feature", (filters, DEPTH)), ("time", (filters, MEMORY)))
    ]
    attrs = {"rank": rank, "function": "tanh"}
    graph.nodes = [Node("Svdf", "svdf", ["x", *weights, OPTIONAL, "state"], ["y"], attrs)]
    return graph


def predict(graph: Graph, steps: np.ndarray, folder, *arguments: str) -> np.ndarray:
    model, source, target = folder / "model.qbm", folder / "in.bin", folder / "out.bin"
    pack.write(graph, model)
    steps.tofile(source)
    files = ("--model", model, "--input", source, "--output", target)
    outcome = runner.run("predict", *files, *arguments, sanitized=True)
    assert outcome.exit_code == 0, outcome.stderr
    return np.fromfile(target, np.float32).reshape(len(steps), -1)


def test_state_is_kept_from_step_to_step_or_begins_anew(tmp_path):
    graph = infer_shapes(svdf())
    steps = np.random.default_rng(4).normal(size=(STEPS, DEPTH)).astype(np.float32)
    state = initial_state(graph)
    kept = [run_reference(graph, {"x": step[None]}, state=state)["y"][0] for step in steps]
    anew = [run_reference(graph, {"x": step[None]})["y"][0] for step in steps]
    assert np.abs(np.array(kept[1:]) - anew[1:]).max() > 0.1
    np.testing.assert_allclose(predict(graph, steps, tmp_path, "--state", "keep"), kept, atol=1e-6)
    np.testing.assert_allclose(predict(graph, steps, tmp_path), anew, atol=1e-6)


def test_hybrid_weights_have_one_scale_and_come_close(tmp_path):
    graph = infer_shapes(svdf())
    quantized = infer_shapes(hybrid.quantize(graph))
    weights = [quantized.tensors[name] for name in quantized.nodes[0].inputs[1:3]]
    assert all(w.dtype == np.int8 and not w.quant.per_channel for w in weights)
    steps = np.random.default_rng(5).normal(size=(STEPS, DEPTH)).astype(np.float32)
    exact, close = (predict(g, steps, tmp_path, "--state", "keep") for g in (graph, quantized))
    np.testing.assert_allclose(close, exact, atol=0.05)
    assert not np.array_equal(close, exact)


def test_what_does_not_fit_is_named():
    wrong_rank, no_variable = svdf(), svdf()
    wrong_rank.nodes[0].attrs["rank"] = 3
    no_variable.nodes[0].inputs[4] = "time"
    with pytest.raises(FormatError, match="8 filters are not divisible by rank 3"):
        infer_shapes(wrong_rank)
    with pytest.raises(FormatError, match="its state is not a variable"):
        infer_shapes(no_variable)


def test_an_unknown_way_with_the_state_is_refused(tmp_path):
    model = tmp_path / "model.qbm"
    pack.write(infer_shapes(svdf()), model)
    files = ("--model", model, "--input", model, "--output", tmp_path / "out")
    assert runner.run("predict", *files, "--state", "x").error == "--state 'x': use reset or keep"
