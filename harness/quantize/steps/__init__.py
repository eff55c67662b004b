"""Steps of post-training quantization: one file each, found by its name.

A step is `run(draft, **params) -> Draft` (harness/quantize/draft.py). The signature of `run` is the
specification of its parameters. harness/ptq.py composes steps from a text.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable

from harness.errors import unknown_name
from harness.quantize.draft import Draft

NAMES = sorted(module.name for module in pkgutil.iter_modules(__path__))


def function(name: str) -> Callable[..., Draft]:
    """The `run` of a step; UsageError with the nearest names where there is none."""
    if name not in NAMES:
        raise unknown_name("quantization step", name, NAMES)
    return importlib.import_module(f"{__name__}.{name}").run
