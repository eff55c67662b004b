"""What the tests of convolutions and fully connected layers share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import runner
from tests.support.linear_graphs import linear_graph, random_inputs

# (architecture, ISA variant) of every set of micro-kernels; each must equal the reference loops of "scalar".
VARIANTS = (
    ("x86_64", "avx2"),
    ("x86_64", "avxvnni"),
    ("x86_64", "avx512"),
    ("x86_64", "avx512vnni"),
    ("aarch64", "neon"),
    ("aarch64", "dotprod"),
    ("aarch64", "i8mm"),
    ("armv7", "neon"),
)


def skip_unless_it_runs(arch: str, isa: str) -> None:
    """Skips where this machine's own processor lacks the variant; an emulated one has them all."""
    if arch == runner.HOST and isa not in runner.run("info").named("info")[0]["isas"]:
        pytest.skip(f"this processor has no {isa}")


def check_variant_equals_scalar(op: str, arithmetic: str, arch: str, isa: str, folder: Path) -> None:
    """The reference loops on this machine and a variant's micro-kernels give the same bytes."""
    skip_unless_it_runs(arch, isa)
    graph = linear_graph(op, arithmetic, 80 if arch == runner.HOST else 30, seed=21)
    inputs = random_inputs(graph, seed=22)
    expected = runner.predict(graph, inputs, folder, isa="scalar")
    actual = runner.predict(graph, inputs, folder, arch=arch, isa=isa)
    for node, ours, reference in zip(graph.nodes, actual, expected, strict=True):
        assert ours.tobytes() == reference.tobytes(), node
