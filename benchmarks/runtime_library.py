"""The runtime as a shared library of this machine, so that Python can call an inference and nothing else."""

from __future__ import annotations

import ctypes
import hashlib
from pathlib import Path

from harness import build, cache, compiler

# The system's C library, as the library lives in a Python that uses it.
TARGETS = {"x86_64": "x86_64-linux-gnu", "aarch64": "aarch64-linux-gnu", "armv7": "arm-linux-gnueabihf"}


class View(ctypes.Structure):
    """struct qb_view of runtime/include/quantbench.h."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("dtype", ctypes.c_int),
        ("rank", ctypes.c_int),
        ("dims", ctypes.c_int32 * 6),
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("scale", ctypes.c_float),
        ("zero_point", ctypes.c_int32),
    ]


def load() -> ctypes.CDLL:
    """Compiled from the runner's sources with the runner's flags, unless the cache holds it."""
    arch = build.host_arch()
    key = hashlib.sha256(f"{TARGETS} {build.runner_sha256(arch)}".encode()).hexdigest()[:16]
    path = cache.file(cache.folder("libraries", key) / "libquantbench.so", lambda out: _build(arch, out))
    library = ctypes.CDLL(str(path))
    for name in ("qb_model_open", "qb_session_create"):
        getattr(library, name).restype = ctypes.c_void_p
    library.qb_session_input.restype = View
    return library


def _build(arch: str, library: Path) -> None:
    flags, objects = ["-target", TARGETS[arch], *build.FLAGS, "-fPIC"], []
    for source, own_flags in build.sources_of(arch).items():
        if source.startswith("src/"):
            objects.append(str(library.parent / (source.replace("/", "-") + ".o")))
            command = [*flags, *own_flags, "-c", source, "-o", objects[-1]]
            compiler.cc(command, build.FOLDER, f"compiling {source}")
    compiler.cc([*flags, "-shared", "-s", *objects, "-o", str(library)], build.FOLDER, "linking the library")
