"""compare two releases: what got slower, larger or less accurate (exit code 1 with --gate)"""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from contextlib import ExitStack
from pathlib import Path

from harness import regression, releases
from harness.commands._options import add_quiet, existing_store, names, write_whole
from harness.progress import ProgressLine
from harness.releases import Side
from harness.remeasure import remeasure
from harness.report.compare import FORMATS, render
from harness.store import DEFAULT_PATH, Store


def add(parser: ArgumentParser) -> None:
    side = "a release's name, a run's id, or a file of bench run --format json"
    parser.add_argument("base", metavar="BASE", help=side)
    parser.add_argument("new", metavar="NEW", help="the same; what is judged")
    parser.add_argument("--device", type=names, default=(), metavar="D[,D…]", help="only these")
    parser.add_argument("--model", type=names, default=(), metavar="M[,M…]", help="only these")
    parser.add_argument("--gate", action="store_true", help="exit with 1 on a confirmed regression")
    parser.add_argument(
        "--confirm", action="store_true", help="measure both again, in turn, where NEW looks slower"
    )
    parser.add_argument(
        "--threshold",
        type=_percent,
        default=regression.THRESHOLD,
        metavar="PERCENT",
        help="growth of instructions, sizes and memory that is let pass (default: 1)",
    )
    parser.add_argument("--format", choices=FORMATS, default="table", help="(default: %(default)s)")
    parser.add_argument("--out", metavar="FILE", help="write there instead of standard output")
    parser.add_argument(
        "--store",
        default=str(DEFAULT_PATH),
        metavar="URL",
        help="database of the releases (default: %(default)s)",
    )
    add_quiet(parser)


def _percent(text: str) -> float:
    try:
        share = float(text) / 100
    except ValueError:
        share = -1.0
    if not 0 <= share < 100:
        raise ArgumentTypeError(f"'{text}' is not a percentage")
    return share


def run(arguments: Namespace) -> int:
    """1 where the gate is closed, else 0."""
    with ExitStack() as stack:
        store = _open(arguments, stack)
        base, new = (_side(name, store, arguments) for name in (arguments.base, arguments.new))
        found = regression.compare(base, new, arguments.threshold)
        if arguments.confirm and found.suspects():
            with ProgressLine(arguments.quiet) as progress:
                remeasure(base, new, found.suspects(), store, progress, progress.note)
            base, new = (_side(name, store, arguments) for name in (arguments.base, arguments.new))
            found = regression.compare(base, new, arguments.threshold)
        text = render(found, arguments.format)
    if arguments.out is None:
        print(text)
    else:
        write_whole(Path(arguments.out), f"{text}\n".encode())
    return 1 if arguments.gate and found.regressions() else 0


def _open(arguments: Namespace, stack: ExitStack) -> Store | None:
    """The database, if a side is in it; one that is not there is not made."""
    if releases.is_file(arguments.base) and releases.is_file(arguments.new):
        return None
    return stack.enter_context(existing_store(arguments.store))


def _side(name: str, store: Store | None, arguments: Namespace) -> Side:
    return releases.read(name, store, arguments.device, arguments.model)
