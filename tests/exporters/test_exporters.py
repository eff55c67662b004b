import pytest

from harness import exporters, importers
from harness.errors import FormatError, UsageError
from harness.exporters import EXPORTERS, save
from harness.ops import infer_shapes, run_reference
from tests.support.float_networks import feeds
from tests.support.graphs import Builder, small_network


@pytest.mark.parametrize("suffix", EXPORTERS)
def test_the_suffix_names_the_format(suffix, tmp_path):
    if suffix == ".onnx":
        pytest.importorskip("onnx", reason="needs onnx")
    path = tmp_path / f"net{suffix}"
    assert save(small_network(), path) == path.stat().st_size > 1000
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", sorted(EXPORTERS.keys() & importers.IMPORTERS.keys()))
def test_what_we_write_we_read(suffix, tmp_path):
    graph = small_network()
    save(graph, tmp_path / f"net{suffix}")
    again = infer_shapes(importers.load(tmp_path / f"net{suffix}"))
    (wanted,), (got,) = (run_reference(g, feeds(g)).values() for g in (graph, again))
    assert abs(wanted - got).max() < 1e-6


def test_unknown_suffix():
    with pytest.raises(UsageError, match=r"net\.h5.*\.onnx, \.pb, \.qbm, \.tflite"):
        exporters.check_suffix("net.h5")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match="missing"):
        save(small_network(), tmp_path / "missing" / "net.pb")


def test_nothing_is_left_where_the_format_has_no_form(tmp_path):
    b = Builder()
    graph = b.build(b.node("Erf", b.input((2,))))
    with pytest.raises(FormatError):
        save(graph, tmp_path / "net.tflite")
    assert not list(tmp_path.iterdir())
