"""Compiles a C program of runtime/tests with the runtime; undefined behaviour in it becomes a signal."""

from __future__ import annotations

from pathlib import Path

from harness import build, cache
from tests.support.runner import HOST, SANITIZED


def program(name: str) -> Path:
    """The binary of runtime/tests/<name>.c for this machine."""
    runtime = {
        source: flags for source, flags in build.sources_of(HOST).items() if not source.startswith("runner/")
    }
    sources = {**runtime, f"tests/{name}.c": ()}
    folder = cache.folder("test-programs", f"{name}-{build._key(HOST, sources, SANITIZED)}")
    return cache.file(
        folder / name, lambda path: build._build(HOST, sources, SANITIZED, path, lambda text: None)
    )
