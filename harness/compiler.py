"""The C compiler that comes with pip: zig's clang and musl, for every target, in one wheel."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from harness import cache
from harness.errors import BenchError, UsageError

VERSION = f"ziglang {version('ziglang')}"
ERROR_LINES = 8


def host_arch() -> str:
    """The architecture of this machine in the project's words: "aarch64", "armv7" or "x86_64"."""
    machine = platform.machine().lower()
    known = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
    known |= {"armv7l": "armv7", "armv8l": "armv7"}
    if machine not in known:
        raise UsageError(
            f"this machine is a '{machine}': only {', '.join(sorted(set(known.values())))} are supported"
        )
    return known[machine]


def cc(arguments: list[str], cwd: Path, what: str) -> None:
    """Runs `zig cc` in `cwd`. Raises BenchError with the first errors it printed; `what` names the job."""
    environment = os.environ | {
        "ZIG_GLOBAL_CACHE_DIR": str(cache.folder("zig")),
        "ZIG_LOCAL_CACHE_DIR": str(cache.folder("zig")),
    }
    command = [sys.executable, "-m", "ziglang", "cc", *arguments]
    done = subprocess.run(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, errors="replace"
    )
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if "error:" in line] or lines or [f"exit code {done.returncode}"]
        raise BenchError(f"{what} failed: " + "\n  ".join(errors[:ERROR_LINES]))
