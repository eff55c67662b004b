"""What the recipes of MLPerf Tiny's four benchmarks share.

C. Banbury et al., "MLPerf Tiny Benchmark", NeurIPS 2021 Datasets and Benchmarks. Published parameters and
operations are those of the benchmark's own float files, whose batch norms are folded.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.graph import Graph
from models import Download, Preprocess, Recipe
from models.architectures.seeded import seeded

SOURCE = "https://github.com/mlcommons/tiny/tree/master/benchmark"
TRAINED = "https://github.com/mlcommons/tiny/raw/master/benchmark/training"


def tiny_recipe(
    name: str,
    file: str,
    network: Callable[..., Graph],
    input_shape: tuple[int, ...],
    preprocess: Preprocess,
    published: dict[str, object],
    **fields: object,
) -> Recipe:
    """file: of the float network, below TRAINED. network(weights, input_shape=…) builds it."""
    return Recipe(
        name=name,
        preprocess=preprocess,
        fetched=Download(f"{TRAINED}/{file}"),
        seeded=seeded(network, input_shape, preprocess),
        weights_help=f"MLPerf Tiny's {file.rpartition('/')[2]}",
        input_shape=input_shape,
        licence="Apache-2.0 (MLCommons)",
        published=published | {"source": SOURCE},
        **fields,
    )
