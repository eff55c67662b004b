"""the int8 form of a model, made after training; which layers lose most by it"""

from __future__ import annotations

import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import devices
from harness import exporters, ptq
from harness.commands._options import add_model, add_ptq, add_quiet, add_wait, positive
from harness.errors import UsageError
from harness.layer_costs import Meter
from harness.passes import dequantize_weights
from harness.prepare import open_calibration
from harness.progress import ProgressLine
from harness.quantize import sensitivity
from harness.quantize.cost import Costs
from harness.quantize.draft import Draft
from harness.quantize.sensitivity import Loss, Outcome
from harness.report.sensitivity import FORMATS, Ranked, render
from harness.sources import open_source


def add(parser: ArgumentParser) -> None:
    add_model(parser, trained=False)
    add_ptq(parser)
    parser.add_argument("--out", metavar="FILE", help="write it: .tflite, .onnx or .qbm")
    parser.add_argument(
        "--explain",
        action="store_true",
        help="rank the layers by the error that each adds when it alone is int8; what keeping the worst "
        "in float brings",
    )
    parser.add_argument(
        "--device",
        metavar="D",
        help="that the model is for: mixed(slower=…) and --explain measure there what layers cost",
    )
    add_wait(parser)
    parser.add_argument(
        "--samples",
        type=positive,
        default=sensitivity.SAMPLES,
        metavar="N",
        help="of the calibration samples, to measure errors on (default: %(default)s)",
    )
    parser.add_argument(
        "--format", choices=FORMATS, default="table", help="of --explain (default: %(default)s)"
    )
    add_quiet(parser)


def run(arguments: Namespace) -> int:
    steps = ptq.DEFAULT if arguments.ptq is None else arguments.ptq
    calls = ptq.parse(steps)
    if arguments.format == "json" and not arguments.explain:
        raise UsageError("--format json goes with --explain")
    if arguments.out is not None:
        exporters.check_suffix(arguments.out)
    source = open_source(arguments.model, arguments.weights, arguments.preprocess)
    if source.quantized:
        raise UsageError(f"model '{source.name}' is quantized already; give the float model")
    with (
        ProgressLine(arguments.quiet) as progress,
        tempfile.TemporaryDirectory() as work,
        _meter(arguments.device, arguments.wait) as meter,
    ):
        learned = open_calibration(
            source, arguments.dataset, Path(work), progress, arguments.calibration, meter
        )
        draft = ptq.draft(dequantize_weights.run(source.graph), learned, calls)
        exact, found = sensitivity.whole(draft, arguments.samples)
        layers = _layers(draft, arguments, progress) if arguments.explain else []
        written = exporters.save(draft.quantized(), arguments.out) if arguments.out is not None else 0
    if arguments.explain:
        print(render(layers, exact, arguments.format))
    told = sys.stderr if arguments.format == "json" else sys.stdout
    print(_summary(steps, exact, found), file=told)
    if arguments.out is not None:
        print(f"wrote {arguments.out}: {written / 1e6:.2f} MB", file=told)
    return 0


@contextmanager
def _meter(device: str | None, wait_s: float) -> Iterator[Meter | None]:
    """Of a device by name; None without one."""
    if device is None:
        yield None
        return
    with closing(devices.open_device(device)) as opened:
        yield Meter(opened, wait_s)


def _layers(draft: Draft, arguments: Namespace, progress: ProgressLine) -> list[Ranked]:
    """Every layer, the worst first."""
    costs = Costs(draft) if arguments.device is not None else None
    samples = arguments.samples
    alone = sorted(
        sensitivity.measure(draft, samples, partial(progress, "measuring layers in int8")),
        key=lambda layer: (layer.output_db, layer.node),
    )
    kept = [frozenset(layer.node for layer in alone[: k + 1]) for k in range(len(alone))]
    outcomes = sensitivity.keeping(draft, kept, samples, partial(progress, "measuring layers kept in float"))
    return [
        Ranked(layer, outcome, costs and costs.slower(nodes))
        for layer, outcome, nodes in zip(alone, outcomes, kept, strict=True)
    ]


def _summary(steps: str, exact: Loss | None, found: Outcome) -> str:
    """One line on the whole network."""
    text = f"steps: {steps}\noutput: {found.output_db:.1f} dB above the error of quantization"
    if exact is None or found.loss is None:
        return text
    return (
        f"{text}; top-1 {exact.top1:.3f} → {found.loss.top1:.3f}, "
        f"cross-entropy {exact.cross_entropy:.4f} → {found.loss.cross_entropy:.4f} on calibration samples"
    )
