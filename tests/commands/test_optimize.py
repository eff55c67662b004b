"""`bench optimize`, from a file to a file."""

import csv
import subprocess
import sys

import numpy as np
import pytest

from harness import exporters, importers
from harness.cli import main
from harness.datasets import open_dataset
from harness.ops import infer_shapes, run_reference
from models import load
from tests.support.graphdefs import GraphDefBuilder
from tests.support.graphs import small_network
from tests.support.pass_graphs import GRAPHS
from tests.test_transforms import ROW_2

GraphDef = pytest.importorskip("tensorboard.compat.proto.graph_pb2").GraphDef


def optimize(*arguments):
    return main(["optimize", "--quiet", *map(str, arguments)])


def definitions(path):
    message = GraphDef()
    message.ParseFromString(path.read_bytes())
    return message.node


def assert_agree(graph, path, feeds, decimals=5):
    """The file's network gives the outputs of the graph for each of these inputs."""
    again = infer_shapes(importers.load(path))
    for x in feeds:
        expected = run_reference(graph, {graph.inputs[0]: x})[graph.outputs[0]]
        got = run_reference(again, {again.inputs[0]: x})[again.outputs[0]]
        np.testing.assert_allclose(got, expected, rtol=0, atol=10.0**-decimals)


@pytest.fixture
def chain(tmp_path):
    graph = GRAPHS["batch_norm_chain"]()
    exporters.save(graph, tmp_path / "chain.pb")
    return graph, tmp_path / "chain.pb"


@pytest.mark.parametrize("suffix", [".pb", ".tflite"])
def test_all_that_is_safe_by_default(chain, tmp_path, capsys, suffix):
    graph, path = chain
    out = tmp_path / f"out{suffix}"
    assert optimize(path, out) == 0
    shown = capsys.readouterr().out
    assert "fold_old_batch_norms" in shown
    assert f"wrote {out}" in shown
    x = np.random.default_rng(0).normal(size=(1, 6, 6, 3)).astype(np.float32)
    assert_agree(graph, out, [x])


@pytest.mark.parametrize("suffix", [".onnx", ".qbm"])
def test_other_formats_are_written(chain, tmp_path, suffix):
    assert optimize(chain[1], tmp_path / f"out{suffix}") == 0
    assert (tmp_path / f"out{suffix}").stat().st_size > 500


def test_the_table_says_how_large_the_graph_is_after_each(chain, tmp_path, capsys):
    optimize(chain[1], tmp_path / "out.pb", "--transforms", "fold_constants fold_old_batch_norms")
    first, folded, merged = (line.split() for line in capsys.readouterr().out.splitlines()[2:5])
    assert (folded[0], merged[0]) == ("fold_constants", "fold_old_batch_norms")
    assert int(first[2]) > int(folded[1]) > int(merged[1]) == 4  # two convolutions, two Relu6
    macs = (6 * 6 * 4 * 9 * 3 + 6 * 6 * 4 * 9) / 1e6
    assert first[3] == folded[2] == merged[2] == f"{macs:.2f}"


def test_explain_names_the_nodes(chain, tmp_path, capsys):
    optimize(
        chain[1], tmp_path / "out.pb", "--transforms", "fold_constants fold_old_batch_norms", "--explain"
    )
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("fold_constants: removed Rsqrt rsqrt") for line in lines) == 2
    (changed,) = (line for line in lines if line.startswith("fold_old_batch_norms: changed Conv2D"))
    assert "new values in" in changed or "reads" in changed


def test_chosen_transforms_run_once_and_nothing_else(chain, tmp_path):
    assert optimize(chain[1], tmp_path / "out.pb", "--transforms", "remove_nodes(op=Relu6)") == 0
    ops = [node.op for node in definitions(tmp_path / "out.pb")]
    assert "Relu6" not in ops
    assert "Rsqrt" in ops


def test_what_the_format_lacks_is_said_in_its_own_ops(tmp_path):
    exporters.save(GRAPHS["matmuls"](), tmp_path / "in.pb")
    assert optimize(tmp_path / "in.pb", tmp_path / "out.qbm", "--transforms", "fold_constants") == 0


def test_a_shape_for_an_input_that_has_none(tmp_path):
    b = GraphDefBuilder()
    b.placeholder("x", None)
    b.node("Relu", "y", "x")
    b.save(tmp_path / "in.pb")
    text = 'strip_unused_nodes(type=float, shape="1,4")'
    assert optimize(tmp_path / "in.pb", tmp_path / "out.pb", "--transforms", text) == 0
    assert importers.load(tmp_path / "out.pb").tensors["x"].shape == (1, 4)


def test_training_nodes_go_with_what_feeds_them(tmp_path):
    b = GraphDefBuilder()
    b.placeholder("x", (1, 4))
    b.placeholder("keep", ())
    for op, name, *inputs in (
        ("Shape", "shape", "x"),
        ("RandomUniform", "random", "shape"),
        ("Add", "noise", "random", "keep"),
        ("Floor", "mask", "noise"),
        ("RealDiv", "scaled", "x", "keep"),
        ("Mul", "dropout", "scaled", "mask"),
        ("Assert", "assert", "dropout"),
        ("CheckNumerics", "checked", "dropout", "^assert"),
        ("Softmax", "y", "checked"),
        ("MergeSummary", "summary", "y"),
        ("ReluGrad", "gradient", "y", "x"),
        ("QueueDequeueV2", "queue"),
    ):
        b.node(op, name, *inputs)
    b.save(tmp_path / "in.pb")
    assert optimize(tmp_path / "in.pb", tmp_path / "out.pb", "--outputs", "y") == 0
    assert [(node.op, node.name) for node in definitions(tmp_path / "out.pb")] == [
        ("Placeholder", "x"),
        ("Softmax", "y"),
    ]


def test_devices_reach_the_file_and_come_back(chain, tmp_path):
    out = tmp_path / "out.pb"
    optimize(chain[1], out, "--transforms", 'set_device(device="/cpu:0")')
    assert {node.device for node in definitions(out) if node.op == "Relu6"} == {"/cpu:0"}
    optimize(out, tmp_path / "again.pb", "--transforms", 'set_device(device="/gpu:0", if_default=true)')
    assert {node.device for node in definitions(tmp_path / "again.pb") if node.op == "Relu6"} == {"/cpu:0"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["out.xyz"], "cannot write"),
        (["out.pb", "--transforms", "fold_constant"], "did you mean fold_constants"),
        (["out.pb", "--transforms", "fold_constants("], "line 1, column 16"),
        (["out.pb", "--outputs", "nowhere"], "nowhere"),
        (["missing/out.pb"], "cannot write"),
    ],
)
def test_bad_usage_is_one_line_and_leaves_no_file(chain, tmp_path, capsys, arguments, message):
    assert optimize(chain[1], tmp_path / arguments[0], *arguments[1:]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["chain.pb"]


def test_an_op_that_nothing_runs_is_refused_by_name_unless_it_is_cut_off(tmp_path, capsys):
    b = GraphDefBuilder()
    b.placeholder("x", (1, 4))
    b.node("Conv3D", "odd", "x")
    b.node("Relu", "y", "x")
    b.save(tmp_path / "in.pb")
    assert optimize(tmp_path / "in.pb", tmp_path / "out.qbm") == 2
    error = capsys.readouterr().err
    assert "op 'Conv3D' (node 'odd') is not supported: the nearest is Conv2D" in error
    assert "--outputs" in error
    assert optimize(tmp_path / "in.pb", tmp_path / "out.qbm", "--outputs", "y") == 0


def test_ranges_are_observed_on_samples_for_the_stages(tmp_path):
    exporters.save(small_network(), tmp_path / "in.tflite")
    with (tmp_path / "labels.csv").open("w", newline="") as listing:
        rows = csv.writer(listing)
        rows.writerow(["file", "label"])
        for i in range(4):
            values = np.random.default_rng(i).normal(size=(9, 9, 3)).astype(np.float32)
            np.save(tmp_path / f"{i}.npy", values)
            rows.writerow([f"{i}.npy", i])
    options = [
        "--transforms",
        "quantize_nodes(stage=3)",
        "--dataset",
        tmp_path,
        "--preprocess",
        "dtype=float32",
    ]
    assert optimize(tmp_path / "in.tflite", tmp_path / "out.tflite", *options) == 0
    graph = importers.load(tmp_path / "out.tflite")
    assert {graph.tensors[node.outputs[0]].dtype for node in graph.nodes} == {np.dtype(np.int8)}


# --- the networks that people know ---


def test_the_codelabs_graph_ends_no_larger_than_the_codelabs_own(lab, tmp_path, capsys):
    before, theirs, ours = (
        lab / "models/retrained_graph.pb",
        lab / "models/optimized_graph.pb",
        tmp_path / "ours.pb",
    )
    assert optimize(before, ours, "--inputs", "input", "--outputs", "final_result") == 0
    assert len(definitions(ours)) <= len(definitions(theirs))
    assert ours.stat().st_size <= theirs.stat().st_size
    graph = infer_shapes(importers.load(before, ["input"], ["final_result"]))
    preprocess = load("mobilenet_v1_0.25_128").preprocess
    images = open_dataset(str(lab / "imagenet_sample"), preprocess, graph.tensors["input"].shape, 20)
    assert_agree(graph, ours, (images.reals(i) for i in range(len(images))))


def test_the_transforms_of_the_graph_transform_tool_on_mobilenet(lab, tmp_path):
    path, out = lab / "models/mobilenet_v1_0.25_128_frozen.pb", tmp_path / "out.pb"
    ends = ["--inputs", "input", "--outputs", "MobilenetV1/Predictions/Reshape_1"]
    assert optimize(path, out, *ends, "--transforms", ROW_2.replace("299", "128")) == 0
    assert out.stat().st_size < path.stat().st_size / 3.5


ITSELF_MEASURED = """
import sys, time
from pathlib import Path
from harness.cli import main
status = main(sys.argv[1:])
peak = next(line for line in Path("/proc/self/status").open() if line.startswith("VmHWM"))
print(time.process_time(), int(peak.split()[1]) * 1024)
sys.exit(status)
"""


def seconds_and_peak(*arguments):
    """Seconds of processor time and peak bytes of a bench process. Only it can tell its peak: to others a
    child's begins with its parent's size."""
    command = [sys.executable, "-c", ITSELF_MEASURED, *map(str, arguments)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    seconds, peak = printed.split()
    return float(seconds), int(peak)


def test_inception_v3_in_ten_seconds_and_a_gigabyte(tmp_path):
    path = tmp_path / "inception_v3.pb"
    exporters.save(load("inception_v3").seeded(None), path)
    ends = ["--inputs", "input", "--outputs", "probabilities"]
    for out, limit, options in (
        ("int8.pb", 24_000_000, ["--transforms", ROW_2]),
        ("float.pb", path.stat().st_size, []),
    ):
        seconds, peak = seconds_and_peak("optimize", path, tmp_path / out, *ends, *options)
        assert (tmp_path / out).stat().st_size <= limit
        assert seconds <= 10
        assert peak <= 2**30
