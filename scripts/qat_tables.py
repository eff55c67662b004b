"""Writes the tables of docs/quantization.md on training: what it brings back, and what it makes smaller.

    python scripts/qat_tables.py solar
    python scripts/qat_tables.py hard
    python scripts/qat_tables.py smaller
    python scripts/qat_tables.py mobilenet --weights FROZEN.pb --dataset FOLDER --twin QUANT.tflite

Trains with `bench train`, measures with `bench run`, and prints Markdown; a few minutes for each network.
Top-1 is measured on this machine, with 95 % Wilson intervals; instructions on the emulated Cortex-A72, where
every sample takes as many. Needs the extras train, solar and graphdef.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tabulate import tabulate

from harness import exporters, transforms
from harness.cli import main
from harness.datasets import open_dataset, stratified
from harness.graph import Graph
from harness.prepare import open_calibration
from harness.quantize.pairs import pairs, scale_reader, scale_writer
from harness.sources import Source, open_source
from harness.stats import wilson_interval

HEADERS = ["network", "variant", "top-1", "95 %", "MB", "MB compressed", "M instructions"]
SOLAR = ["--model", "solar_cells"]
SMALLER = ("prune_weights(fraction=0.5)", "prune_channels(fraction=0.3)", "decompose(cost=0.5)")
RELU6 = 6.0
EQUALIZED = "equalize observe(method=mse) correct_bias"
SHORT = ["--epochs", "2"]
LONGER = ["--epochs", "8"]
TUNING = ["--labels", "--distill", "--rate", "1e-3", "--epochs", "12"]
ROOM = 1.2  # what training samples may exceed the calibration's largest value by


def bench(*argv: str) -> None:
    print("bench", *argv, file=sys.stderr)
    status = main(list(argv))
    if status:
        raise SystemExit(status)


def train(folder: Path, name: str, *options: str) -> str:
    """The file that `bench train` writes; kept, so that a second table need not train again."""
    out = folder / f"{name}.tflite"
    if not out.exists():
        bench("train", *options, "--out", str(out))
    return str(out)


def measure(folder: Path, shown: str, variants: str, *options: str) -> Iterator[list[str]]:
    """A row for each variant of one network."""
    common = ["run", *options, "--variants", variants, "--quick", "--wait", "10m", "--format", "json"]
    cells = {}
    for device, extra in (("local", ()), ("qemu", ("--samples", "10"))):
        out = folder / f"{device}.json"
        bench(*common, *extra, "--device", device, "--out", str(out), "--store", str(folder / "results.db"))
        cells[device] = {cell["variant"]: cell for cell in json.loads(out.read_text())["cells"]}
    for variant, cell in cells["local"].items():
        low, high = wilson_interval(round(cell["top1"] * cell["samples"]), cell["samples"])
        yield [
            shown,
            f"`{variant}`",
            f"{cell['top1']:.3f}",
            f"{low:.3f}–{high:.3f}",
            f"{cell['size_bytes'] / 1e6:.3f}",
            f"{cell['size_compressed_bytes'] / 1e6:.3f}",
            f"{cells['qemu'][variant]['instructions'] / 1e6:.2f}",
        ]


def solar(folder: Path, _: argparse.Namespace) -> Iterator[list[str]]:
    qat = train(folder, "solar", *SOLAR, *SHORT)
    yield from measure(folder, "solar_cells", "f32,int8,qat", *SOLAR, "--qat", qat)


def hard(folder: Path, _: argparse.Namespace) -> Iterator[list[str]]:
    """One scale for each weight tensor; and channels whose sizes were made unequal."""
    steps = "one_scale equalize observe(method=mse) round correct_bias"
    qat = train(folder, "per_tensor", *SOLAR, *LONGER, "--ptq", steps)
    yield from measure(folder, "one scale a tensor", "int8-per-tensor,qat", *SOLAR, "--qat", qat)
    source = open_source("solar_cells")
    path = folder / "rescaled.tflite"
    exporters.save(rescaled(source, folder), path)
    options = ["--model", str(path), "--dataset", "solar_cells"]
    options += ["--preprocess", "resize=128,grey,mean=127.5,std=127.5"]
    qat = train(folder, "rescaled_qat", *options, *SHORT, "--ptq", EQUALIZED)
    yield from measure(folder, "channels rescaled", "f32,int8,qat", *options, "--qat", qat)


def rescaled(source: Source, folder: Path) -> Graph:
    """The same float function, channels between layers times 2^−6 to 2^6 as far as Relu6 lets them grow."""
    graph, random = source.trial_graph.clone(), np.random.default_rng(0)
    calibration = open_calibration(source, None, folder, lambda *_: None)
    seen = calibration.channels(graph, [pair.tensor for pair in pairs(graph)])
    for pair in pairs(graph):
        largest = seen[pair.tensor].magnitude * ROOM
        factors = np.exp2(random.uniform(-6, 6, len(largest)))
        if pair.limit == RELU6:
            factors = np.where(largest >= RELU6, 1.0, np.minimum(factors, RELU6 / np.maximum(largest, 1e-9)))
        scale_writer(graph, pair.writer, factors)
        for reader in pair.readers:
            scale_reader(graph, reader, 1 / factors)
    return graph


def smaller(folder: Path, _: argparse.Namespace) -> Iterator[list[str]]:
    """Each network as it is cut, and after it was trained further."""
    options = ["--dataset", "solar_cells", "--preprocess", "resize=128,grey,mean=127.5,std=127.5"]
    yield from measure(folder, "solar_cells", "f32,int8", *SOLAR)
    for text in SMALLER:
        name = text.partition("(")[0]
        cut = folder / f"{name}_cut.tflite"
        exporters.save(transforms.apply(open_source("solar_cells").trial_graph, transforms.parse(text)), cut)
        yield from measure(folder, f"`{text}`", "f32", "--model", str(cut), *options)
        tuned = train(folder, name, *SOLAR, *TUNING, "--float", "--transforms", text)
        yield from measure(folder, f"`{text}`, trained", "f32,int8", "--model", tuned, *options)


def mobilenet(folder: Path, arguments: argparse.Namespace) -> Iterator[list[str]]:
    """Trained on one half of the images without their labels, scored on the other."""
    options = ["--model", "mobilenet_v1_0.25_128", "--weights", arguments.weights]
    learned, scored = halves(open_source(*options[1::2]), arguments.dataset, folder)
    qat = train(folder, "mobilenet", *options, "--calibration", learned, "--epochs", "8")
    options += ["--dataset", scored, "--calibration", learned]
    yield from measure(folder, "mobilenet_v1_0.25_128", "f32,int8,qat", *options, "--qat", qat)
    yield from measure(folder, "its published twin", "qat", *options, "--qat", arguments.twin)


def halves(source: Source, dataset: str, folder: Path) -> tuple[str, str]:
    """Two folders with a half each of a folder's images, the classes in equal shares."""
    samples = open_dataset(dataset, source.preprocess, source.input_shape).samples
    first = stratified(samples, len(samples) // 2, "calibration/0")
    for name, part in (("learned", first), ("scored", [s for s in samples if s not in set(first)])):
        (folder / name).mkdir(exist_ok=True)
        with (folder / name / "labels.csv").open("w", newline="") as table:
            rows = csv.writer(table)
            rows.writerow(["file", "label"])
            for sample in part:
                shutil.copyfile(sample.path, folder / name / sample.path.name)
                rows.writerow([sample.path.name, sample.label])
    return str(folder / "learned"), str(folder / "scored")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=TABLES)
    for name in ("--weights", "--dataset", "--twin"):
        parser.add_argument(name, help="of mobilenet")
    parser.add_argument("--keep", type=Path, help="folder for the trained networks")
    return parser.parse_args()


TABLES = {table.__name__: table for table in (solar, hard, smaller, mobilenet)}

if __name__ == "__main__":
    asked = parse()
    with tempfile.TemporaryDirectory() as temporary:
        work = asked.keep or Path(temporary)
        work.mkdir(exist_ok=True)
        rows = list(TABLES[asked.table](work, asked))
    print(tabulate(rows, HEADERS, tablefmt="pipe", disable_numparse=True))
