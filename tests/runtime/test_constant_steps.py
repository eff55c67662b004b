"""Steps that read only constants run once, when the model is loaded."""

from __future__ import annotations

import numpy as np
import pytest

from harness import pack
from harness.graph import Quantization
from harness.passes import quantize_weights
from harness.quantize import hybrid
from tests.support import runner
from tests.support.graphs import Builder, small_network


def mixed():
    """x + a hybrid convolution of a stored constant, which reads a constant step's output and has scratch."""
    rng = np.random.default_rng(0)
    b = Builder("mixed")
    stored = b.graph.add_const(
        "stored", rng.integers(-127, 128, (1, 4, 4, 3)).astype(np.int8), Quantization(0.01, 0)
    )
    y = b.node(
        "Conv2D", b.node("Dequantize", stored), b.const(rng.normal(size=(3, 3, 3, 3)), "w"), padding="SAME"
    )
    y = b.node("Add", b.node("Relu", b.input((1, 4, 4, 3))), y)
    return hybrid.quantize(b.build(b.node("Softmax", b.node("Relu6", y))))


def shared():
    """Stored weights that layers pack, and some that another op reads as they are, too."""
    rng = np.random.default_rng(2)
    b = Builder("shared")

    def stored(name, *shape):
        values = rng.integers(-127, 128, shape).astype(np.int8)
        return b.node("Dequantize", b.graph.add_const(name, values, Quantization(0.02, 3)))

    twice = stored("twice", 5, 1, 1, 5)
    y = b.node("Conv2D", b.input((1, 4, 4, 5)), twice, padding="SAME")
    y = b.node(
        "Conv2D", b.node("Add", y, b.node("Mean", twice, b.const(np.array([0, 1, 2], np.int32)))), twice
    )
    y = b.node("DepthwiseConv2D", y, stored("depthwise", 1, 3, 3, 5), padding="SAME")
    return b.build(b.node("Conv2D", y, stored("one", 18, 2, 2, 5), padding="SAME"))


GRAPHS = {
    "mixed": mixed,
    "shared": shared,
    "weights": lambda: quantize_weights.run(small_network(), minimum_size=1),
}


@pytest.mark.parametrize("arch", sorted({"aarch64", "armv7", runner.HOST}))
@pytest.mark.parametrize("name", GRAPHS)
def test_values_hold_over_many_inferences(name, arch, tmp_path):
    """The arena is used by others meanwhile; the outputs of constant steps are not in it."""
    graph = GRAPHS[name]()
    samples = np.random.default_rng(1).normal(size=(5, *graph.tensors["x"].shape)).astype(np.float32)
    how = {"arch": arch, "sanitized": arch == runner.HOST}
    alone = [runner.predict(graph, [x], tmp_path, **how)[0] for x in samples]
    files = {kind: tmp_path / f"{kind}.bin" for kind in ("input", "output")}
    files["input"].write_bytes(samples.tobytes())
    argv = [word for kind, path in files.items() for word in (f"--{kind}", path)]
    outcome = runner.run("predict", "--model", tmp_path / "model.qbm", *argv, **how)
    assert outcome.exit_code == 0, outcome.stderr
    together = np.frombuffer(files["output"].read_bytes(), np.float32).reshape(5, *alone[0].shape)
    assert together.tobytes() == np.stack(alone).tobytes()


@pytest.mark.parametrize("name", GRAPHS)
def test_weights_packed_by_strips_are_those_expanded_whole(name, tmp_path):
    graph = GRAPHS[name]()
    x = np.random.default_rng(1).normal(size=graph.tensors["x"].shape).astype(np.float32)
    packed, whole = (runner.predict(graph, [x], tmp_path, isa=isa)[0] for isa in ("", "scalar"))
    assert packed.tobytes() == whole.tobytes()


def test_profile_shows_them_as_done(tmp_path):
    pack.write(mixed(), tmp_path / "mixed.qbm")
    nodes = runner.run("profile", "--model", tmp_path / "mixed.qbm", "--runs", 2).named("node")
    at_load = {node["op"]: node["macs"] for node in nodes if node["kernel"] == "at_load"}
    assert at_load == {"DEQUANTIZE": 0, "CONV_2D": 0}
    assert len(nodes) == 6


def test_stored_weights_never_lie_expanded_in_memory(tmp_path):
    """The packed floats are the only ones: not these, 16.8 MB, twice."""
    b = Builder("large")
    values = np.random.default_rng(0).integers(-127, 128, (4096, 1024)).astype(np.int8)
    weights = b.node("Dequantize", b.graph.add_const("w", values, Quantization(0.01, 0)))
    pack.write(b.build(b.node("FullyConnected", b.input((1, 1024)), weights)), tmp_path / "large.qbm")
    limits = ("--min-runs", 1, "--min-ms", 0, "--max-ms", 1000, "--warmup-ms", 0)
    outcome = runner.run("latency", "--model", tmp_path / "large.qbm", *limits)
    (usage,) = outcome.named("usage")
    assert usage["vm_hwm_kb"] * 1024 < 1.6 * values.size * 4
