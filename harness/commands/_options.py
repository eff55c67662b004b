"""Options, and ways to read and write files, that commands share."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path

from harness import ptq, release_label
from harness.errors import UsageError
from harness.files import replacing
from harness.pipeline import Request
from harness.prepare import variant_graph
from harness.progress import ProgressLine
from harness.quantize import steps
from harness.sources import FETCHED, PREPROCESS_HELP, SEEDED, Source, open_source
from harness.store import DEFAULT_PATH, Store
from harness.trial import LENGTHS, TrialSettings
from harness.variants import VARIANTS

WIDEST_NAME = 40  # of a layer or kernel in a table


def names(text: str) -> tuple[str, ...]:
    """`a,b` as ("a", "b"), each once."""
    found = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not found:
        raise argparse.ArgumentTypeError("give at least one name")
    return found


def action(actions, name: str, about: str) -> argparse.ArgumentParser:
    """The parser of one of a command's actions, which says in its help what the command's help says of it."""
    return actions.add_parser(name, help=about, description=about)


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number above 0")
    return int(text)


def seconds(text: str) -> float:
    """A time such as 90s, 10m or 2h, in seconds; a bare number is seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"'{text}' is not a time: write 90s, 10m or 2h")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


def add_model(parser: argparse.ArgumentParser, *, several: bool = False, trained: bool = True) -> None:
    """The options that say which model, and the samples for it.

    trained: --qat among them.
    """
    parser.add_argument(
        "--model",
        required=True,
        type=names if several else str,
        metavar="M[,M…]" if several else "M",
        help="a recipe's name (bench models list), a .pb, .tflite or .onnx file, or a SavedModel's folder",
    )
    add_weights(parser)
    if trained:
        parser.add_argument(
            "--qat", metavar="FILE", help="the same network trained with quantization (.tflite, .onnx)"
        )
    parser.add_argument(
        "--preprocess", metavar="TEXT", help=f"how images become inputs of a bare file: {PREPROCESS_HELP}"
    )
    parser.add_argument(
        "--dataset",
        metavar="NAME|DIR",
        help="folder with labels.csv or one folder per class; a recipe may have one",
    )
    parser.add_argument(
        "--calibration",
        metavar="DIR",
        help="images to calibrate, or train, on (default: a part of the data set)",
    )


def add_weights(parser: argparse.ArgumentParser) -> None:
    """--weights, for commands that take a recipe's name."""
    parser.add_argument(
        "--weights",
        metavar="W",
        help=f"of a recipe: a file (.pb, .tflite, .onnx); {FETCHED}: as published; {SEEDED}: random, for "
        f"latency and size alone (default: what comes with it, else {FETCHED})",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """--device with one name."""
    parser.add_argument("--device", required=True, metavar="D", help="a registered name (bench devices list)")


def add_variant(parser: argparse.ArgumentParser) -> None:
    """--variant, for commands that look at one."""
    parser.add_argument("--variant", choices=VARIANTS, help="make this variant first; else the file as it is")


def add_trial(parser: argparse.ArgumentParser) -> None:
    """The options of a trial: how much is measured, under which label, and how long one may wait for it."""
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
        help="time each variant in N processes (default: 3); 20 for bench compare",
    )
    parser.add_argument(
        "--release",
        metavar="NAME",
        help="what bench compare and history call this run (default: the git tag or commit of this folder)",
    )
    add_wait(parser)


def add_wait(parser: argparse.ArgumentParser) -> None:
    """--wait, for commands that measure on a device."""
    parser.add_argument(
        "--wait",
        type=seconds,
        default=0.0,
        metavar="TIME",
        help="wait so long for a device that somebody else uses: 90s, 10m, 2h (default: not at all)",
    )


def request(
    arguments: argparse.Namespace, devices: tuple[str, ...], models: tuple[str, ...], *, resume: bool = False
) -> Request:
    """What the options of `add_model`, `add_ptq`, `add_trial`, `add_store` and --variants ask for."""
    named = arguments.release
    return Request(
        devices=devices,
        models=models,
        variants=arguments.variants,
        weights=arguments.weights,
        preprocess=arguments.preprocess,
        qat=arguments.qat,
        dataset=arguments.dataset,
        calibration=arguments.calibration,
        ptq=arguments.ptq,
        samples=arguments.samples,
        settings=_settings(arguments),
        store=arguments.store,
        release=release_label.of_folder(Path.cwd()) if named is None else release_label.checked(named),
        wait_s=arguments.wait,
        resume=resume,
    )


def _settings(arguments: argparse.Namespace) -> TrialSettings:
    """What --trial and --processes say."""
    length = LENGTHS[arguments.trial]
    return length if arguments.processes is None else replace(length, processes=arguments.processes)


def add_ptq(parser: argparse.ArgumentParser, what: str = "how int8 is made after training") -> None:
    """--ptq: what it decides."""
    parser.add_argument(
        "--ptq",
        metavar="STEPS",
        help=f"{what} (default: '{ptq.DEFAULT}'); steps are {', '.join(steps.NAMES)}",
    )


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """--quiet."""
    parser.add_argument("--quiet", action="store_true", help="no progress")


def add_store(parser: argparse.ArgumentParser) -> None:
    """--store, for commands that make the database where there is none."""
    parser.add_argument(
        "--store",
        default=str(DEFAULT_PATH),
        metavar="URL",
        help="results database: a file, or postgresql://… (default: %(default)s)",
    )


def source_as(arguments: argparse.Namespace, work: Path, progress: ProgressLine) -> Source:
    """The model of the arguments, turned into their variant if they name one."""
    source = open_source(arguments.model, arguments.weights, arguments.preprocess, arguments.qat, progress)
    if arguments.variant is None:
        return source
    graph = variant_graph(source, arguments.variant, arguments.dataset, work, progress, arguments.calibration)
    return Source(source.name, graph)


def existing_store(where: str) -> Store:
    """A results database for reading. Raises UsageError where there is none."""
    if not store_exists(where):
        raise UsageError(
            f"there is no results database '{where}': measure first (bench run), or give --store"
        )
    return Store.open(where)


def store_exists(where: str) -> bool:
    """Whether there is a file to open; of a server it is assumed."""
    return "://" in where or Path(where).exists()


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all; UsageError where it cannot be written."""
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
