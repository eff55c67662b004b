import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.graph_pb2 import GraphDef

from harness.errors import FormatError
from harness.graph import Graph, Node, Quantization, Tensor
from harness.view import picture, tensorboard
from harness.view.layout import places
from tests.support.float_networks import NETWORKS
from tests.support.graphs import Builder, small_network


def diamond():
    """conv → relu and sigmoid → add, with a factor computed from constants."""
    b = Builder("diamond")
    x = b.node("Relu", b.input((1, 2, 2, 3)), name="top")
    left, right = b.node("Relu", x, name="left"), b.node("Relu6", x, name="right")
    factor = b.node("Rsqrt", b.const(np.ones(3)), name="factor")
    y = b.node("Mul", b.node("Add", left, right, name="join"), factor, name="scaled")
    return b.build(y)


def test_rows_follow_the_longest_path_and_constants_stand_beside_their_reader():
    found = {name: (place.row, place.position) for name, place in places(diamond()).items()}
    assert found == {
        "top": (0, 0),
        "left": (1, 0),
        "right": (1, 1),
        "join": (2, 0),
        "factor": (2, 1),
        "scaled": (3, 0),
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_every_node_has_a_place_of_its_own_below_what_it_reads(name):
    graph = NETWORKS[name]()
    found, producers = places(graph), graph.producers()
    assert len(set(found.values())) == len(found) == len(graph.nodes)
    for node in graph.nodes:
        for read in node.inputs:
            if read in producers:
                assert found[producers[read].name].row < found[node.name].row


def test_picture_of_two_graphs(tmp_path):
    path = tmp_path / "graphs.png"
    graphs = [("before\n7 nodes", small_network()), ("after", diamond())]
    size = picture.draw(graphs, path)
    image = Image.open(path)
    assert image.size == size
    colours = {colour for _, colour in image.getcolors(1 << 20)}
    assert {(0x3B, 0x6F, 0xB6), (0x3F, 0x8F, 0x5B), (0xB0, 0x41, 0x3E)} <= colours  # convolution, pool, relu


def test_labels_say_what_a_node_does():
    graph = small_network()
    labels = [picture.label(graph, node) for node in graph.nodes]
    assert labels[0] == "Conv2D 3x3 /2 relu6 - 5x5x8"
    assert labels[3] == "AveragePool2D 5x5 - 1x1x12"
    out = graph.nodes[0].outputs[0]
    graph.tensors[out] = Tensor(out, (1, 5, 5, 8), np.dtype(np.int8), None, Quantization(0.1, 0))
    assert picture.label(graph, graph.nodes[0]).endswith(" int8")


def long_chain(length):
    graph = Graph("chain", inputs=["t0"], outputs=[f"t{length}"])
    graph.tensors = {f"t{i}": Tensor(f"t{i}", (1, 4), np.dtype(np.float32)) for i in range(length + 1)}
    graph.nodes = [Node("Relu", f"n{i}", [f"t{i}"], [f"t{i + 1}"]) for i in range(length)]
    return graph


def test_a_long_graph_goes_on_in_further_columns(tmp_path):
    width, height = picture.draw([("long", long_chain(600))], tmp_path / "long.png")
    assert max(width, height) <= picture.LARGEST
    assert width > 400


def test_a_graph_that_would_be_unreadable_is_refused(tmp_path):
    with pytest.raises(FormatError, match="20000 nodes is too large"):
        picture.draw([("huge", long_chain(20_000))], tmp_path / "huge.png")


def test_tensorboard_reads_the_run(tmp_path):
    graph = NETWORKS["pools"]()
    tensorboard.write_runs([small_network(), small_network()], tmp_path)
    tensorboard.write_runs([graph], tmp_path)  # takes their place
    assert not list((tmp_path / "after").iterdir())
    (file,) = (tmp_path / "before").iterdir()
    (content,) = [event.graph_def for event in EventFileLoader(str(file)).Load() if event.graph_def]
    message = GraphDef.FromString(content)
    assert {node.name for node in graph.nodes} <= {node.name for node in message.node}
    known = {node.name for node in message.node}
    assert all(read.partition(":")[0] in known for node in message.node for read in node.input)
    (pool,) = [node for node in message.node if node.op == "AveragePool2D"]
    assert [d.size for d in pool.attr["_output_shapes"].list.shape[0].dim] == [1, 5, 5, 3]
    assert pool.attr["padding"].s == b"SAME"
