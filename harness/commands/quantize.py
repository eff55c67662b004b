"""the int8 form of a model, made after training; which layers lose most by it"""

from __future__ import annotations

import sys
import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path

from harness import exporters, ptq
from harness.commands._options import add_model, add_ptq, add_quiet, positive
from harness.errors import UsageError
from harness.passes import dequantize_weights
from harness.prepare import open_calibration
from harness.progress import ProgressLine
from harness.quantize import sensitivity
from harness.quantize.draft import Draft
from harness.quantize.sensitivity import Loss
from harness.report.sensitivity import FORMATS, render
from harness.sources import open_source


def add(parser: ArgumentParser) -> None:
    add_model(parser, trained=False)
    add_ptq(parser)
    parser.add_argument("--out", metavar="FILE", help="write it: .tflite, .onnx or .qbm")
    parser.add_argument(
        "--explain",
        action="store_true",
        help="rank the layers by the error that each adds when it alone is int8",
    )
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
    with ProgressLine(arguments.quiet) as progress, tempfile.TemporaryDirectory() as work:
        learned = open_calibration(source, arguments.dataset, Path(work), progress, arguments.calibration)
        draft = ptq.draft(dequantize_weights.run(source.graph), learned, calls)
        exact, found, decibels = sensitivity.whole(draft, arguments.samples)
        layers = _layers(draft, arguments.samples, progress) if arguments.explain else []
        written = exporters.save(draft.quantized(), arguments.out) if arguments.out is not None else 0
    if arguments.explain:
        print(render(layers, exact, arguments.format))
    told = sys.stderr if arguments.format == "json" else sys.stdout
    print(_summary(steps, exact, found, decibels), file=told)
    if arguments.out is not None:
        print(f"wrote {arguments.out}: {written / 1e6:.2f} MB", file=told)
    return 0


def _layers(draft: Draft, samples: int, progress: ProgressLine) -> list[sensitivity.Sensitivity]:
    return list(
        sensitivity.measure(draft, samples, lambda done, total: progress("measuring layers", done, total))
    )


def _summary(steps: str, exact: Loss | None, found: Loss | None, decibels: float) -> str:
    """One line on the whole network."""
    text = f"steps: {steps}\noutput: {decibels:.1f} dB above the error of quantization"
    if exact is None or found is None:
        return text
    return (
        f"{text}; top-1 {exact.top1:.3f} → {found.top1:.3f}, "
        f"cross-entropy {exact.cross_entropy:.4f} → {found.cross_entropy:.4f} on calibration samples"
    )
