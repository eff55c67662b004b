"""Imports go down only, and never in a circle. The order of the layers is written down here alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("harness", "devices", "models", "runtime")

# From the bottom up. A name stands for a module or a whole package; the longest that fits decides.
# Modules of one row may import each other.
LAYERS = [
    ["harness", "harness.errors", "harness.files", "harness.text", "runtime"],
    ["harness.cache", "harness.formats", "harness.progress"],
    ["harness.compiler"],
    ["devices"],
    ["harness.graph", "harness.graph_file"],
    ["harness.ops"],
    ["models"],
    ["harness.download", "harness.unpack"],
    ["harness.fetch"],
    ["harness.importers", "harness.passes", "harness.quantize"],
    ["harness.changes", "harness.transforms", "harness.ptq"],
    ["harness.planner", "harness.node_fields", "harness.pack"],
    ["harness.exporters"],
    ["harness.samples", "harness.sample_folder", "harness.imagenet", "harness.datasets", "models.training"],
    ["harness.random_samples"],
    ["harness.artifacts", "harness.build", "harness.environment", "harness.checkup"],
    ["harness.deploy"],
    [
        "harness.stats",
        "harness.comparison",
        "harness.results",
        "harness.runner_events",
        "harness.runner_output",
    ],
    ["harness.lease", "harness.parallel"],
    [
        "harness.trial",
        "harness.measure",
        "harness.predict",
        "harness.layer_costs",
        "harness.observing",
        "harness.calibration",
        "harness.roofline",
        "harness.train",
    ],
    [
        "harness.schema",
        "harness.database",
        "harness.rows",
        "harness.records",
        "harness.spool",
        "harness.store",
        "harness.archive",
        "harness.release_label",
        "harness.resume",
    ],
    ["harness.ota"],
    ["harness.columns"],
    ["harness.advise"],
    ["harness.releases"],
    ["harness.history", "harness.likeness"],
    ["harness.regression"],
    ["harness.report"],
    [
        "harness.sources",
        "harness.variants",
        "harness.prepare",
        "harness.host",
        "harness.verify",
        "harness.view",
        "harness.pipeline",
        "harness.reuse",
    ],
    ["harness.remeasure", "harness.estimate"],
    ["harness.commands"],
    ["harness.cli"],
]
ROWS = {name: row for row, names in enumerate(LAYERS) for name in names}

Imports = dict[str, set[str]]


def read_modules(root: Path) -> dict[str, ast.Module]:
    modules = {}
    for path in sorted(p for package in PACKAGES for p in (root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        modules[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return modules


def imported_names(tree: ast.Module, module: str) -> Iterator[str]:
    """Full names of everything that is imported, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: write imports in full, not relative"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def import_graph(modules: dict[str, ast.Module]) -> Imports:
    """Each module's imports among `modules`: the longest prefix of an imported name that is one of them."""
    graph: Imports = {name: set() for name in modules}
    for name, tree in modules.items():
        for imported in imported_names(tree, name):
            while imported and imported not in modules:
                imported = imported.rpartition(".")[0]
            if imported and imported != name:
                graph[name].add(imported)
    return graph


def row(module: str) -> int:
    name = module
    while name not in ROWS and "." in name:
        name = name.rpartition(".")[0]
    # The bare package has a row for its own __init__ only: a new module must be given its place.
    if name not in ROWS or (name == "harness" and module != name):
        raise AssertionError(f"{module} has no layer yet: add it to LAYERS in {Path(__file__).name}")
    return ROWS[name]


def upward_imports(graph: Imports) -> list[str]:
    pairs = ((module, imported) for module, found in sorted(graph.items()) for imported in sorted(found))
    return [f"{module} imports {imported}" for module, imported in pairs if row(imported) > row(module)]


def cycle(graph: Imports) -> list[str]:
    """The modules of one import cycle, in order; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def parse(sources: dict[str, str]) -> Imports:
    return import_graph({name: ast.parse(text) for name, text in sources.items()})


def test_imports_go_down_only() -> None:
    assert upward_imports(import_graph(read_modules(ROOT))) == []


def test_no_import_cycles() -> None:
    assert cycle(import_graph(read_modules(ROOT))) == []


def test_every_layer_name_exists() -> None:
    assert set(ROWS) <= set(read_modules(ROOT)), "LAYERS names a module that is gone"


@pytest.mark.parametrize(
    "text",
    [
        "from harness.pack import x",
        "from harness import pack",
        "import harness.pack",
        "def f():\n import harness.pack",
    ],
)
def test_an_upward_import_is_found(text: str) -> None:
    graph = parse({"harness.graph": text, "harness.pack": "", "harness": ""})
    assert upward_imports(graph) == ["harness.graph imports harness.pack"]


def test_a_cycle_inside_a_row_is_found() -> None:
    texts = {"harness.planner": "import harness.pack", "harness.pack": "from harness.planner import plan"}
    assert set(cycle(parse(texts))) == {"harness.planner", "harness.pack"}
    assert cycle(parse(texts | {"harness.planner": ""})) == []


def test_a_new_module_must_be_given_its_layer() -> None:
    with pytest.raises(AssertionError, match="harness.novelty has no layer yet"):
        row("harness.novelty")
    assert row("devices.ssh") == row("devices")
