"""Cross-compiles the runtime and its runner into one static binary per architecture, cached by its sources.

    runtime/{src,src/kernels,runner}/*.c  ──zig cc──►  <cache>/runners/<arch>-<hash>/bench-runner

A file `*_<isa>.c` holds one ISA variant of a kernel. `runtime/src/isa.def` says for which architectures it is
compiled and with which flags, one `QB_ISA(name, arch, "flags")` line each; arch `any` stands for them all.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import runtime
from harness import cache, compiler
from harness.compiler import host_arch as host_arch
from harness.errors import BenchError, unknown_name

FOLDER = Path(runtime.__file__).parent
TARGETS = {
    "aarch64": "aarch64-linux-musl",
    "armv7": "arm-linux-musleabihf",
    "x86_64": "x86_64-linux-musl",
}
# No contraction: a fused multiply-add rounds once where the specification rounds twice.
# No unwind tables: nothing unwinds, and they would be a tenth of the binary.
# No sanitizer: zig's default for C traps on undefined behaviour and costs speed; tests turn it on.
FLAGS = [
    "-O3",
    "-std=c11",
    "-ffp-contract=off",
    "-fno-sanitize=undefined",
    "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Iinclude",
    "-Isrc",
]
LINK_FLAGS = ("-static", "-s")
# The runner's own files: they take no time that anyone measures.
SMALL = ("-Os",)
JOBS = 2

Progress = Callable[[str], None]


@dataclass(frozen=True)
class IsaVariant:
    """One line of isa.def: files `*_<name>.c` are compiled for `arch` with `flags` added."""

    name: str
    arch: str
    flags: tuple[str, ...]


def runner(arch: str, progress: Progress | None = None, *, extra_flags: tuple[str, ...] = ()) -> Path:
    """The runner's binary for `arch`, compiled unless the cache holds it. Its file name is `bench-runner`.

    progress: told what is happening, in words. extra_flags: added to every compilation and to the link, for
    sanitizer builds. Raises UsageError for an unknown architecture, BenchError for an error of the compiler.
    """
    sources = sources_of(arch)
    folder = cache.folder("runners", f"{arch}-{_key(arch, sources, extra_flags)}")
    report = progress or (lambda text: None)
    return cache.file(
        folder / "bench-runner", lambda binary: _build(arch, sources, extra_flags, binary, report)
    )


def runner_sha256(arch: str, progress: Progress | None = None) -> str:
    """SHA-256 of the runner's binary, in hex: the same sources and compiler give the same bytes anywhere."""
    return hashlib.sha256(runner(arch, progress).read_bytes()).hexdigest()


def read_isa_variants(path: Path) -> list[IsaVariant]:
    """The `QB_ISA` lines of isa.def. Raises BenchError for a line that names an unknown architecture."""
    text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    found = re.findall(r'^QB_ISA\(\s*(\w+)\s*,\s*(\w+)\s*,\s*"([^"]*)"\s*\)', text, flags=re.MULTILINE)
    for name, arch, _ in found:
        if arch != "any" and arch not in TARGETS:
            raise BenchError(f"{path}: QB_ISA({name}): unknown architecture '{arch}'")
    return [IsaVariant(name, arch, tuple(shlex.split(flags))) for name, arch, flags in found]


def sources_of(arch: str) -> dict[str, tuple[str, ...]]:
    """Every C file to compile for `arch`, relative to runtime/, with the flags that are its own."""
    if arch not in TARGETS:
        raise unknown_name("architecture", arch, TARGETS)
    variants = read_isa_variants(FOLDER / "src" / "isa.def")
    sources = {}
    for path in sorted(
        p for pattern in ("src/*.c", "src/kernels/*.c", "runner/*.c") for p in FOLDER.glob(pattern)
    ):
        suffix = path.stem.rpartition("_")[2]
        own = [v for v in variants if v.name == suffix]
        here = [v for v in own if v.arch in (arch, "any")]
        if here or not own:
            general = SMALL if path.parent.name == "runner" else ()
            sources[path.relative_to(FOLDER).as_posix()] = here[0].flags if here else general
    return sources


def _key(arch: str, sources: dict[str, tuple[str, ...]], extra_flags: tuple[str, ...]) -> str:
    """Hash of everything that decides the binary: compiler, flags, sources and what they include."""
    digest = hashlib.sha256()
    digest.update(repr((compiler.VERSION, TARGETS[arch], FLAGS, LINK_FLAGS, extra_flags, sources)).encode())
    headers = (p for suffix in ("h", "def", "inc") for p in FOLDER.glob(f"**/*.{suffix}"))
    for path in sorted([*headers, *(FOLDER / name for name in sources)]):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(FOLDER).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def _build(
    arch: str,
    sources: dict[str, tuple[str, ...]],
    extra_flags: tuple[str, ...],
    binary: Path,
    report: Progress,
) -> None:
    # Relative names and the working folder keep the checkout's place out of the binary.
    target = ["-target", TARGETS[arch]]

    def compile_one(item: tuple[int, tuple[str, tuple[str, ...]]]) -> str:
        index, (source, own_flags) = item
        report(f"compiling the runner for {arch}: {index + 1} of {len(sources)}, {source}")
        output = binary.parent / (source.replace("/", "-") + ".o")
        flags = [*target, *FLAGS, *own_flags, *extra_flags]
        compiler.cc([*flags, "-c", source, "-o", str(output)], FOLDER, f"compiling {source} for {arch}")
        return str(output)

    with ThreadPoolExecutor(JOBS) as pool:
        objects = list(pool.map(compile_one, enumerate(sources.items())))
    report(f"linking the runner for {arch} (the first time, about a minute: the C library is compiled too)")
    flags = [*target, *FLAGS, *LINK_FLAGS, *extra_flags]
    compiler.cc([*flags, *objects, "-o", str(binary)], FOLDER, f"linking the runner for {arch}")
