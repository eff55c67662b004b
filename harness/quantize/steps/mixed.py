"""mixed: the layers that hurt most stay in float, within a budget (mixed precision; Z. Dong et al., "HAWQ",
ICCV 2019, arXiv:1905.03696, with the measured error of each layer in place of its Hessian).

Layers are ranked by the SQNR of the network's output when each alone is int8
(harness/quantize/sensitivity.py), worst first. Conversions stand where float and int8 meet, as in stage 2.

    mixed(keep=2)        the worst two layers
    mixed(share=0.05)    the worst that have together at most 5 % of the multiplications; one that is too
                         large is passed over
"""

from __future__ import annotations

from dataclasses import replace

from harness.errors import UsageError
from harness.quantize import sensitivity
from harness.quantize.draft import Draft
from harness.quantize.sensitivity import SAMPLES, Sensitivity


def run(draft: Draft, keep: int | None = None, share: float | None = None, samples: int = SAMPLES) -> Draft:
    """samples: that the error is measured on. Raises UsageError where not exactly one budget is given."""
    if (keep is None) == (share is None):
        raise UsageError("mixed: give one budget, keep=LAYERS or share=PART of the multiplications")
    if (keep is not None and keep < 1) or (share is not None and not 0 < share < 1):
        raise UsageError(f"mixed: {f'keep={keep}' if share is None else f'share={share}'} is no budget")
    ranked = sorted(sensitivity.measure(draft, samples), key=lambda layer: layer.output_db)
    if keep is not None:
        kept = [layer.node for layer in ranked[:keep]]
    else:
        kept = _within(ranked, share * sum(layer.macs for layer in ranked))
    return replace(draft, choices=replace(draft.choices, kept=draft.choices.kept | set(kept)))


def _within(ranked: list[Sensitivity], budget: float) -> list[str]:
    kept, spent = [], 0
    for layer in ranked:
        if spent + layer.macs <= budget:
            kept.append(layer.node)
            spent += layer.macs
    return kept
