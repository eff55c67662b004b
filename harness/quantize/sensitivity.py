"""What int8 does to a network's output, layer by layer, computed by the C runtime: with each layer alone in
int8 and all others in float, and with more and more of them kept in float and all others in int8.

SQNR = 10 log₁₀ (Σ x² / Σ (x − x̂)²) dB, of the layer's own output and of the network's. The task's loss is
what the samples' labels say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.graph import Graph
from harness.ops import node_macs
from harness.quantize import int8
from harness.quantize.draft import Draft
from harness.quantize.stages import WITHOUT_PAIRS

SAMPLES = 32
LEAST_SCORE = 1 / 512  # half of the step of an int8 softmax: what a score of zero counts as


@dataclass(frozen=True)
class Loss:
    """Of a network on labelled samples. cross_entropy in nats."""

    top1: float
    cross_entropy: float


@dataclass(frozen=True)
class Outcome:
    """Of a network in int8. output_db: SQNR, infinite where nothing changed. loss: None if unknown."""

    output_db: float
    loss: Loss | None


@dataclass(frozen=True)
class Sensitivity:
    """One node in int8, and what the network does then. layer_db: SQNR of its own output."""

    node: str
    op: str
    macs: int
    layer_db: float
    outcome: Outcome

    @property
    def output_db(self) -> float:
        return self.outcome.output_db


Report = Callable[[int, int], None]  # told how many are done, of how many


def _silent(done: int, total: int) -> None:
    pass


def sqnr(exact: np.ndarray, found: np.ndarray) -> float:
    """Signal to quantization noise in dB; infinite where they are equal."""
    noise = float(np.square(exact.astype(np.float64) - found).sum())
    signal = float(np.square(exact, dtype=np.float64).sum())
    if not noise:
        return np.inf
    return 10 * np.log10(signal / noise) if signal else -np.inf


def loss(scores: np.ndarray, labels: np.ndarray) -> Loss:
    """scores: (samples, …) of the network's first output, probabilities or logits."""
    scores = scores.reshape(len(scores), -1).astype(np.float64)
    right = float((scores.argmax(1) == labels).mean())
    if scores.min() < 0 or scores.max() > 1:
        scores = np.exp(scores - scores.max(1, keepdims=True))
        scores /= scores.sum(1, keepdims=True)
    own = scores[np.arange(len(scores)), labels]
    return Loss(right, float(-np.log(np.maximum(own, LEAST_SCORE)).mean()))


def candidates(draft: Draft) -> list[str]:
    """Names of the nodes that compute something in int8, in execution order."""
    return [
        node.name
        for node in draft.graph.execution_order()
        if node.op not in int8.MOVING
        and node.name not in draft.choices.kept
        and int8.convertible(draft.graph, node)
    ]


def whole(draft: Draft, samples: int = SAMPLES) -> tuple[Loss | None, Outcome]:
    """Loss of the float network, and what the int8 one does."""
    (outcome,) = keeping(draft, [[]], samples)
    output, labels = draft.graph.outputs[0], draft.learned.labels(samples)
    return _loss(draft.learned.values(draft.graph, [output], samples)[output], labels), outcome


def keeping(
    draft: Draft, kept: Sequence[Iterable[str]], samples: int = SAMPLES, report: Report = _silent
) -> Iterator[Outcome]:
    """What the int8 network does with these nodes kept in float, one network after the other."""
    output, labels = draft.graph.outputs[0], draft.learned.labels(samples)
    exact = draft.learned.values(draft.graph, [output], samples)[output]
    for done, nodes in enumerate(kept):
        report(done, len(kept))
        graph = draft.keeping(nodes).quantized()
        found = draft.learned.values(graph, [output], samples)[output]
        yield Outcome(sqnr(exact, found), _loss(found, labels))


def _loss(scores: np.ndarray, labels: np.ndarray) -> Loss | None:
    if labels.max() >= scores[0].size or len(set(labels.tolist())) < 2:
        return None  # one class for all samples: they were given without labels
    return loss(scores, labels)


def measure(draft: Draft, samples: int = SAMPLES, report: Report = _silent) -> Iterator[Sensitivity]:
    """Every candidate alone in int8, in execution order."""
    names, ranges = candidates(draft), draft.ranges()
    everything = frozenset(node.name for node in draft.graph.nodes)
    nodes = {node.name: node for node in draft.graph.nodes}
    output, labels = draft.graph.outputs[0], draft.learned.labels(samples)
    exact = draft.learned.values(draft.graph, [output], samples)[output]
    for done, name in enumerate(names):
        report(done, len(names))
        node = nodes[name]
        choices = replace(draft.choices, kept=everything - {name})
        alone = int8.quantize(draft.graph, ranges, WITHOUT_PAIRS, choices)
        layer = node.outputs[0]
        found = _values(draft, alone, layer, output, samples)
        own = draft.learned.values(draft.graph, [layer], samples)[layer]
        yield Sensitivity(
            name,
            node.op,
            node_macs(draft.graph, node),
            sqnr(own, found[layer]),
            Outcome(sqnr(exact, found[output]), _loss(found[output], labels)),
        )


def _values(draft: Draft, graph: Graph, layer: str, output: str, samples: int) -> dict[str, np.ndarray]:
    return draft.learned.values(graph, list(dict.fromkeys([layer, output])), samples)
