import zlib

import numpy as np
import pytest

from harness.errors import FormatError
from harness.formats import constants, records
from harness.pack import SECTIONS, arithmetic, pack, write
from harness.quantize import hybrid
from tests.support.graphs import Builder, small_network


def parse(data):
    header = np.frombuffer(data, records()["model_header"], 1)[0]
    sections = dict(zip(SECTIONS, header["sections"], strict=True))

    def table(name, dtype):
        return np.frombuffer(data, dtype, int(sections[name]["count"]), int(sections[name]["offset"]))

    return header, table


def test_header_describes_the_file():
    data = pack(small_network())
    header, _ = parse(data)
    assert bytes(header["magic"]) == b"QBMODEL\n"
    assert header["file_size"] == len(data)
    tables, payload = int(header["header_size"]), int(header["sections"][-1]["offset"])
    assert header["tables_crc32"] == zlib.crc32(data[tables:payload])
    assert header["data_crc32"] == zlib.crc32(data[payload:])
    blank = header.copy()
    blank["header_crc32"] = 0
    assert header["header_crc32"] == zlib.crc32(blank.tobytes())


def test_sections_are_aligned_and_in_order():
    header, _ = parse(pack(small_network()))
    offsets = header["sections"]["offset"].tolist()
    assert offsets == sorted(offsets)
    assert all(offset % constants()["ALIGNMENT"] == 0 for offset in offsets)


def test_tensors_nodes_and_constants_can_be_read_back():
    graph = small_network()
    data = pack(graph)
    header, table = parse(data)
    tensors, nodes = table("tensors", records()["tensor_record"]), table("nodes", records()["node_record"])
    strings, links = table("strings", np.uint8).tobytes(), table("links", "<u4")
    names = [strings[t["name"] :].split(b"\0")[0].decode() for t in tensors]
    assert [strings[n["name"] :].split(b"\0")[0].decode() for n in nodes] == [n.name for n in graph.nodes]
    assert names[links[header["inputs_first"]]] == "x"
    assert names[links[header["outputs_first"]]] == graph.outputs[0]
    first = int(header["sections"][SECTIONS.index("data")]["offset"])
    for record, name in zip(tensors, names, strict=True):
        assert tuple(record["dims"][: record["rank"]]) == graph.tensors[name].shape
        if record["kind"] == constants()["CONSTANT"]:
            start = first + int(record["offset"])
            assert data[start : start + int(record["size"])] == graph.const(name).tobytes()


def test_padding_is_resolved():
    _, table = parse(pack(small_network()))
    conv = table("nodes", records()["node_record"])[0]
    assert [int(conv[f]) for f in ("pad_top", "pad_bottom", "pad_left", "pad_right")] == [1, 1, 1, 1]
    assert [int(conv[f]) for f in ("stride_h", "filter_h", "activation")] == [2, 3, constants()["ACT_RELU6"]]


def test_file_is_canonical():
    graph = small_network()
    shuffled = graph.clone()
    shuffled.tensors = dict(reversed(shuffled.tensors.items()))
    assert pack(graph) == pack(shuffled)


def test_arithmetic_follows_the_dtypes():
    graph = small_network()
    assert {arithmetic(graph, node) for node in graph.nodes} == {"f32"}
    mixed = hybrid.quantize(graph)
    assert [arithmetic(mixed, n) for n in mixed.nodes if n.op == "Conv2D"] == ["hybrid", "hybrid"]


def test_op_without_kernel_is_named():
    b = Builder()
    graph = b.build(b.node("Erf", b.input((2,)), name="culprit"))
    with pytest.raises(FormatError, match=r"op 'Erf' \(node 'culprit'\) is not one of the runtime's"):
        pack(graph)


def test_dtype_that_cannot_be_stored_is_named():
    b = Builder()
    graph = b.build(b.node("Relu", b.input((2,)), name="r"))
    graph.tensors["x"].dtype = np.dtype(np.float64)
    with pytest.raises(FormatError, match="tensor 'x' is float64"):
        pack(graph)


def test_write_leaves_nothing_behind_when_it_fails(tmp_path):
    write(small_network(), tmp_path / "m.qbm")
    assert (tmp_path / "m.qbm").read_bytes() == pack(small_network())
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write(small_network(), tmp_path / "taken")
    assert {p.name for p in tmp_path.iterdir()} == {"m.qbm", "taken"}
