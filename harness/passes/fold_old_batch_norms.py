"""fold_old_batch_norms: batch normalization that was exported as arithmetic becomes weights and bias.

    Before                                       After

    x ── Conv2D ── Mul ── Add ── y               x ── Conv2D ── y
    w, b ───┘       └── s  └── t                 w', b' ──┘

    where s = γ · Rsqrt(σ² + ε) and t = β − μ · s, which fold_constants has computed. Any run of Mul, Add
    and Sub is folded, whichever side the constant is on.

Conditions: as in fold_batch_norms, for every node of the run.

Formula:  w' = w · s   b' = b · s + t,   run after run:  (s, t) then (s₂, t₂) is (s · s₂, t · s₂ + t₂)
"""

from __future__ import annotations

from harness.graph import Graph
from harness.passes._affine import fold_into_weights


def run(graph: Graph) -> Graph:
    return fold_into_weights(graph, {"Mul", "Add", "Sub"})
