"""Damaged .tflite and .pb files end in one clear line, or in a network that runs: every cut, random changes.

`pytest -m slow tests/importers/test_damaged_files.py` tries 100,000 changes of each format.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness import passes
from harness.errors import FormatError
from harness.exporters import graphdef, tflite
from harness.graph import Graph
from harness.importers import load
from harness.ops import infer_shapes, run_reference
from harness.pack import pack
from harness.quantize import int8
from harness.quantize.calibrate import Range
from tests.conformance import cases  # noqa: F401 (registers the cases)
from tests.conformance.draw import CASES, Draw, Model
from tests.support.fuzz import damaged, limited
from tests.support.graphs import small_network

RUNNABLE = 1e6  # values of all tensors together, above which a network is not run
SECONDS = 20  # for one file
CHANGES = 100_000  # of a format's files together


def conformance_file(op: str, arithmetic: str) -> bytes:
    model = Model()
    case = CASES[op, arithmetic]
    case.function(Draw(model, case, 3))
    return model.content()


FILES = {
    "float.tflite": lambda: tflite.write(small_network()),
    "int8.tflite": lambda: tflite.write(int8.quantize(small_network(), ranges())),
    "uint8.tflite": lambda: conformance_file("DEPTHWISE_CONV_2D", "uint8"),
    "int16.tflite": lambda: conformance_file("CONV_2D", "int16"),
    "float.pb": lambda: graphdef.write(small_network()),
}


def ranges():
    return {name: Range(-3.0, 3.0) for name in small_network().tensors}


def outcome(path, content) -> str:
    """The refusal of a file; "" where the network runs, or is too large to be run here."""
    path.write_bytes(content)
    try:
        graph = infer_shapes(passes.apply(load(path)))
        if sum(math.prod(t.shape) for t in graph.tensors.values()) < RUNNABLE:
            pack(graph)
            with np.errstate(all="ignore"):
                run_reference(graph, inputs(graph))
    except FormatError as error:
        return str(error)
    return ""


def inputs(graph: Graph):
    return {name: np.ones(graph.tensors[name].shape, np.float32) for name in graph.inputs}


@pytest.mark.parametrize("name", FILES)
def test_the_file_itself_runs(name, tmp_path):
    assert outcome(tmp_path / name, FILES[name]()) == ""


@pytest.mark.parametrize("step", [29, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", FILES)
def test_no_cut_goes_unnoticed_or_breaks_the_importer(name, step, tmp_path):
    content = FILES[name]()
    with limited():
        for length in range(0, len(content), step):
            told = outcome(tmp_path / name, content[:length])
            assert "\n" not in told
            assert told or name.endswith(".pb"), length  # a GraphDef may end after any node


@pytest.mark.parametrize("share", [0.001, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", FILES)
def test_changed_files_are_refused_or_run(name, share, tmp_path):
    format_files = [other for other in FILES if other.endswith(name[-3:])]
    count = math.ceil(share * CHANGES / len(format_files))
    content, refused = FILES[name](), 0
    for copy in damaged(content, count, seed=count, window=3000):
        with limited(seconds=SECONDS):
            told = outcome(tmp_path / name, copy)
        assert "\n" not in told
        refused += bool(told)
    assert count // 5 < refused < count  # neither all refused nor nothing checked


def test_names_from_a_file_do_not_break_the_line():
    assert str(FormatError("node 'conv2\n\x1b[31m' is missing")) == r"node 'conv2\n\x1b[31m' is missing"
