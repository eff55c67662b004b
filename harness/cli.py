"""The command line. Every expected failure ends as one line on standard error and an exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from harness import __version__, commands
from harness.errors import BenchError
from harness.report.table import FORMATS
from harness.sources import PREPROCESS_HELP
from harness.text import clean
from harness.trial import LENGTHS
from harness.variants import VARIANTS

DESCRIPTION = """\
Benchmarks float, hybrid and int8 forms of a neural network on small ARM machines: optimizes and quantizes it
here, runs it on the device with a portable C runtime, and prints top-1, latency and size of every variant.
"""
EXAMPLES = f"""\
examples:
  bench --device qemu --model solar_cells
  bench --device qemu --model mobilenet_v1_0.25_128 --weights frozen.pb --dataset images/ --variants f32,int8
  bench --device local --model net.tflite --dataset images/ --preprocess {PREPROCESS_HELP}

exit codes: 0 done, 1 a number that cannot be trusted, 2 bad usage or input, 3 device failure
"""


class _Parser(argparse.ArgumentParser):
    """Usage errors in one line."""

    def error(self, message: str) -> None:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _names(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise argparse.ArgumentTypeError("give at least one name")
    return names


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number above 0")
    return int(text)


def _add_model(parser: argparse.ArgumentParser, *, several: bool) -> None:
    """The options that say which model, in which form."""
    what = "a recipe's name (bench models list) or a .pb or .tflite file"
    if several:
        parser.add_argument("--model", required=True, type=_names, metavar="M[,M…]", help=what)
    else:
        parser.add_argument("--model", required=True, metavar="M", help=what)
    parser.add_argument("--weights", metavar="FILE", help="a recipe's float network (.pb, .tflite)")
    parser.add_argument(
        "--preprocess", metavar="TEXT", help=f"how images become inputs of a bare file: {PREPROCESS_HELP}"
    )
    parser.add_argument(
        "--dataset",
        metavar="NAME|DIR",
        help="folder with labels.csv or one folder per class; a recipe may have one",
    )


def _run_parser(commands_: argparse._SubParsersAction) -> None:
    parser = commands_.add_parser("run", help="measure models on devices and print the table (the default)")
    parser.add_argument(
        "--device", required=True, type=_names, metavar="D[,D…]", help="registered names (bench devices list)"
    )
    _add_model(parser, several=True)
    parser.add_argument(
        "--variants", type=_names, metavar="V[,V…]", help=f"of {', '.join(VARIANTS)}; all by default"
    )
    parser.add_argument(
        "--samples", type=_positive, metavar="N", help="evaluate a stratified subset of N samples"
    )
    parser.add_argument(
        "--trial",
        choices=LENGTHS,
        default="default",
        help="how long to measure: %(choices)s (default: %(default)s)",
    )
    parser.add_argument(
        "--quick", dest="trial", action="store_const", const="quick", help="same as --trial quick"
    )
    parser.add_argument(
        "--format", choices=FORMATS, default="table", help="of the table (default: %(default)s)"
    )
    parser.add_argument("--out", metavar="FILE", help="write the table there instead of standard output")
    parser.add_argument(
        "--store",
        default="results/quantbench.db",
        metavar="URL",
        help="database for every sample (default: %(default)s)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.set_defaults(command=commands.run)


def _predict_parser(commands_: argparse._SubParsersAction) -> None:
    parser = commands_.add_parser("predict", help="raw output tensors for raw input tensors (.npy)")
    parser.add_argument("--device", required=True, metavar="D")
    _add_model(parser, several=False)
    parser.add_argument("--variant", choices=VARIANTS, help="make this variant first; else the file as it is")
    parser.add_argument(
        "--input", required=True, metavar="X.npy", help="samples in the model's dtype, batch first"
    )
    parser.add_argument("--output", required=True, metavar="Y.npy")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.set_defaults(command=commands.predict)


def _profile_parser(commands_: argparse._SubParsersAction) -> None:
    parser = commands_.add_parser("profile", help="time of every layer on a device")
    parser.add_argument("--device", required=True, metavar="D")
    _add_model(parser, several=False)
    parser.add_argument("--variant", choices=VARIANTS, help="make this variant first; else the file as it is")
    parser.add_argument(
        "--runs", type=_positive, default=10, help="inferences to time (default: %(default)s)"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.set_defaults(command=commands.profile)


def _listing_parsers(commands_: argparse._SubParsersAction) -> None:
    devices = commands_.add_parser("devices", help="registered devices").add_subparsers(required=True)
    devices.add_parser("list", help="names, transports and processors").set_defaults(
        command=commands.devices_list
    )
    info = devices.add_parser("info", help="what a device is and can do")
    info.add_argument("name")
    info.set_defaults(command=commands.devices_info)
    models = commands_.add_parser("models", help="models with a recipe").add_subparsers(required=True)
    models.add_parser("list", help="names and what they are").set_defaults(command=commands.models_list)
    show = models.add_parser("show", help="everything a recipe says")
    show.add_argument("name")
    show.set_defaults(command=commands.models_show)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = _Parser(
        prog="bench",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"bench {__version__}")
    commands_ = top.add_subparsers(metavar="command", required=True)
    for add in (_run_parser, _predict_parser, _profile_parser, _listing_parsers):
        add(commands_)
    return top


def _with_command(argv: Sequence[str]) -> list[str]:
    """`bench --device …` means `bench run --device …`."""
    if argv and argv[0].startswith("-") and argv[0] not in ("-h", "--help", "--version"):
        return ["run", *argv]
    return list(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    arguments = parser().parse_args(_with_command(sys.argv[1:] if argv is None else argv))
    try:
        return arguments.command(arguments)
    except BenchError as error:
        print(f"bench: {clean(str(error), 2000)}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
