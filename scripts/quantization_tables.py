"""Writes the tables of docs/quantization.md.

    python scripts/quantization_tables.py --part ptq --lab FOLDER
    python scripts/quantization_tables.py --part mixed --lab FOLDER

--lab: a folder with the float networks and samples that the page names. Prints Markdown. Everything is
computed by the C runtime on this machine; calibration takes 100 samples that are not among those evaluated,
but where a table says otherwise.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tabulate import tabulate

import devices
from harness import ptq
from harness.calibration import Calibration
from harness.datasets import Dataset
from harness.graph import Graph
from harness.layer_costs import Meter
from harness.passes import dequantize_weights
from harness.predict import predict_all
from harness.prepare import open_calibration, open_dataset
from harness.quantize.pairs import pairs, scale_reader, scale_writer
from harness.quantize.sensitivity import loss, sqnr
from harness.sources import open_source
from harness.stats import wilson_interval

SPREAD = 64.0  # channels are multiplied by up to this, and by as little as 1 / this
STEPS = (
    "one_scale",
    "observe(method=min_max)",
    "observe(method=mse)",
    "correct_bias",
    ptq.DEFAULT,
    f"equalize {ptq.DEFAULT}",
    "observe(method=mse) round correct_bias",
    "equalize observe(method=mse) round correct_bias",
    "observe(method=mse) correct_bias(method=empirical)",
    "one_scale equalize observe(method=mse) round correct_bias",
)
HARD = (
    "observe(method=min_max)",
    ptq.DEFAULT,
    f"equalize {ptq.DEFAULT}",
    "equalize observe(method=mse) round correct_bias",
    "one_scale",
    "one_scale equalize observe(method=mse) round correct_bias",
    "one_scale equalize observe(method=mse) round correct_bias mixed(keep=4)",
)
EMULATED = "qemu-a76"  # its instructions are the latency of the tables on mixed precision
PER_TENSOR = "one_scale equalize observe(method=mse) round correct_bias"
BUDGETS = (0.1, 0.25)
WAIT_S = 600.0  # for somebody else who counts there


@dataclass(frozen=True)
class Network:
    """A float graph, what it is calibrated on, and what it is scored on: reals (n, …) and classes (n,)."""

    graph: Graph
    calibration: Calibration
    evaluated: Dataset
    reals: np.ndarray
    held_out: np.ndarray  # of the evaluated: whether calibration does not know it
    work: Path

    def scores(self, graph: Graph) -> np.ndarray:
        """float32 (n, classes)."""
        tensor = graph.tensors[graph.inputs[0]]
        stored = self.reals if tensor.quant is None else tensor.quant.quantize(self.reals, tensor.dtype)
        (output,) = predict_all(devices.open_device("local"), graph, stored, self.work, _silent)
        quant = graph.tensors[graph.outputs[0]].quant
        return (output if quant is None else quant.dequantize(output)).reshape(len(output), -1)


def _silent(what: str, done: int = 0, total: int = 0) -> None:
    pass


def network(
    model: str, weights: Path | None, data: Path | None, work: Path, meter: Meter | None = None
) -> Network:
    source = open_source(model, str(weights) if weights else None)
    folder = str(data) if data else None
    work = work / model
    work.mkdir()
    calibration = open_calibration(source, folder, work, _silent, meter=meter)
    evaluated = open_dataset(source, folder, None, calibration_folder=folder)  # of a folder, all of it
    known = {sample.path for sample in calibration.samples.samples}
    return Network(
        dequantize_weights.run(source.trial_graph),
        calibration,
        evaluated,
        np.concatenate([evaluated.reals(i) for i in range(len(evaluated))]),
        np.array([sample.path not in known for sample in evaluated.samples]),
        work,
    )


def table(found: Network, all_steps: tuple[str, ...], exact: np.ndarray) -> str:
    """The float network and what each text of steps makes of it. exact: the float network's scores."""
    rows = [_row("(float)", exact, exact, found)]
    for steps in all_steps:
        quantized = ptq.quantize(found.graph, found.calibration, steps)
        shown = f"`{steps}`" + (" (the default)" if steps == ptq.DEFAULT else "")
        rows.append(_row(shown, found.scores(quantized), exact, found))
    return _shown(rows, _headers(found))


def _headers(found: Network) -> list[str]:
    """Of `_row`."""
    count, held = len(found.held_out), int(found.held_out.sum())
    headers = ["steps", f"top-1 of the {held} held out", "95 % interval", "cross-entropy", "same top-1", "dB"]
    if count != held:
        headers.insert(1, f"top-1 of all {count}")
    return headers


def _shown(rows: list[list[str]], headers: list[str]) -> str:
    align = ["left"] + ["right"] * (len(headers) - 1)
    return tabulate(rows, headers, tablefmt="pipe", disable_numparse=True, colalign=align)


def _row(shown: str, scores: np.ndarray, exact: np.ndarray, found: Network) -> list[str]:
    labels, held = found.evaluated.labels, found.held_out
    right = scores.argmax(1) == labels
    low, high = wilson_interval(int(right[held].sum()), int(held.sum()))
    same = float((scores.argmax(1) == exact.argmax(1))[held].mean())
    decibels = sqnr(exact[held], scores[held])
    row = [
        shown,
        f"{right[held].mean():.4f}",
        f"{low:.3f} to {high:.3f}",
        f"{loss(scores[held], labels[held]).cross_entropy:.4f}",
        f"{same:.4f}",
        f"{decibels:.1f}" if np.isfinite(decibels) else "",
    ]
    if not held.all():
        row.insert(1, f"{right.mean():.4f}")
    return row


def rescaled(found: Network, seed: int = 0) -> Graph:
    """The same function with channels of very unequal range: channel c of a layer is multiplied by s_c,
    log-uniform from 1/SPREAD to SPREAD, and divided again by its readers.

    Behind a Relu6, where no factor is exact beyond 6, only as far as the samples stay below it.
    """
    graph, rng = found.graph.clone(), np.random.default_rng(seed)
    between = pairs(graph)
    seen = found.calibration.channels(graph, [pair.tensor for pair in between])
    for pair in between:
        largest = seen[pair.tensor].magnitude * 1.2
        factors = SPREAD ** rng.uniform(-1, 1, len(largest))
        if np.isfinite(pair.limit):
            room = pair.limit / np.maximum(largest, 1e-6)
            factors = np.where(room > 1, np.minimum(factors, room), 1.0)
        scale_writer(graph, pair.writer, factors)
        for reader in pair.readers:
            scale_reader(graph, reader, 1 / factors)
    return graph


def post_training(lab: Path, work: Path) -> None:
    """Every table of the page's part on post-training quantization."""
    for model, weights, data in (
        ("mobilenet_v1_0.25_128", lab / "models/mobilenet_v1_0.25_128_frozen.pb", lab / "imagenet_sample"),
        ("solar_cells", None, None),
        ("kws", lab / "models/kws_ref_model_float32.tflite", lab / "kws01"),
    ):
        found = network(model, weights, data, work)
        exact = found.scores(found.graph)
        print(f"`{model}`:\n\n{table(found, STEPS, exact)}\n", flush=True)
        if model == "solar_cells":
            hard = replace(found, graph=rescaled(found))
            print(f"`{model}`, rescaled:\n\n{table(hard, HARD, hard.scores(hard.graph))}\n", flush=True)


def budget_table(found: Network) -> str:
    """One scale for each tensor, with layers kept in float within budgets of latency."""
    exact, rows, whole = found.scores(found.graph), [], 0.0
    for mixed in ("", *(f" mixed(slower={budget:g})" for budget in BUDGETS)):
        draft = ptq.draft(found.graph, found.calibration, ptq.parse(PER_TENSOR + mixed))
        quantized = draft.quantized()
        cost = sum(found.calibration.costs(quantized).values())
        whole = whole or cost
        row = _row(f"`…{mixed}`" if mixed else f"`{PER_TENSOR}`", found.scores(quantized), exact, found)
        kept = str(len(draft.choices.kept))
        rows.append([*row, kept, f"{cost / 1e6:.2f}", f"{cost / whole:.2f}"])
    cost = sum(found.calibration.costs(found.graph).values())
    rows.append([*_row("(float)", exact, exact, found), "all", f"{cost / 1e6:.2f}", f"{cost / whole:.2f}"])
    return _shown(rows, [*_headers(found), "layers in float", "M instructions", "× int8"])


def mixed_precision(lab: Path, work: Path) -> None:
    """The tables of the page's part on layers that stay float."""
    with closing(devices.open_device(EMULATED)) as device:
        weights, images = lab / "models/mobilenet_v1_0.25_128_frozen.pb", lab / "imagenet_sample"
        found = network("mobilenet_v1_0.25_128", weights, images, work, Meter(device, WAIT_S))
        print(f"`mobilenet_v1_0.25_128`:\n\n{budget_table(found)}\n", flush=True)
        found = network("solar_cells", None, None, work, Meter(device, WAIT_S))
        hard = replace(found, graph=rescaled(found))
        print(f"`solar_cells`, rescaled:\n\n{budget_table(hard)}\n", flush=True)


PARTS = {"ptq": post_training, "mixed": mixed_precision}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", choices=PARTS, required=True)
    parser.add_argument("--lab", type=Path, required=True, metavar="FOLDER")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        PARTS[arguments.part](arguments.lab, Path(work))


if __name__ == "__main__":
    main()
