"""the ops that the runtime has, in which arithmetics, and those that are only read and rewritten"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tabulate import tabulate

from harness.formats import runtime_ops
from harness.ops import OPS

ARITHMETICS = ("f32", "f16", "hybrid", "int8", "int16")


def add(parser: ArgumentParser) -> None:
    parser.add_argument("--markdown", action="store_true", help="only the table, as docs/ops.md has it")


def run(arguments: Namespace) -> int:
    known = runtime_ops()
    rows = [
        [
            name,
            known[name].c_name,
            *("yes" if kind in known[name].arithmetics else "" for kind in ARITHMETICS),
        ]
        for name in sorted(known)
    ]
    headers = ["op", "as TFLite calls it", *ARITHMETICS]
    print(tabulate(rows, headers, tablefmt="github" if arguments.markdown else "simple"))
    if not arguments.markdown:
        rest = ", ".join(sorted(OPS.keys() - known.keys()))
        print(f"\nread, and folded or rewritten before it runs: {rest}")
    return 0
