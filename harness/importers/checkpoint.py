"""TensorFlow 1 checkpoint with its graph → Graph: the variables become constants.

PREFIX.meta                   the graph, a MetaGraphDef; a GraphDef (.pb) does as well
PREFIX.index, PREFIX.data-…   the values
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import UsageError
from harness.graph import Graph
from harness.importers.freezing import freeze
from harness.importers.graphdef import import_message, parse
from harness.importers.tensor_bundle import Bundle


def load(
    path: Path, inputs: Sequence[str] = (), outputs: Sequence[str] = (), checkpoint: Path | None = None
) -> Graph:
    """Reads a .meta file, or a .pb, with the checkpoint of this prefix (of a .meta file: its own).

    A graph that was saved for training has more ends than the network's, so `outputs` has to be given. Raises
    what `harness.importers.load` does.
    """
    if not outputs:
        raise UsageError(f"'{path}' was saved with its training: name the network's outputs (--outputs)")
    message = parse(path, "MetaGraphDef").graph_def if path.suffix == ".meta" else parse(path, "GraphDef")
    bundle = Bundle(checkpoint or path.with_suffix(""))
    frozen = freeze(message, bundle, {name: name for name in outputs})
    return import_message(frozen, path, path.stat().st_size + bundle.size, inputs, outputs)
