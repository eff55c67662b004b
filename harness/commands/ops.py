"""the ops that the runtime has, in which arithmetics, and those that are only read and rewritten"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tabulate import tabulate

from harness.formats import runtime_ops
from harness.ops import OPS

ARITHMETICS = ("f32", "hybrid", "int8", "int16")


def add(parser: ArgumentParser) -> None:
    pass


def run(_arguments: Namespace) -> int:
    known = runtime_ops()
    rows = [
        [name, *("yes" if kind in known[name].arithmetics else "" for kind in ARITHMETICS)]
        for name in sorted(known)
    ]
    print(tabulate(rows, ["op", *ARITHMETICS]))
    print(f"\nread, and folded or rewritten before it runs: {', '.join(sorted(OPS.keys() - known.keys()))}")
    return 0
