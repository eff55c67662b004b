"""The commands: one module each, found by its name.

A module's docstring is the command's help. `add(parser)` declares its options; `run(arguments) -> int` does
it and returns the exit code. Modules with a leading underscore are what commands share.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def modules() -> dict[str, ModuleType]:
    """Command name → module; `run` first, the others by name."""
    names = (m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))
    ordered = sorted(names, key=lambda name: (name != "run", name))
    return {name: importlib.import_module(f"{__name__}.{name}") for name in ordered}
