"""The commands: one module each, found by its name.

A module's docstring is the command's help. `add(parser)` declares its options; `run(arguments) -> int` does
it and returns the exit code. Modules with a leading underscore are what commands share.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
from pathlib import Path
from types import ModuleType


def names() -> list[str]:
    """`run` first, the others sorted."""
    found = (m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))
    return sorted(found, key=lambda name: (name != "run", name))


def summary(name: str) -> str:
    """The command's help, read without importing it: a command brings its libraries along."""
    source = (Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8")
    return ast.get_docstring(ast.parse(source)) or ""


def module(name: str) -> ModuleType:
    """The module of a command."""
    return importlib.import_module(f"{__name__}.{name}")
