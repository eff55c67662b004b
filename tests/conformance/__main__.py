"""Counts the conforming configurations of each op; exit code 1 where one does not conform."""

from __future__ import annotations

import argparse
import sys

from tabulate import tabulate

from tests.conformance import cases  # noqa: F401 (registers the cases)
from tests.conformance.check import DEVICES, Failure, check
from tests.conformance.draw import CASES, Case


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--device", default="local", help=f"of {','.join(DEVICES)}, joined by commas")
    parser.add_argument("--per-op", type=int, default=50, help="configurations of each op and arithmetic")
    parser.add_argument("--op", help="only this op, as TFLite calls it")
    parser.add_argument("--arithmetic", help="only this arithmetic")
    parser.add_argument("--seed", type=int, help="only this configuration")
    return parser.parse_args()


def _row(case: Case, seeds: list[int], devices: list[str], failures: list[Failure]) -> list[object]:
    failed = [len({f.seed for f in failures if f.device == device}) for device in devices]
    return [case.op, case.arithmetic, len(seeds), *(len(seeds) - count for count in failed)]


def main() -> int:
    arguments = _arguments()
    devices = arguments.device.split(",")
    seeds = list(range(arguments.per_op)) if arguments.seed is None else [arguments.seed]
    chosen = [
        case
        for _, case in sorted(CASES.items())
        if arguments.op in (None, case.op) and arguments.arithmetic in (None, case.arithmetic)
    ]
    if not chosen or not set(devices) <= DEVICES.keys():
        print("no such op, arithmetic or device", file=sys.stderr)
        return 2
    rows, failures = [], []
    for case in chosen:
        found = check(case, seeds, devices)
        failures += found
        rows.append(_row(case, seeds, devices, found))
    print(tabulate(rows, ["op", "arithmetic", "configurations", *devices]))
    drawn = sum(row[2] for row in rows)
    print(f"\n{len({row[0] for row in rows})} ops, {drawn} configurations on each of {len(devices)} devices")
    for failure in failures:
        print(f"fails: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
