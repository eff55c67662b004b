"""SavedModels and checkpoints of TensorFlow (tests/golden/make_variables_goldens.py), read without it."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from harness import importers, passes
from harness.errors import BenchError, FormatError, UsageError
from harness.importers.graphdef import parse
from harness.importers.tensor_bundle import Bundle, fields, varint
from harness.ops import infer_shapes, run_reference
from tests.support.fuzz import damaged
from tests.support.graphdefs import GraphDefBuilder

GOLDEN = Path(__file__).parent.parent / "golden" / "variables"
SAVED_MODEL, CHECKPOINT = GOLDEN / "saved_model", GOLDEN / "tf1_reference" / "model.ckpt"
OUTPUTS = np.load(GOLDEN / "outputs.npz")


def answer(graph, x=OUTPUTS["x"]):
    (y,) = run_reference(infer_shapes(graph), {graph.inputs[0]: x}).values()
    return y


def meta(folder):
    return GOLDEN / folder / "model.ckpt.meta"


@pytest.fixture
def copied(tmp_path):
    """A copy of the goldens that a test may damage."""
    return shutil.copytree(GOLDEN, tmp_path / "variables")


@pytest.mark.parametrize("path", [SAVED_MODEL, SAVED_MODEL / "saved_model.pb"])
def test_saved_model_becomes_one_constant_graph(path):
    graph = importers.load(path)
    assert (graph.name, graph.inputs, graph.outputs) == ("saved_model", ["pixels"], ["scores"])
    np.testing.assert_allclose(answer(graph), OUTPUTS["y"], atol=1e-6)
    assert [n.op for n in passes.apply(graph).nodes if n.op not in ("Mul", "Add")] == [
        "Conv2D",
        "DepthwiseConv2D",
        "Reshape",
        "FullyConnected",
        "Softmax",
    ]


@pytest.mark.parametrize("folder", ["tf1_reference", "tf1_resource"])
def test_checkpoint_with_its_graph(folder):
    graph = importers.load(meta(folder), outputs=["output"])
    assert graph.inputs == ["input"]
    np.testing.assert_allclose(answer(graph), OUTPUTS["y"], atol=1e-6)


def test_graphdef_with_a_checkpoint(tmp_path):
    graph_def = parse(meta("tf1_reference"), "MetaGraphDef").graph_def
    (tmp_path / "graph.pb").write_bytes(graph_def.SerializeToString())
    graph = importers.load(tmp_path / "graph.pb", outputs=["output"], checkpoint=CHECKPOINT)
    np.testing.assert_allclose(answer(graph), OUTPUTS["y"], atol=1e-6)


def test_without_a_restoring_part_the_key_is_the_variables_name(tmp_path):
    graph_def = parse(meta("tf1_resource"), "MetaGraphDef").graph_def
    kept = [node for node in graph_def.node if not node.name.startswith("save/")]
    del graph_def.node[:]
    graph_def.node.extend(kept)
    (tmp_path / "graph.pb").write_bytes(graph_def.SerializeToString())
    checkpoint = GOLDEN / "tf1_resource" / "model.ckpt"
    graph = importers.load(tmp_path / "graph.pb", outputs=["output"], checkpoint=checkpoint)
    np.testing.assert_allclose(answer(graph), OUTPUTS["y"], atol=1e-6)


def test_the_labs_saved_model_gives_what_tensorflow_does(lab):
    graph = importers.load(lab / "models" / "kws_ref_model_saved_model")
    assert (graph.inputs, graph.outputs) == (["input_1"], ["dense"])
    for x, y in zip(OUTPUTS["kws_x"], OUTPUTS["kws_y"], strict=True):
        np.testing.assert_allclose(answer(graph, x[None])[0], y, atol=1e-5)
    small = passes.apply(graph)
    assert len(small.nodes) == 13
    np.testing.assert_allclose(answer(small, OUTPUTS["kws_x"][:1])[0], OUTPUTS["kws_y"][0], atol=1e-5)


def test_variables_without_values_are_refused_by_name(tmp_path):
    graph_def = parse(meta("tf1_reference"), "MetaGraphDef").graph_def
    (tmp_path / "graph.pb").write_bytes(graph_def.SerializeToString())
    with pytest.raises(FormatError, match=r"variables left.*net/conv, net/scale.*--checkpoint"):
        importers.load(tmp_path / "graph.pb", outputs=["output"])


def test_a_checkpoint_of_another_graph_is_refused_by_name(tmp_path):
    b = GraphDefBuilder()
    b.node("VariableV2", "w")
    b.node("MatMul", "y", b.placeholder("x", (1, 4)), "w")
    with pytest.raises(FormatError, match="no value for w"):
        importers.load(b.save(tmp_path / "graph.pb"), outputs=["y"], checkpoint=CHECKPOINT)


@pytest.mark.parametrize(
    ("load", "message"),
    [
        (lambda: importers.load(meta("tf1_reference")), "name the network's outputs"),
        (lambda: importers.load(meta("tf1_reference"), outputs=["outptu"]), "did you mean output"),
        (lambda: importers.load(SAVED_MODEL, outputs=["score"]), "did you mean scores"),
        (lambda: importers.load(SAVED_MODEL, inputs=["pixel"]), "did you mean pixels"),
        (lambda: importers.load(SAVED_MODEL, checkpoint=CHECKPOINT), r"a \.pb or \.meta file"),
        (lambda: importers.load(GOLDEN), "nor is it a SavedModel's folder"),
        (lambda: Bundle(GOLDEN / "missing"), "'missing.index'"),
    ],
)
def test_usage_errors_say_what_to_do(load, message):
    with pytest.raises(UsageError, match=message):
        load()


def test_values_that_are_missing_are_named(copied):
    data = copied / "saved_model" / "variables" / "variables.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(FormatError, match="too short"):
        importers.load(copied / "saved_model")


@pytest.mark.parametrize("name", ["saved_model.pb", "variables/variables.index"])
def test_damaged_files_end_in_one_clear_line(copied, name):
    file = copied / "saved_model" / name
    for content in damaged(file.read_bytes(), 150, window=2000):
        file.write_bytes(content)
        with contextlib.suppress(BenchError):  # anything else would be a crash
            infer_shapes(importers.load(copied / "saved_model"))


def test_bundle_reads_every_value():
    bundle = Bundle(CHECKPOINT)
    assert {"global_step", "net/conv", "net/variance"} <= bundle.names
    assert bundle.tensor("net/conv").shape == (3, 3, 2, 4)
    assert bundle.tensor("global_step").shape == ()
    assert bundle.size == sum(bundle.tensor(name).nbytes for name in bundle.names)


def test_a_function_that_calls_itself_is_refused(copied):
    path = copied / "graph.pb"
    message = parse(meta("tf1_reference"), "MetaGraphDef").graph_def
    message.Clear()
    function = message.library.function.add()
    function.signature.name = "f"
    function.signature.output_arg.add(name="y")
    function.ret["y"] = "again:output:0"
    for nodes, name in ((function.node_def, "again"), (message.node, "call")):
        nodes.add(name=name, op="PartitionedCall").attr["f"].func.name = "f"
    path.write_bytes(message.SerializeToString())
    with pytest.raises(FormatError, match="calls deep"):
        importers.load(path, outputs=["call"], checkpoint=CHECKPOINT)


def test_protobuf_fields():
    assert varint(b"\xac\x02", 0) == (300, 2)
    assert fields(b"\x08\x96\x01\x12\x02ab\x12\x00\x1d\x01\x00\x00\x00") == {
        1: [150],
        2: [b"ab", b""],
        3: [b"\x01\x00\x00\x00"],
    }
    for content in (b"\x08", b"\x12\x05a", b"\x0b", b"\xff" * 11):
        with pytest.raises((ValueError, IndexError)):
            fields(content)
