"""The passes that only touch attributes and op names."""

from harness.passes import add_default_attributes, remove_attribute, rename_attribute, rename_op, set_device
from tests.support.graphs import Builder


def network():
    b = Builder()
    y = b.node("Softmax", b.input((1, 4)), beta=2.0, device="/gpu:0")
    return b.build(b.node("Relu", y))


def attrs(graph):
    return [node.attrs for node in graph.nodes]


def test_defaults_are_written_out_and_nothing_is_overwritten():
    b = Builder()
    graph = b.build(b.node("MaxPool2D", b.input((1, 4, 4, 1)), filter=(2, 2), stride=(2, 2)))
    assert attrs(add_default_attributes.run(graph)) == [
        {"stride": (2, 2), "dilation": (1, 1), "padding": "VALID", "activation": None, "filter": (2, 2)}
    ]


def test_removing_and_renaming():
    assert attrs(remove_attribute.run(network(), "beta")) == [{"device": "/gpu:0"}, {}]
    assert attrs(remove_attribute.run(network(), "beta", "Relu")) == attrs(network())
    renamed = rename_attribute.run(network(), "beta", "alpha", "Softmax")
    assert attrs(renamed) == [{"device": "/gpu:0", "alpha": 2.0}, {}]
    assert attrs(rename_attribute.run(network(), "beta", "alpha", "Relu")) == attrs(network())
    assert [n.op for n in rename_op.run(network(), "Relu", "Relu6").nodes] == ["Softmax", "Relu6"]


def test_devices():
    devices = [{"beta": 2.0, "device": "/cpu:0"}, {"device": "/cpu:0"}]
    assert attrs(set_device.run(network(), "/cpu:0")) == devices
    assert attrs(set_device.run(network(), "/cpu:0", if_default=True))[0]["device"] == "/gpu:0"
    assert attrs(set_device.run(network())) == [{"beta": 2.0}, {}]
