"""set_device: nodes say on which device TensorFlow should place them.

    Before                                   After

    x ── Conv2D ── y                         x ── Conv2D(device: /device:CPU:0) ── y

Condition: with `if_default`, only nodes that name no device yet. The attribute is written into a GraphDef
and means nothing to the runtime, whose device is the one it runs on.
"""

from __future__ import annotations

from harness.graph import Graph


def run(graph: Graph, device: str = "", if_default: bool = False) -> Graph:
    """device: TensorFlow's notation; "" takes the name away."""
    graph = graph.clone()
    for node in graph.nodes:
        if if_default and node.attrs.get("device"):
            continue
        node.attrs.pop("device", None)
        if device:
            node.attrs["device"] = device
    return graph
