"""one_scale: each weight tensor gets one scale, max |w| / 127, instead of one for each output channel.

The plain scheme of TFLite's first converters, `OPTIMIZE_FOR_SIZE` (R. Krishnamoorthi, arXiv:1806.08342,
section 3.1.1, "per-layer"): a few bytes smaller, and what the other steps are measured against.
"""

from __future__ import annotations

from dataclasses import replace

from harness.quantize.draft import Draft


def run(draft: Draft) -> Draft:
    return replace(draft, choices=replace(draft.choices, one_scale=True))
