"""A folder from which `qemu-aarch64 -L` runs Debian's Python with the AArch64 wheels of LiteRT.

apt resolves and downloads the packages with a state of its own, `dpkg-deb` unpacks them, pip the wheels.
Nothing is installed on this machine, and none of it runs here but through QEMU.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from harness import cache
from harness.errors import BenchError

LITERT = "2.1.2"
PACKAGES = ("python3.11-minimal", "libpython3.11-stdlib", "libstdc++6")
WHEELS = (f"ai-edge-litert=={LITERT}", "numpy==2.4.6")
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")


def folder() -> Path:
    """The root, made where the cache lacks it. `python` and `site_packages` say what is where."""
    key = hashlib.sha256(repr((PACKAGES, WHEELS)).encode()).hexdigest()[:16]
    root = cache.folder("arm-root", key)
    cache.file(root / "complete", lambda marker: _make(root, marker))
    return root


def python(root: Path) -> Path:
    return root / "usr/bin/python3.11"


def site_packages(root: Path) -> Path:
    return root / "wheels"


def _make(root: Path, marker: Path) -> None:
    print("downloading an AArch64 Python and LiteRT (50 MB, once)", file=sys.stderr)
    state = marker.parent / "apt"
    for part in ("lists/partial", "cache/archives/partial", "state"):
        (state / part).mkdir(parents=True)
    (state / "status").touch()
    apt = ["apt-get", "-qq", "-o", "APT::Architecture=arm64", "-o", "APT::Architectures::=arm64"]
    apt += ["-o", "Debug::NoLocking=1", "-o", f"Dir::State={state}/state", "-o", f"Dir::Cache={state}/cache"]
    apt += ["-o", f"Dir::State::lists={state}/lists", "-o", f"Dir::State::status={state}/status"]
    _run([*apt, "update"])
    _run([*apt, "-y", "--no-install-recommends", "--download-only", "install", *PACKAGES])
    for package in sorted((state / "cache" / "archives").glob("*.deb")):
        _run(["dpkg-deb", "--extract", str(package), str(root)])
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
    pip += ["--only-binary=:all:", "--python-version", "3.11", "--target", str(site_packages(root))]
    _run([*pip, *(f"--platform={platform}" for platform in PLATFORMS), *WHEELS])
    marker.touch()


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    except FileNotFoundError as error:
        raise BenchError(f"the AArch64 root needs Debian's {command[0]}, which is not here") from error
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["it said nothing"]
        raise BenchError(f"{' '.join(command[:3])} … failed: {said[-1]}")
