"""Speed, memory and load time beside other runtimes: `python -m benchmarks.peers` → results/peers-x86.json.

One process at a time, pinned to one core, one thread. A round takes every contender of a network in turn, the
next one takes them in reverse order, so that drift hits all alike; a ratio is taken within a round. A run cut
off goes on where it stopped; `--fresh` begins anew.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks import page
from benchmarks.contenders import AVX2, NATIVE, PACKAGES, Contender, contenders, measure
from benchmarks.networks import NETWORKS, Network
from devices._host import cpu_name, host_facts
from harness import build, cache
from harness.errors import BenchError

OUT = Path("results/peers-x86.json")
FEATURES = ("avx2", "avx_vnni", "avx512f", "avx512_vnni")  # of /proc/cpuinfo: what decides int8 speed


@dataclass(frozen=True)
class Settings:
    """Processes of a contender, and how long each times its inferences."""

    rounds: int
    min_runs: int
    min_ms: int


FULL = Settings(6, 10, 500)
QUICK = Settings(2, 3, 100)


class Journal:
    """Finished processes, one JSON line each, in the cache: what a run that was cut off goes on from."""

    def __init__(self, environment: dict, settings: Settings, fresh: bool) -> None:
        key = hashlib.sha256(json.dumps([environment, asdict(settings)]).encode()).hexdigest()[:16]
        self.path = cache.folder("peers") / f"{key}.jsonl"
        if fresh:
            self.path.unlink(missing_ok=True)
        lines = self.path.read_text().splitlines() if self.path.is_file() else []
        self.done = {tuple(entry["key"]): entry["found"] for entry in map(json.loads, lines)}

    def add(self, key: tuple, found: dict) -> None:
        self.done[key] = found
        with self.path.open("a") as file:
            file.write(json.dumps({"key": key, "found": found}) + "\n")


def measure_all(
    networks: list[Network],
    isas: list[str],
    settings: Settings,
    core: int,
    journal: Journal,
    report: Callable[[str], None],
) -> list[dict]:
    """One row a network and contender, in the order of `contenders`."""
    field = [contender for isa in isas for contender in contenders(isa)]
    for turn in range(settings.rounds):
        for network in networks:
            for contender in field if turn % 2 == 0 else reversed(field):
                key = (turn, network.name, contender.key)
                if key not in journal.done:
                    report(f"round {turn + 1} of {settings.rounds}: {network.name} {contender.key}")
                    found = measure(contender, network, core, settings.min_runs, settings.min_ms)
                    journal.add(key, found)
    return [
        _row(
            network,
            contender,
            [journal.done[turn, network.name, contender.key] for turn in range(settings.rounds)],
        )
        for network in networks
        for contender in field
    ]


def _row(network: Network, contender: Contender, processes: list[dict]) -> dict:
    """What is kept of the processes of one contender. Times in ms, memory in MB.

    own_mb: beyond what the process held before it loaded the model: of a peer, Python and the engine.
    """

    def median(key: str) -> float:
        return float(np.median([process[key] for process in processes])) / 1e6

    return {
        "network": network.name,
        "engine": contender.engine,
        "form": contender.form,
        "file": contender.file,
        "isa": contender.isa,
        "kernels": processes[0]["isa"],
        "ms": [round(float(np.median(process["ns"])) / 1e6, 4) for process in processes],
        "min_ms": round(min(min(process["ns"]) for process in processes) / 1e6, 4),
        "runs": sum(len(process["ns"]) for process in processes),
        "load_ms": round(median("load_ns"), 2),
        "first_ms": round(median("cold_ns"), 2),
        "peak_mb": round(max(process["vm_hwm_kb"] for process in processes) * 1024 / 1e6, 1),
        "own_mb": round(max(p["vm_hwm_kb"] - p["resident_kb"] for p in processes) * 1024 / 1e6, 1),
    }


def environment() -> dict:
    """What would have to be equal for another run to repeat this one."""
    flags = set(Path("/proc/cpuinfo").read_text().split())
    versions = {engine: importlib.metadata.version(name) for engine, (_, name) in PACKAGES.items()}
    return {
        "cpu": cpu_name(),
        "features": [feature for feature in FEATURES if feature in flags],
        "host": host_facts(),
        "versions": versions,
        "compiler": build.compiler.VERSION,
        "runner_sha256": build.runner_sha256("x86_64"),
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="2 short rounds instead of 6: a rehearsal, shown and not kept"
    )
    parser.add_argument(
        "--fresh", action="store_true", help="forget what a run that was cut off has measured"
    )
    parser.add_argument("--networks", default=",".join(NETWORKS), help="(default: %(default)s)")
    parser.add_argument("--isa", default=f"{NATIVE},{AVX2}", help="(default: %(default)s)")
    parser.add_argument(
        "--core", type=int, default=max(os.sched_getaffinity(0)), help="(default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, help=f"(default: {OUT}; nothing with --quick)")
    arguments = parser.parse_args(argv)
    settings = QUICK if arguments.quick else FULL
    networks = [NETWORKS[name] for name in arguments.networks.split(",")]
    before, around = os.getloadavg()[0], environment()
    journal = Journal(around, settings, arguments.fresh)
    try:
        rows = measure_all(
            networks,
            arguments.isa.split(","),
            settings,
            arguments.core,
            journal,
            lambda text: print(text, file=sys.stderr),
        )
    except BenchError as error:
        print(f"benchmarks.peers: {error}", file=sys.stderr)
        return error.exit_code
    load = {"load_average": [round(before, 2), round(os.getloadavg()[0], 2)]}
    found = {"schema": 1, "environment": around | load, "settings": asdict(settings), "rows": rows}
    out = arguments.out or (None if arguments.quick else OUT)
    if out is not None:
        page.save(out, found)
    journal.path.unlink()
    print(
        page.latency_table(found, NATIVE),
        page.latency_table(found, AVX2),
        page.memory_table(found),
        sep="\n\n",
    )
    if out == OUT:
        page.update()
    return 0


if __name__ == "__main__":
    sys.exit(main())
