"""Writes exported_graphdefs.npz: what real TensorFlow makes of the .pb files that we export.

    python -m tests.golden.make_exported_goldens

Needs `tensorflow-cpu`, which the tests themselves do not. For every network of `exported_networks()`:
`<name>/sha256` of the file that TensorFlow ran, and its outputs `<name>/0`, `<name>/1`, … for `feeds(graph)`.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np

from harness.exporters import graphdef
from harness.graph import Graph
from harness.ops import infer_shapes
from harness.passes import fuse_convolutions
from tests.support import pass_graphs
from tests.support.float_networks import NETWORKS, feeds, with_int8_weights

GOLDEN = Path(__file__).parent / "exported_graphdefs.npz"


def exported_networks() -> dict[str, Graph]:
    """The networks whose files TensorFlow has run, by name."""
    networks = {name: make() for name, make in NETWORKS.items()}
    for name in ("small_network", "convolutions"):
        networks[f"{name}-int8"] = with_int8_weights(networks[name], per_channel=False)
        networks[f"{name}-int8-channels"] = with_int8_weights(networks[name], per_channel=True)
    resized = pass_graphs.resized()
    return networks | {"resized": resized, "resized-fused": infer_shapes(fuse_convolutions.run(resized))}


def run_tensorflow(content: bytes, graph: Graph) -> list[np.ndarray]:
    """TensorFlow's outputs of an exported file for `feeds(graph)`."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported
    import tensorflow as tf

    definition = tf.compat.v1.GraphDef.FromString(content)
    with tf.Graph().as_default() as imported, tf.compat.v1.Session() as session:
        tf.import_graph_def(definition, name="")
        names = [name.replace(":", "_") if not name.endswith(":0") else name[:-2] for name in graph.outputs]
        fetched = [imported.get_tensor_by_name(f"{name}:0") for name in names]
        return session.run(fetched, {f"{name}:0": value for name, value in feeds(graph).items()})


def main() -> None:
    arrays = {}
    for name, graph in exported_networks().items():
        content = graphdef.write(graph)
        arrays[f"{name}/sha256"] = np.array(hashlib.sha256(content).hexdigest())
        for index, output in enumerate(run_tensorflow(content, graph)):
            arrays[f"{name}/{index}"] = output
        print(name)
    np.savez_compressed(GOLDEN, **arrays)


if __name__ == "__main__":
    main()
