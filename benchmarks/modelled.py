"""Cycles of the NEON kernels' inner loops in LLVM's processor models: `python -m benchmarks.modelled`.

Each kernel file is compiled to assembly by the compiler and flags of the runner. Of its innermost loops the
one with most multiply-accumulates in a pass is where inferences spend their time. llvm-mca says how
many cycles a pass takes when nothing misses a cache, and how many its multiplications would take alone, none
waiting for another: the core's peak with these instructions. The table goes into runtime/README.md.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks import page
from harness import build, compiler
from harness.errors import BenchError

README = build.FOLDER / "README.md"
BLOCK = "modelled cycles"
# Our name → LLVM's. The Cortex-A76 has no model of its own; the Neoverse N1 is the same core for servers.
CORES = {"cortex-a53": "cortex-a53", "cortex-a72": "cortex-a72", "cortex-a76": "neoverse-n1"}
KERNELS = (
    "gemm_s8_neon",
    "gemm_s8_dotprod",
    "gemm_f32_neon",
    "depthwise_3x3_s8_neon",
    "depthwise_3x3_s8_dotprod",
    "depthwise_s8_neon",
    "depthwise_f32_neon",
)
DOT_PRODUCTS = ("cortex-a76",)  # cores with SDOT
# Multiply-accumulates of an instruction by mnemonic and arrangement (Arm Architecture Reference Manual, A64).
MACS = {
    ("sdot", "4s"): 16,
    ("smmla", "4s"): 32,
    ("smull", "8h"): 8,
    ("smull2", "8h"): 8,
    ("smlal", "8h"): 8,
    ("smlal2", "8h"): 8,
    ("smlal", "4s"): 4,
    ("smlal2", "4s"): 4,
    ("mla", "8h"): 8,
    ("fmla", "4s"): 4,
}
INSTRUCTION = re.compile(r"^\s+([a-z][a-z0-9.]*)\s+(.*?)\s*(?://.*)?$")
LABEL = re.compile(r"\s*(\.?\w+):")
BRANCH = re.compile(r"\s+(?:b|b\.\w+|cbn?z|tbn?z)\s(?:.*\s)?(\.L\w+|\d+b)\s*(?://.*)?$")
ITERATIONS = 200
SPREAD = 16


@dataclass(frozen=True)
class Loop:
    """An innermost loop: its instructions in order, the branch back included."""

    lines: tuple[str, ...]

    @property
    def macs(self) -> int:
        return sum(macs_of(line) for line in self.lines)

    @property
    def multiplications(self) -> tuple[str, ...]:
        """Those of SPREAD passes alone, each on registers of its own: no result waits for another."""
        alone = []
        for i, line in enumerate(SPREAD * [line for line in self.lines if macs_of(line)]):
            registers = iter((i % 16, 16 + i % 16, 16 + (i + 7) % 16))
            alone.append(re.sub(r"\bv\d+", lambda _, left=registers: f"v{next(left)}", line))
        return tuple(alone)


def macs_of(line: str) -> int:
    """Multiply-accumulates of one line of assembly."""
    found = INSTRUCTION.match(line)
    if not found:
        return 0
    arrangement = re.match(r"v\d+\.(\w+)", found[2])
    return MACS.get((found[1], arrangement[1]), 0) if arrangement else 0


def innermost_loops(assembly: str) -> list[Loop]:
    """Loops from a label to the last branch back to it, without calls, in which no other loop multiplies."""
    lines = assembly.splitlines()
    seen: dict[str, int] = {}  # labels; a local one such as `1:` may stand again and again
    ends: dict[int, int] = {}
    for i, line in enumerate(lines):
        if label := LABEL.match(line):
            seen[label[1]] = i
        if (branch := BRANCH.match(line)) and (target := branch[1].removesuffix("b")) in seen:
            ends[seen[target]] = i
    loops = {start: _loop(lines[start : end + 1]) for start, end in ends.items()}
    multiplying = {start for start, loop in loops.items() if loop.macs}
    return [
        loop
        for start, loop in loops.items()
        if not any(start < other and ends[other] <= ends[start] for other in multiplying)
        and not any(re.match(r"\s+blr?\s", line) for line in loop.lines)
    ]


def _loop(lines: list[str]) -> Loop:
    return Loop(tuple(line for line in lines if INSTRUCTION.match(line)))


def compiled(kernel: str, folder: Path) -> str:
    """The assembly of runtime/src/kernels/KERNEL.c, as the runner's build compiles it for aarch64."""
    variants = build.read_isa_variants(build.FOLDER / "src" / "isa.def")
    suffix = kernel.rpartition("_")[2]
    own = next((v.flags for v in variants if v.name == suffix and v.arch == "aarch64"), ())
    flags = [
        "-target",
        build.TARGETS["aarch64"],
        *build.FLAGS,
        *own,
        "-g0",
        "-S",
        "-Wno-unused-command-line-argument",
    ]
    output = folder / f"{kernel}.s"
    command = [*flags, f"src/kernels/{kernel}.c", "-o", str(output)]
    compiler.cc(command, build.FOLDER, f"compiling {kernel}.c")
    return output.read_text()


def cycles(lines: tuple[str, ...], core: str) -> float:
    """Cycles of one pass through these instructions, repeated, on a core of CORES."""
    command = [_mca(), "-mtriple=aarch64", f"-mcpu={CORES[core]}", "-mattr=+dotprod,+i8mm"]
    command += [f"-iterations={ITERATIONS}", "-instruction-info=0", "-resource-pressure=0"]
    text = "\n".join(re.sub(r"\.L\w+|(?<=\s)\d+[bf]$", "somewhere", line) for line in lines)
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    found = re.search(r"^Total Cycles:\s+(\d+)", done.stdout, re.M)
    if not found:
        raise BenchError(f"llvm-mca for {core} failed: {done.stderr.strip()[:300]}")
    return int(found[1]) / ITERATIONS


def _mca() -> str:
    """The newest llvm-mca: Debian's default one is too old to know these cores apart."""
    versions = sorted(
        Path("/usr/lib").glob("llvm-*/bin/llvm-mca"), key=lambda p: int(p.parts[3].split("-")[1])
    )
    program = str(versions[-1]) if versions else shutil.which("llvm-mca")
    if program is None:
        raise BenchError("modelled cycles need llvm-mca: run `apt-get install llvm`")
    return program


def table() -> str:
    """A line a kernel and core: MACs and cycles of a pass, MAC/cycle, and the multiplications' peak."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for kernel in KERNELS:
            loop = max(innermost_loops(compiled(kernel, Path(folder))), key=lambda loop: loop.macs)
            for core in CORES if "dotprod" not in kernel else DOT_PRODUCTS:
                took, alone = cycles(loop.lines, core), cycles(loop.multiplications, core) / SPREAD
                rate, peak = loop.macs / took, loop.macs / alone
                cells = [f"`{kernel}`", core, len(loop.lines), loop.macs, f"{took:.1f}"]
                rows.append([*cells, f"{rate:.1f}", f"{peak:.1f}", f"{100 * rate / peak:.0f}"])
    headers = [
        "kernel",
        "core",
        "instructions",
        "MACs",
        "cycles",
        "MAC/cycle",
        "peak",
        "% of peak",
    ]
    return page.markdown(rows, headers)


def main() -> int:
    argparse.ArgumentParser(
        prog="python -m benchmarks.modelled", description=__doc__.splitlines()[0]
    ).parse_args()
    try:
        text = table()
    except BenchError as error:
        print(f"benchmarks.modelled: {error}", file=sys.stderr)
        return error.exit_code
    README.write_text(page.replaced(README.read_text(encoding="utf-8"), BLOCK, text), encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
