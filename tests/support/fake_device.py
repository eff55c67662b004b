"""A device in memory whose runner answers as runtime/RUNNER.md says, and can be told to misbehave."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from devices import DeviceInfo, RunResult

Answer = RunResult | Exception | None


def lines(nonce: str, *events: dict) -> bytes:
    """Events as the runner prints them."""
    return b"".join(json.dumps({"nonce": nonce, **event}).encode() + b"\n" for event in events)


def start(mode: str, **fields: object) -> dict:
    return {
        "event": "start",
        "mode": mode,
        "version": "1",
        "arch": "aarch64",
        "isa": "neon",
        "core": 3,
        "model": "tiny",
        "arena_bytes": 100,
        "file_bytes": 200,
        "load_ns": 300,
    } | fields


def start_without_model(mode: str) -> dict:
    fields = start(mode)
    return {key: fields[key] for key in ("event", "mode", "version", "arch", "isa", "core")}


END = {"event": "end", "status": "ok"}


def latency_events(
    ns: Sequence[int], warmup_runs: int = 5, core: int | None = 3, switches: int = 1
) -> list[dict]:
    """A whole latency output with samples in batches of 64."""
    batches = [list(ns[i : i + 64]) for i in range(0, len(ns), 64)]
    return [
        start("latency", core=core),
        {"event": "cold", "ns": 3 * ns[0]},
        {"event": "warmup", "runs": warmup_runs},
        *({"event": "samples", "ns": batch} for batch in batches),
        {"event": "usage", "vm_hwm_kb": 1000, "voluntary_switches": 0, "involuntary_switches": switches},
        END,
    ]


def top_events(
    classes: Sequence[Sequence[int]], first: int = 0, scores: Sequence[Sequence[float]] | None = None
) -> list[dict]:
    """A whole accuracy output for these classes; scores fall from 1 unless given."""
    scores = scores or [[1 / (1 + k) for k in range(len(row))] for row in classes]
    top = {"event": "top", "first": first, "classes": list(classes), "scores": scores}
    return [start("accuracy"), *([top] if classes else []), END]


class FakeDevice:
    """misbehave(argv) may return a RunResult or an exception to raise instead of the regular answer."""

    def __init__(
        self,
        run_ns: int = 10_000_000,
        classes: Sequence[Sequence[int]] = (),
        misbehave: Callable[[list[str]], Answer] = lambda argv: None,
        emulated: bool = False,
        instructions: int | None = None,
        facts: Sequence[dict[str, str]] = ({},),
        states: Sequence[dict[str, str]] = ({},),
        hardware_instructions: int | None = None,
    ) -> None:
        self.run_ns, self.classes, self.misbehave = run_ns, classes, misbehave
        self.emulated, self.instructions, self.facts = emulated, instructions, list(facts)
        self.states, self.hardware_instructions = list(states), hardware_instructions
        self.commands: list[list[str]] = []
        self.timeouts: list[float] = []

    def info(self) -> DeviceInfo:
        facts = self.facts.pop(0) if len(self.facts) > 1 else self.facts[0]
        return DeviceInfo("fake", "fake", "aarch64", "cortex-a72", self.emulated, facts)

    def state(self) -> dict[str, str]:
        """The last of `states` stays."""
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def hold_governor(self) -> None:
        self.commands.append(["hold_governor"])

    def restore_governor(self) -> None:
        self.commands.append(["restore_governor"])

    def run(
        self,
        argv: list[str],
        timeout: float,
        *,
        env: dict[str, str] | None = None,
        idle_timeout: float | None = None,
    ) -> RunResult:
        self.commands.append(argv)
        self.timeouts.append(timeout)
        answer = self.misbehave(argv)
        if isinstance(answer, Exception):
            raise answer
        return answer or RunResult(0, lines(option(argv, "--nonce"), *self.events(argv)), b"", wall_s=1.5)

    def events(self, argv: list[str]) -> list[dict]:
        """The regular answer of the runner: latency runs take run_ns each, without noise."""
        if argv[1] == "latency":
            lasting = {
                name: -(-int(option(argv, name)) * 10**6 // self.run_ns) for name in ("--min-ms", "--max-ms")
            }
            wanted = max(int(option(argv, "--min-runs")), lasting["--min-ms"])
            return latency_events([self.run_ns] * min(wanted, lasting["--max-ms"]))
        if argv[1] == "accuracy":
            first, count = int(option(argv, "--first")), int(option(argv, "--count"))
            return top_events(self.classes[first : first + count], first)
        if argv[1] == "bandwidth":
            return [
                start_without_model("bandwidth"),
                {"event": "bandwidth", "bytes": 600, "ns": [300, 200]},
                END,
            ]
        if argv[1] == "counters":
            counts = {"instructions": self.hardware_instructions, "cycles": self.hardware_instructions}
            return [start("counters"), {"event": "counters", **counts}, END]
        runs = int(option(argv, "--runs"))
        node = {"op": "CONV_2D", "arithmetic": "int8", "kernel": "scalar", "macs": 10, "bytes": 20}
        nodes = [{"event": "node", "index": i, "name": f"n{i}", "ns": [7] * runs, **node} for i in range(2)]
        return [start("profile"), *nodes, END]

    def count_instructions(self, argv: list[str], timeout: float) -> list[int] | None:
        """A mark takes 3 instructions, each of the two nodes half of an inference."""
        if self.instructions is None:
            return None
        if argv[1] == "mark":
            half = self.instructions // 2
            marks = [5_000_000, 5_000_003, 5_000_006 + half, 5_000_009 + 2 * half]
            return [*marks, 6_000_000 + self.instructions]
        return [5_000_000 + self.instructions * int(option(argv, "--runs"))]


def option(argv: list[str], name: str) -> str:
    return argv[argv.index(name) + 1]
