"""observe: how ranges follow from what activations did on the samples (harness/quantize/observers).

    observe(method=mse)
    observe(method=percentile, percent=99.99)
    observe(method=moving_average, momentum=0.9)

Every step that needs ranges sees them as the last `observe` before it chose them; without one, min_max.
"""

from __future__ import annotations

import inspect
from dataclasses import replace
from functools import partial

from harness.errors import UsageError
from harness.quantize import observers
from harness.quantize.draft import Draft


def run(draft: Draft, method: str, percent: float | None = None, momentum: float | None = None) -> Draft:
    """percent: of method percentile. momentum: of method moving_average. Raises UsageError."""
    choose = observers.function(method)
    given = {"percent": percent, "momentum": momentum}
    given = {name: value for name, value in given.items() if value is not None}
    for name in given.keys() - inspect.signature(choose).parameters.keys():
        raise UsageError(f"observe: method {method} has no {name}")
    return replace(draft, observer=partial(choose, **given), needs_bins=observers.needs_bins(method))
