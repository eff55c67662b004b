"""measure models on devices and print the table (the default command)"""

from __future__ import annotations

import shutil
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

from harness import pipeline
from harness.commands._options import add_model, add_quiet, names, positive, write_whole
from harness.progress import ProgressLine
from harness.report.table import FORMATS, render
from harness.results import FAILED, VALID
from harness.store import DEFAULT_PATH
from harness.trial import LENGTHS, TrialSettings
from harness.variants import DEFAULT, VARIANTS


def add(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--device", required=True, type=names, metavar="D[,D…]", help="registered names (bench devices list)"
    )
    add_model(parser, several=True)
    parser.add_argument(
        "--variants",
        type=names,
        metavar="V[,V…]",
        help=f"of {', '.join(VARIANTS)} (default: {','.join(DEFAULT)})",
    )
    parser.add_argument(
        "--samples", type=positive, metavar="N", help="evaluate a stratified subset of N samples"
    )
    parser.add_argument(
        "--trial", choices=LENGTHS, default="default", help="how long to measure (default: %(default)s)"
    )
    parser.add_argument(
        "--quick", dest="trial", action="store_const", const="quick", help="same as --trial quick"
    )
    parser.add_argument(
        "--processes",
        type=positive,
        metavar="N",
        help="of each variant (default: 3); 20 for bench compare to tell a slowdown from noise",
    )
    parser.add_argument(
        "--format", choices=FORMATS, default="table", help="of the table (default: %(default)s)"
    )
    parser.add_argument("--out", metavar="FILE", help="write the table there instead of standard output")
    parser.add_argument(
        "--store",
        default=str(DEFAULT_PATH),
        metavar="URL",
        help="database for every sample (default: %(default)s)",
    )
    add_quiet(parser)


def _settings(trial: str, processes: int | None) -> TrialSettings:
    settings = LENGTHS[trial]
    return settings if processes is None else replace(settings, processes=processes)


def run(arguments: Namespace) -> int:
    """3 where a cell failed, 1 where one is invalid, else 0."""
    request = pipeline.Request(
        devices=arguments.device,
        models=arguments.model,
        variants=arguments.variants,
        weights=arguments.weights,
        preprocess=arguments.preprocess,
        dataset=arguments.dataset,
        samples=arguments.samples,
        settings=_settings(arguments.trial, arguments.processes),
        store=arguments.store,
    )
    with ProgressLine(arguments.quiet) as progress:
        outcome = pipeline.run(request, progress, progress.note)
    width = shutil.get_terminal_size((110, 40)).columns
    text = render(outcome.cells, outcome.record, arguments.format, width)
    if arguments.out is None:
        print(text)
    else:
        write_whole(Path(arguments.out), f"{text}\n".encode())
    for note in outcome.notes:
        print(note, file=sys.stderr)
    verdicts = {cell.verdict for cell in outcome.cells}
    if FAILED in verdicts:
        return 3
    return 0 if verdicts == {VALID} else 1
