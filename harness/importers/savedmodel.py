"""SavedModel folder → Graph: functions are inlined and variables become constants.

    saved_model.pb       MetaGraphDefs: a graph with its signatures, and functions
    variables/variables  the checkpoint

The network is the signature serving_default, or the only one; its inputs and outputs go by the names that the
signature gives them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import FormatError, UsageError, unknown_name
from harness.graph import Graph
from harness.importers import SAVED_MODEL, read_bytes
from harness.importers.freezing import freeze
from harness.importers.graphdef import import_message, parse
from harness.importers.tensor_bundle import Bundle, fields

META_GRAPHS = 2  # field of SavedModel (tensorflow/core/protobuf/saved_model.proto)
SERVING, HIDDEN = "serving_default", "__saved_model_"


def load(path: Path, inputs: Sequence[str] = (), outputs: Sequence[str] = ()) -> Graph:
    """Reads a SavedModel; inputs, outputs: a choice of the signature's. Raises what `importers.load` does."""
    file = path / SAVED_MODEL
    meta_graph = _serving_graph(file)
    signature = _signature(meta_graph, path)
    starts = {key: info.name for key, info in sorted(signature.inputs.items())}
    ends = {key: info.name for key, info in sorted(signature.outputs.items())}
    for kind, names, known in (("input", inputs, starts), ("output", outputs, ends)):
        for name in names:
            if name not in known:
                raise unknown_name(f"{kind} of the signature", name, known)
    bundle = Bundle(path / "variables" / "variables")
    frozen = freeze(meta_graph.graph_def, bundle, {key: ends[key] for key in outputs or ends})
    _rename_inputs(frozen, {starts[key].partition(":")[0]: key for key in starts})
    left = [n.name for n in frozen.node if n.op == "Placeholder"]
    chosen = list(inputs) or [key for key in starts if key in left]
    graph = import_message(frozen, path, file.stat().st_size + bundle.size, chosen, list(outputs or ends))
    graph.name = path.name
    return graph


def _serving_graph(file: Path):
    """The MetaGraphDef with the tag "serve", or the only one."""
    try:
        messages = fields(read_bytes(file)).get(META_GRAPHS, [])
    except (ValueError, IndexError) as error:
        raise FormatError(f"'{file}' is not a SavedModel, or it is damaged: {error}") from error
    graphs = [parse(file, "MetaGraphDef", m) for m in messages if isinstance(m, bytes)]
    serving = [graph for graph in graphs if "serve" in graph.meta_info_def.tags] or graphs
    if len(serving) != 1:
        raise FormatError(f"'{file}' holds {len(serving)} graphs for serving, expected one")
    return serving[0]


def _signature(meta_graph, path: Path):
    signatures = {k: v for k, v in meta_graph.signature_def.items() if not k.startswith(HIDDEN)}
    name = SERVING if SERVING in signatures else next(iter(signatures), None)
    if name is None or (name != SERVING and len(signatures) > 1):
        found = ", ".join(sorted(signatures)) or "none"
        raise UsageError(f"'{path}' has no signature {SERVING} (it has: {found}); save the model with one")
    return signatures[name]


def _rename_inputs(frozen, names: dict[str, str]) -> None:
    """Gives placeholders the names of the signature, where no other node has them."""
    taken = {node.name for node in frozen.node}
    renamed = {old: new for old, new in names.items() if old in taken and new not in taken}
    for node in frozen.node:
        node.name = renamed.get(node.name, node.name)
        node.input[:] = [renamed.get(reference, reference) for reference in node.input]
