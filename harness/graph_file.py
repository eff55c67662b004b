"""A graph as a file of our own cache: a pickle, from which nothing but graphs and arrays is read."""

from __future__ import annotations

import pickle
from pathlib import Path

from harness.errors import FormatError
from harness.graph import Graph

READ = {
    "harness.graph": {"Graph", "Node", "Quantization", "Tensor"},
    "numpy": {"dtype", "ndarray"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.numeric": {"_frombuffer"},
}
"""Module → the names that a file may ask for; anything else could run code."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        if name not in READ.get(module, ()):
            raise FormatError(f"a graph's file asks for {module}.{name}")
        return super().find_class(module, name)


def write(graph: Graph, path: Path) -> None:
    """Writes the graph with its constants."""
    with path.open("wb") as stream:
        pickle.dump(graph, stream, protocol=5)


def read(path: Path) -> Graph:
    """The graph of a file that `write` made. Raises FormatError where it asks for more than a graph."""
    with path.open("rb") as stream:
        return _Unpickler(stream).load()
