"""What the passes share: an editor that keeps a graph consistent while nodes disappear."""

from __future__ import annotations

from dataclasses import replace
from typing import NewType

import numpy as np

from harness.graph import OPTIONAL, Graph, Node, Tensor
from harness.ops import infer_shapes

OpName = NewType("OpName", str)
"""An op in the parameters of a pass: the text of a transform may use TensorFlow's name for it."""


class Editor:
    """Changes a clone of a graph. Nodes taken out stay listed until `finish`, so loops over them hold."""

    def __init__(self, graph: Graph):
        self.graph = graph.clone()
        self._readers = self.graph.consumers()
        self._producers = self.graph.producers()
        self._removed: set[int] = set()

    def nodes(self):
        """Nodes in execution order, without those taken out meanwhile."""
        return (node for node in self.graph.execution_order() if id(node) not in self._removed)

    def is_float(self, *names: str) -> bool:
        """Whether these tensors hold plain float32 values; a fold would change what quantized ones mean."""
        tensors = [self.graph.tensors[name] for name in names if name != OPTIONAL]
        return all(t.dtype == np.float32 and t.quant is None for t in tensors)

    def only_reader(self, node: Node) -> Node | None:
        """The one node that reads this node's one output, where nothing else can see that value."""
        if len(node.outputs) != 1 or node.outputs[0] in self.graph.outputs:
            return None
        readers = [r for r in self._readers[node.outputs[0]] if id(r) not in self._removed]
        return readers[0] if len(readers) == 1 else None

    def absorb(self, node: Node, follower: Node) -> None:
        """Takes out `follower`, the only reader of `node`; `node` writes its output from now on."""
        node.outputs = list(follower.outputs)
        self._removed.add(id(follower))
        self._producers |= dict.fromkeys(node.outputs, node)

    def bypass(self, node: Node, index: int = 0) -> bool:
        """Takes out a node that hands input `index` on as its one output, and says whether it could.

        It stays between a graph output and a graph input, a constant or another graph output: there its
        output's name would be lost.
        """
        x, y = node.inputs[index], node.outputs[0]
        if y not in self.graph.outputs:
            self.redirect(self.readers(y), y, x)
            self.remove(node)
            return True
        producer = self.producer(x)
        if producer is None or x in self.graph.outputs:
            return False
        self.remove(node)
        self.redirect(self.readers(x), x, y)
        producer.outputs = [y if name == x else name for name in producer.outputs]
        self._producers[y] = producer
        self.graph.tensors[y] = replace(self.graph.tensors[x], name=y)
        return True

    def skip(self, node: Node, producer: Node) -> None:
        """`node` reads what `producer` reads first, and `producer` goes unless something else needs it."""
        self.redirect([node], producer.outputs[0], producer.inputs[0])
        if not self.readers(producer.outputs[0]) and producer.outputs[0] not in self.graph.outputs:
            self.remove(producer)

    def add(self, op: str, base: str, inputs: list[str], **attrs: object) -> str:
        """Adds a float node with one output and a free name derived from `base`; returns its output."""
        name = self.graph.unique_name(base)
        node = Node(op, name, list(inputs), [name], attrs)
        self.graph.nodes.append(node)
        self.graph.tensors[name] = Tensor(name, None, np.dtype(np.float32))
        self._producers[name] = node
        self._readers[name] = []
        for read in dict.fromkeys(inputs):
            self._readers.setdefault(read, []).append(node)
        infer_shapes(Graph(self.graph.name, self.graph.tensors, [node]), partial=True)
        return name

    def rewrite(self, node: Node, op: str, inputs: list[str], **attrs: object) -> None:
        """Makes `node` another operation under its own name and output."""
        for name in node.inputs:
            if name != OPTIONAL:
                self._readers[name] = [r for r in self._readers[name] if r is not node]
        node.op, node.inputs, node.attrs = op, list(inputs), attrs
        for name in dict.fromkeys(inputs):
            self._readers.setdefault(name, []).append(node)

    def redirect(self, nodes: list[Node], old: str, new: str) -> None:
        """These nodes read `new` instead of `old`."""
        self.graph.replace_uses(old, new, nodes)
        self._readers[old] = [r for r in self._readers[old] if r not in nodes]
        self._readers[new] = [*self._readers[new], *(r for r in nodes if r not in self._readers[new])]

    def remove(self, node: Node) -> None:
        self._removed.add(id(node))

    def readers(self, name: str) -> list[Node]:
        return [r for r in self._readers[name] if id(r) not in self._removed]

    def set_const(self, node: Node, index: int, values: np.ndarray, base: str) -> None:
        """Gives input `index` of a node these values: in place where no other node reads the constant, else
        as a new constant named after `base`."""
        old = node.inputs[index] if index < len(node.inputs) else OPTIONAL
        if old != OPTIONAL:
            alone = self.readers(old) == [node] and node.inputs.count(old) == 1
            if alone and old not in self.graph.outputs:
                self.graph.tensors[old] = Tensor(old, values.shape, values.dtype, values)
                return
            self._readers[old] = [r for r in self._readers[old] if r is not node]
        name = self.graph.add_const(base, values)
        node.inputs += [OPTIONAL] * (index + 1 - len(node.inputs))
        node.inputs[index] = name
        self._readers[name] = [node]

    def producer(self, name: str) -> Node | None:
        """The node that writes a tensor; None for a constant, a graph input or a node taken out."""
        node = self._producers.get(name)
        return None if node is None or id(node) in self._removed or name not in node.outputs else node

    def finish(self) -> Graph:
        """The changed graph, without what nothing needs any more."""
        self.graph.nodes = [node for node in self.graph.nodes if id(node) not in self._removed]
        self.graph.drop_unused_tensors()
        return self.graph
