"""What each command does, from its parsed arguments to what it prints."""

from __future__ import annotations

import shutil
import sys
import tempfile
from argparse import Namespace
from contextlib import closing
from pathlib import Path

import numpy as np
from tabulate import tabulate

import devices
import models
from harness import build, pipeline, runner_output
from harness import predict as prediction
from harness.deploy import deploy
from harness.errors import UsageError
from harness.files import replacing
from harness.pack import write
from harness.prepare import variant_graph
from harness.progress import ProgressLine
from harness.report.table import render
from harness.results import FAILED, VALID, Variant
from harness.runner_events import NodeTime
from harness.sources import Source, open_source
from harness.text import clean
from harness.trial import LENGTHS, profile_trial

WIDEST_NAME = 40


def run(arguments: Namespace) -> int:
    """`bench run`: 3 where a cell failed, 1 where one is invalid, else 0."""
    request = pipeline.Request(
        devices=arguments.device,
        models=arguments.model,
        variants=arguments.variants,
        weights=arguments.weights,
        preprocess=arguments.preprocess,
        dataset=arguments.dataset,
        samples=arguments.samples,
        settings=LENGTHS[arguments.trial],
        store=arguments.store,
    )
    with ProgressLine(arguments.quiet) as progress:
        outcome = pipeline.run(request, progress, progress.note)
    text = render(
        outcome.cells, outcome.record, arguments.format, shutil.get_terminal_size((110, 40)).columns
    )
    _deliver(text, arguments.out)
    for note in outcome.notes:
        print(note, file=sys.stderr)
    verdicts = {cell.verdict for cell in outcome.cells}
    if FAILED in verdicts:
        return 3
    return 0 if verdicts == {VALID} else 1


def _deliver(text: str, out: str | None) -> None:
    if out is None:
        print(text)
    else:
        _write_whole(Path(out), f"{text}\n".encode())


def _write_whole(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all; UsageError where it cannot be written."""
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def _source_as(arguments: Namespace, work: Path, progress: ProgressLine) -> Source:
    """The model of the arguments, turned into their variant if they name one."""
    source = open_source(arguments.model, arguments.weights, arguments.preprocess)
    if arguments.variant is None:
        return source
    graph = variant_graph(source, arguments.variant, arguments.dataset, work, progress)
    return Source(source.name, graph)


def predict(arguments: Namespace) -> int:
    """`bench predict`."""
    with ProgressLine(arguments.quiet) as progress, tempfile.TemporaryDirectory() as folder:
        graph = _source_as(arguments, Path(folder), progress).graph
        inputs = prediction.read_inputs(Path(arguments.input), graph)
        with closing(devices.open_device(arguments.device)) as device:
            outputs = prediction.predict(device, graph, inputs, Path(folder), progress)
    _write_whole(Path(arguments.output), prediction.npy_bytes(outputs))
    return 0


def profile(arguments: Namespace) -> int:
    """`bench profile`: a line for every layer."""
    with ProgressLine(arguments.quiet) as progress, tempfile.TemporaryDirectory() as folder:
        source = _source_as(arguments, Path(folder), progress)
        model = Path(folder) / "profile.qbm"
        write(source.graph, model)
        with closing(devices.open_device(arguments.device)) as device:
            runner = build.runner(device.info().arch, progress)
            there = deploy(device, runner, [model])
            progress("profiling")
            variant = Variant(arguments.variant or "", "", there.files[model], "", model.stat().st_size)
            nodes = profile_trial(device, there.runner, variant, arguments.runs)
            emulated = device.info().emulated
    print(_profile_table(nodes))
    if emulated:
        print("\nemulated: the times are the emulator's, not a board's")
    return 0


def _profile_table(nodes: list[NodeTime]) -> str:
    medians = [float(np.median(node.ns)) for node in nodes]
    total = sum(medians) or 1.0
    rows = [
        [
            clean(node.name, WIDEST_NAME),
            node.op,
            node.arithmetic,
            clean(node.kernel, WIDEST_NAME),
            node.macs / 1e6,
            ns / 1e3,
            100 * ns / total,
            node.macs / ns if ns else 0.0,
        ]
        for node, ns in zip(nodes, medians, strict=True)
    ]
    rows.append(["total", "", "", "", sum(node.macs for node in nodes) / 1e6, total / 1e3, 100.0, None])
    headers = ["layer", "op", "arithmetic", "kernel", "MMAC", "µs", "share %", "MAC/ns"]
    return tabulate(rows, headers, floatfmt=("", "", "", "", ".3f", ".1f", ".1f", ".2f"), missingval="")


def devices_list(_arguments: Namespace) -> int:
    """`bench devices list`."""
    entries = devices.registry()
    rows = [
        [name, *(entry.settings.get(key, "") for key in ("transport", "arch", "cpu"))]
        for name, entry in sorted(entries.items())
    ]
    print(tabulate(rows, ["device", "transport", "arch", "cpu"]))
    print(f"\nyour own devices: {devices.user_file()}")
    return 0


def devices_info(arguments: Namespace) -> int:
    """`bench devices info`: what the device says of itself, and what the runner finds there."""
    with ProgressLine() as progress, closing(devices.open_device(arguments.name)) as device:
        info = device.info()
        there = deploy(device, build.runner(info.arch, progress))
        nonce = runner_output.new_nonce()
        found = runner_output.read_info(device.run([there.runner, "info", "--nonce", nonce], 60), nonce)
    rows = {
        "device": info.name,
        "transport": info.transport,
        "arch": info.arch,
        "cpu": info.cpu,
        "emulated": "yes" if info.emulated else "no",
        "cores": found.cores,
        "page size": found.page_size,
        "CPU features": ", ".join(found.features),
        "kernels": ", ".join(found.isas),
    }
    print(
        tabulate([[key, clean(str(value))] for key, value in (rows | info.facts).items()], tablefmt="plain")
    )
    return 0


def models_list(_arguments: Namespace) -> int:
    """`bench models list`."""
    recipes = [models.load(name) for name in models.names()]
    rows = [
        [
            recipe.name,
            recipe.description,
            "included" if recipe.build else "--weights FILE",
            recipe.dataset or "--dataset",
        ]
        for recipe in recipes
    ]
    print(tabulate(rows, ["model", "what it is", "weights", "data set"]))
    return 0


def models_show(arguments: Namespace) -> int:
    """`bench models show`."""
    recipe = models.load(arguments.name)
    rows = {
        "model": recipe.name,
        "what it is": recipe.description,
        "input": recipe.input_shape,
        "classes": len(recipe.labels) or "",
        "weights": "included" if recipe.build else f"--weights FILE: {recipe.weights_help}",
        "data set": recipe.dataset or "none: give --dataset",
        "preprocessing": recipe.preprocess,
        "licence": recipe.licence,
    }
    rows |= {f"published {key}": value for key, value in recipe.published.items()}
    print(tabulate([[key, str(value)] for key, value in rows.items() if value != ""], tablefmt="plain"))
    return 0
