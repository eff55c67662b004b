import pytest

from harness.errors import FormatError
from harness.graph import Node, Tensor
from harness.passes import apply, freeze
from tests.support.graphs import F32, Builder


def with_variables(count):
    b = Builder()
    graph = b.build(b.node("Relu", b.input((1, 4))))
    for i in range(count):
        graph.tensors[f"v{i}"] = Tensor(f"v{i}", None, F32)
        graph.nodes.append(Node("VariableV2", f"v{i}", [], [f"v{i}"]))
    return graph


def test_variables_that_an_output_needs_are_named():
    graph = with_variables(12)
    graph.outputs += [f"v{i}" for i in range(12)]
    for run in (freeze.run, apply):
        with pytest.raises(FormatError, match=r"variables left: v0, v1, .*v9 and 2 more; freeze it"):
            run(graph)


def test_variables_that_no_output_needs_do_not_matter():
    assert freeze.run(with_variables(1)).nodes == with_variables(1).nodes
    assert [node.op for node in apply(with_variables(1)).nodes] == ["Relu"]
