"""The command line. Every expected failure ends as one line on standard error and an exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import shtab

from harness import __version__, commands
from harness.errors import BenchError
from harness.text import clean

SHELLS = ("bash", "zsh")
TOP_OPTIONS = ("-h", "--help", "--version", "--print-completion")
DESCRIPTION = """\
Benchmarks float, hybrid and int8 forms of a neural network on small ARM machines: optimizes and quantizes it
here, runs it on the device with a portable C runtime, and prints top-1, latency and size of every variant.
"""
EXAMPLES = """\
examples:
  bench --device qemu --model solar_cells
  bench --device qemu --model mobilenet_v1_0.25_128 --weights frozen.pb --dataset images/ --variants f32,int8
  bench --device local --model net.tflite --dataset images/ --preprocess resize=128,mean=127.5,std=127.5

exit codes: 0 done, 1 a regression, a failed check or a number that cannot be trusted, 2 bad usage or input,
            3 device failure
"""


class _Parser(argparse.ArgumentParser):
    """Usage errors in one line."""

    def error(self, message: str) -> None:
        self.exit(2, f"{self.prog}: {clean(message, 2000)} (see {self.prog} --help)\n")


class _PrintCompletion(argparse.Action):
    """Prints the shell's completion script and ends."""

    def __call__(self, top: argparse.ArgumentParser, _namespace, shell: str, _option=None) -> None:
        everything = parser()
        commands.module("run").add(everything)  # its options are completed without the word `run` too
        print(shtab.complete(everything, shell))
        top.exit()


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """The command line. Every module in `harness.commands` is listed; the options of `only`, or of all, are
    declared."""
    top = _Parser(
        prog="bench",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"bench {__version__}")
    top.add_argument(
        "--print-completion",
        action=_PrintCompletion,
        choices=SHELLS,
        help='completion of commands and options: eval "$(bench --print-completion bash)"',
    )
    subparsers = top.add_subparsers(metavar="command", required=True)
    for name in commands.names():
        summary = commands.summary(name)
        command = subparsers.add_parser(name, help=summary, description=summary)
        if only in (None, name):
            module = commands.module(name)
            module.add(command)
            command.set_defaults(run=module.run)
    return top


def _with_command(argv: Sequence[str]) -> list[str]:
    """`bench --device …` means `bench run --device …`."""
    if argv and argv[0].startswith("-") and argv[0].partition("=")[0] not in TOP_OPTIONS:
        return ["run", *argv]
    return list(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    argv = _with_command(sys.argv[1:] if argv is None else argv)
    arguments = parser(argv[0] if argv else "").parse_args(argv)
    try:
        return arguments.run(arguments)
    except BenchError as error:
        print(f"bench: {clean(str(error), 2000)}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
