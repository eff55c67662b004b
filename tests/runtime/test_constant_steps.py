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


GRAPHS = {"mixed": mixed, "weights": lambda: quantize_weights.run(small_network(), minimum_size=1)}


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


def test_profile_shows_them_as_done(tmp_path):
    pack.write(mixed(), tmp_path / "mixed.qbm")
    nodes = runner.run("profile", "--model", tmp_path / "mixed.qbm", "--runs", 2).named("node")
    at_load = {node["op"]: node["macs"] for node in nodes if node["kernel"] == "at_load"}
    assert at_load == {"DEQUANTIZE": 0, "CONV_2D": 0}
    assert len(nodes) == 6
