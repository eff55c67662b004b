"""What the passes share: an editor that keeps a graph consistent while nodes disappear."""

from __future__ import annotations

import numpy as np

from harness.graph import OPTIONAL, Graph, Node, Tensor


class Editor:
    """Changes a clone of a graph. Nodes taken out stay listed until `finish`, so loops over them hold."""

    def __init__(self, graph: Graph):
        self.graph = graph.clone()
        self._readers = self.graph.consumers()
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

    def finish(self) -> Graph:
        """The changed graph, without what nothing needs any more."""
        self.graph.nodes = [node for node in self.graph.nodes if id(node) not in self._removed]
        self.graph.drop_unused_tensors()
        return self.graph
