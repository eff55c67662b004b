"""mixed: the layers that hurt most stay in float, within a budget (mixed precision; Z. Dong et al., "HAWQ",
ICCV 2019, arXiv:1905.03696, with the measured error of each layer in place of its Hessian).

    mixed(keep=2)         as many layers
    mixed(share=0.05)     layers that have together at most this part of the multiplications
    mixed(slower=0.1)     as many as make the network at most so much slower than all of it in int8, on the
                          device that it is for; conversions where float and int8 meet count too

Taken is what removes most error for what it costs, again and again while the budget lasts:

    Σ 10^(−SQNR/10) / (cost(kept with them) − cost(kept))

of the network's output with each layer alone in int8 (harness/quantize/sensitivity.py), and of the cost that
was measured (harness/quantize/cost.py). Neighbours share conversions: up to RUN of them are weighed together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from harness.errors import UsageError
from harness.ops import node_macs
from harness.quantize import int8, sensitivity
from harness.quantize.cost import Costs
from harness.quantize.draft import Draft
from harness.quantize.sensitivity import SAMPLES

RUN = 3
FINEST = 1e-3  # of the network's cost: no measurement tells less than this from nothing
PRECISIONS = ("f32", "f16")

Cost = Callable[[frozenset[str]], float]


def run(
    draft: Draft,
    keep: int | None = None,
    share: float | None = None,
    slower: float | None = None,
    precision: str = "f32",
    samples: int = SAMPLES,
) -> Draft:
    """precision: of the weights of what is kept, f32 or f16. samples: that the error is measured on.

    Raises UsageError where not exactly one budget is given, or the device that `slower` needs is not.
    """
    budgets = {"keep": keep, "share": share, "slower": slower}
    given = [(name, budget) for name, budget in budgets.items() if budget is not None]
    if len(given) != 1:
        raise UsageError(
            "mixed: give one budget: keep=LAYERS, share=PART of the multiplications or slower=PART"
        )
    ((name, budget),) = given
    if budget <= 0 or (name == "share" and budget >= 1):
        raise UsageError(f"mixed: {name}={budget} is no budget")
    if precision not in PRECISIONS:
        raise UsageError(f"mixed: precision '{precision}' is none of {', '.join(PRECISIONS)}")
    draft = replace(draft, half=precision == "f16")
    costs = Costs(draft) if name == "slower" else None
    cost = {"keep": len, "share": _share(draft), "slower": costs and costs.slower}[name]
    chosen = _chosen(_errors(draft, samples), cost, budget)
    while costs is not None and chosen[-1] and costs.measured(chosen[-1]) > budget:
        chosen.pop()
    return draft.keeping(chosen[-1])


def _errors(draft: Draft, samples: int) -> dict[str, float]:
    """Noise over signal of the network's output with each layer alone in int8, in execution order.

    What only moves values adds none.
    """
    found = {layer.node: 10 ** (-layer.output_db / 10) for layer in sensitivity.measure(draft, samples)}
    order = [node.name for node in draft.graph.execution_order() if int8.convertible(draft.graph, node)]
    return {name: found.get(name, 0.0) for name in order if name not in draft.choices.kept}


def _share(draft: Draft) -> Cost:
    macs = {node.name: node_macs(draft.graph, node) for node in draft.graph.nodes}
    return lambda kept: sum(macs[name] for name in kept) / max(1, sum(macs.values()))


def _chosen(errors: Mapping[str, float], cost: Cost, budget: float) -> list[frozenset[str]]:
    """What is kept at first, which is nothing, and after each choice."""
    order = list(errors)
    runs = [
        frozenset(order[first : first + length])
        for length in range(1, RUN + 1)
        for first in range(len(order) - length + 1)
    ]
    chosen = [frozenset()]
    while True:
        kept, best = chosen[-1], (0.0, 0.0, frozenset())
        before = cost(kept)
        for added in dict.fromkeys(run - kept for run in runs):
            after = cost(kept | added)
            rate = sum(errors[name] for name in added) / max(after - before, FINEST)
            if after <= budget:
                best = max(best, (rate, before - after, added), key=lambda choice: choice[:2])
        if not best[2]:
            return chosen
        chosen.append(kept | best[2])
