import pickle

import pytest

from harness import graph_file
from harness.artifacts import fingerprint
from harness.errors import FormatError
from harness.quantize import int8
from harness.quantize.calibrate import Range
from tests.support.graphs import small_network


@pytest.mark.parametrize("quantized", [False, True])
def test_a_graph_comes_back_as_it_was(tmp_path, quantized):
    graph = small_network()
    if quantized:
        graph = int8.quantize(graph, {name: Range(-3.0, 3.0) for name in graph.tensors})
    graph_file.write(graph, tmp_path / "graph")
    again = graph_file.read(tmp_path / "graph")
    assert fingerprint(again) == fingerprint(graph)
    again.verify()


class Hostile:
    def __reduce__(self):
        return print, ("run",)


def test_a_file_that_asks_for_more_is_refused(tmp_path, capsys):
    (tmp_path / "graph").write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(FormatError, match="asks for builtins.print"):
        graph_file.read(tmp_path / "graph")
    assert capsys.readouterr().out == ""
