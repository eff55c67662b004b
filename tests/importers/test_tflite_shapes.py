"""What a .tflite computes of its own shapes, and what it leaves open."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import FormatError
from harness.importers import load
from harness.ops import infer_shapes, run_reference
from tests.conformance.model_file import ModelFile

F32, S32 = np.dtype(np.float32), np.dtype(np.int32)


def loaded(file: ModelFile, inputs: list[int], outputs: list[int], folder, **versions: int):
    path = folder / "m.tflite"
    path.write_bytes(file.content(inputs, outputs, versions))
    return infer_shapes(load(path))


def const(file: ModelFile, values) -> int:
    return file.tensor(f"c{len(file.tensors)}", np.shape(values), S32, np.array(values, np.int32))


def test_a_flatten_that_asks_for_the_batch_becomes_one_reshape(tmp_path):
    """As Keras writes it: (batch, −1), the batch taken from the shape."""
    file = ModelFile()
    x = file.tensor("x", (1, 2, 3), F32, signature=(-1, 2, 3))
    shape, batch, target = (file.tensor(name, (), S32) for name in ("shape", "batch", "target"))
    y = file.tensor("y", (1, 6), F32)
    file.operator("SHAPE", [x], [shape], "ShapeOptions", {"OutType": 2})
    bounds = [const(file, [n]) for n in (0, 1, 1)]
    file.operator("STRIDED_SLICE", [shape, *bounds], [batch], "StridedSliceOptions", {"ShrinkAxisMask": 1})
    file.operator("PACK", [batch, const(file, -1)], [target], "PackOptions", {"ValuesCount": 2, "Axis": 0})
    file.operator("RESHAPE", [x, target], [y], None, {})
    graph = loaded(file, [x], [y], tmp_path)
    assert [node.op for node in graph.nodes] == ["Reshape"]
    assert graph.tensors["y"].shape == (1, 6)
    values = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    np.testing.assert_array_equal(run_reference(graph, {"x": values})["y"], values.reshape(1, 6))


def test_counted_numbers_are_a_constant(tmp_path):
    file = ModelFile()
    y = file.tensor("y", (), S32)
    file.operator("RANGE", [const(file, n) for n in (7, -2, -3)], [y], "RangeOptions", {})
    graph = loaded(file, [], [y], tmp_path)
    assert graph.nodes == []
    np.testing.assert_array_equal(graph.const("y"), [7, 4, 1])


def test_an_input_of_open_size_is_refused(tmp_path):
    file = ModelFile()
    x, y = file.tensor("x", (1, 1, 1, 3), F32, signature=(-1, -1, -1, 3)), file.tensor("y", (1, 1, 1, 3), F32)
    file.operator("RELU", [x], [y], None, {})
    with pytest.raises(FormatError, match=r"shape \(\?, \?, \?, 3\) of its input 'x' open: convert"):
        loaded(file, [x], [y], tmp_path)


def test_a_size_that_only_running_tells_is_refused(tmp_path):
    file = ModelFile()
    x, size = file.tensor("x", (1, 4, 4, 3), F32), file.tensor("size", (2,), S32)
    y = file.tensor("y", (1, 8, 8, 3), F32)
    file.operator("RESIZE_BILINEAR", [x, size], [y], "ResizeBilinearOptions", {})
    with pytest.raises(FormatError, match=r"node 'y' .*the size 'size' must be a constant"):
        loaded(file, [x, size], [y], tmp_path)


@pytest.mark.parametrize(
    ("op", "kind", "arguments", "options", "message"),
    [
        ("SLICE", "SliceOptions", ([0, 5], [1, 1]), {}, "1 values from 5 by 1 are not in an axis of 3"),
        ("SLICE", "SliceOptions", ([0], [1]), {}, "begins at .0. with size .1. in the shape"),
        (
            "STRIDED_SLICE",
            "StridedSliceOptions",
            ([0, 0, 0], [1, 2, 3], [1, 1, 1]),
            {"EllipsisMask": 1},
            "an ellipsis that stands for no axis",
        ),
        ("STRIDED_SLICE", "StridedSliceOptions", ([0], [2], [0]), {}, "is not supported"),
        ("SPLIT_V", "SplitVOptions", ([1, 1], 0), {}, "splits 2 values into 1 parts"),
        ("REVERSE_V2", "ReverseV2Options", ([2],), {}, "has axis 2 of 2"),
        ("BROADCAST_TO", "BroadcastToOptions", ([4, 3],), {}, "cannot broadcast"),
        ("EXPAND_DIMS", "ExpandDimsOptions", (3,), {}, "has axis 3 of 3"),
        ("SQUEEZE", "SqueezeOptions", (), {"SqueezeDims": [1]}, "not all of length 1"),
        ("UNPACK", "UnpackOptions", (), {"Axis": 1, "Num": 1}, "unpacks 3 values into 1"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_by_name(op, kind, arguments, options, message, tmp_path):
    file = ModelFile()
    x, y = file.tensor("x", (2, 3), F32), file.tensor("y", (2, 3), F32)
    file.operator(op, [x, *(const(file, values) for values in arguments)], [y], kind, options)
    with pytest.raises(FormatError, match=message) as caught:
        loaded(file, [x], [y], tmp_path)
    assert "'y" in str(caught.value)


@pytest.mark.parametrize("op", ["TILE", "BROADCAST_TO"])
def test_an_output_beyond_all_memory_is_refused(op, tmp_path):
    file = ModelFile()
    x, y = file.tensor("x", (1, 1), F32), file.tensor("y", (1, 1), F32)
    file.operator(op, [x, const(file, [2**31 - 1] * 2)], [y], None, {})
    with pytest.raises(FormatError, match="node 'y' .*more values than a tensor may have"):
        loaded(file, [x], [y], tmp_path)
