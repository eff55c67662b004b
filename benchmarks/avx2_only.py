"""Peers that see a processor with AVX2 and nothing later, for a fair comparison with our AVX2 kernels.

None of the peers has a switch for it (XNNPACK and MLAS have none at all, oneDNN's is not honoured everywhere
in OpenVINO). So their libraries are copied into the cache, the CPUID instructions in the copies are replaced
by a trap of the same length, and a preloaded library answers them (cpuid_avx2.c). Everything else in the
copies stays as it was. Needs `objdump`, which tells instructions from data.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import re
import shutil
import struct
import subprocess
from pathlib import Path

from harness import cache, compiler
from harness.errors import BenchError

SOURCE = Path(__file__).with_name("cpuid_avx2.c")
CPUID, TRAP = b"\x0f\xa2", b"\xf4\x90"
EXECUTABLE = 1  # p_flags: PF_X
PT_LOAD = 1


def environment(package: str, distribution: str) -> dict[str, str]:
    """Variables under which Python imports the patched copy of `package`, made where the cache lacks it.

    Raises BenchError where the package or objdump is missing.
    """
    version = importlib.metadata.version(distribution)
    folder = cache.folder("avx2-peers", f"{distribution}-{version}")
    cache.file(folder / "complete", lambda marker: _make(package, folder, marker))
    return {"PYTHONPATH": str(folder), "LD_PRELOAD": str(preloaded())}


def preloaded() -> Path:
    """cpuid_avx2.c compiled for this machine."""
    key = hashlib.sha256(compiler.VERSION.encode() + SOURCE.read_bytes()).hexdigest()[:16]
    flags = ["-target", "x86_64-linux-gnu", "-shared", "-fPIC", "-O2", "-fno-sanitize=undefined", "-Wall"]
    return cache.file(
        cache.folder("avx2-peers", key) / "cpuid.so",
        lambda output: compiler.cc(
            [*flags, str(SOURCE), "-o", str(output)], output.parent, f"compiling {SOURCE.name}"
        ),
    )


def _make(package: str, folder: Path, marker: Path) -> None:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise BenchError(f"the peer '{package}' is not installed")
    original = Path(spec.submodule_search_locations[0])
    shutil.copytree(original, folder / package, dirs_exist_ok=True)
    patched = sum(patch(library) for library in sorted((folder / package).rglob("*.so*")))
    if patched == 0:
        raise BenchError(f"{original}: no CPUID instruction was found in its libraries")
    marker.write_text(f"{patched}\n")


def patch(library: Path) -> int:
    """Replaces the CPUID instructions of an ELF file in place; returns how many there were."""
    content = bytearray(library.read_bytes())
    if content[:4] != b"\x7fELF" or CPUID not in content:
        return 0
    addresses = _cpuid_addresses(library)
    for address in addresses:
        at = _file_offset(content, address)
        if content[at : at + 2] != CPUID:
            raise BenchError(f"{library}: there is no CPUID at {address:#x}, though objdump says so")
        content[at : at + 2] = TRAP
    library.write_bytes(content)
    return len(addresses)


def _cpuid_addresses(library: Path) -> list[int]:
    """Where objdump sees a CPUID instruction; the same bytes inside another instruction are none."""
    if shutil.which("objdump") is None:
        raise BenchError("patching a peer needs objdump: run `apt-get install binutils`")
    command = ["objdump", "--disassemble", "--no-show-raw-insn", str(library)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        found = [re.match(r"\s*([0-9a-f]+):\s+cpuid\s*$", line) for line in process.stdout]
    if process.returncode != 0:
        raise BenchError(f"objdump failed on {library}")
    return [int(match[1], 16) for match in found if match]


def _file_offset(elf: bytes, address: int) -> int:
    """Of a virtual address in a 64-bit ELF file, by its program headers (System V ABI, figure 5-1)."""
    start, size, count = (
        struct.unpack_from("<Q", elf, 32)[0],
        *struct.unpack_from("<HH", elf, 54),
    )
    for i in range(count):
        kind, flags, offset, virtual, _, length = struct.unpack_from("<IIQQQQ", elf, start + i * size)
        if kind == PT_LOAD and flags & EXECUTABLE and virtual <= address < virtual + length:
            return address - virtual + offset
    raise BenchError(f"address {address:#x} is in no executable segment")
