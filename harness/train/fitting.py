"""The training itself: what is minimized, for how long, and which epoch is kept."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F

from harness.datasets import Progress
from harness.train.checkpoint import Checkpoint
from harness.train.network import Network
from harness.train.samples import Samples

THREADS = 1  # the order of sums, and with it every result, depends on their number


@dataclass(frozen=True)
class Settings:
    """labels, distill: what is learned from, one or both. rate: the highest learning rate of Adam.

    settling: the share of the epochs in which batch norms still follow the batches. patience:
    epochs without a lower validation loss after which training ends. temperature: see `Objective`.
    """

    labels: bool = False
    distill: bool = True
    epochs: int = 40
    batch: int = 32
    rate: float = 1e-4
    settling: float = 0.05
    patience: int = 20
    temperature: float = 2.0
    alterations: tuple[str, ...] = ("flip", "crop", "brightness")
    seed: int = 0


@dataclass(frozen=True)
class Epoch:
    """Of the validation samples, as they are, after an epoch.

    agreement: the share of samples for which the network and its teacher name the same class.
    """

    loss: float
    top1: float
    agreement: float


@dataclass
class Fitted:
    """What the network was at the beginning and after each epoch, and its state when it was best."""

    history: list[Epoch]
    state: dict[str, torch.Tensor]

    @property
    def best(self) -> int:
        """The first epoch with the lowest loss; 0 is the beginning."""
        losses = [epoch.loss for epoch in self.history]
        return losses.index(min(losses))

    def done(self, settings: Settings) -> bool:
        epochs = len(self.history) - 1
        return epochs >= settings.epochs or epochs - self.best >= settings.patience

    def take(self, epoch: Epoch, network: Network) -> None:
        self.history.append(epoch)
        if self.best == len(self.history) - 1:
            self.state = copy.deepcopy(network.state_dict())


@contextmanager
def _repeatable() -> Iterator[None]:
    """The same number of threads everywhere; numbers too small to be normal, which are slow, are zero."""
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)


@_repeatable()
def fit(
    network: Network,
    teacher: Network,
    training: Samples,
    validation: Samples,
    settings: Settings,
    progress: Progress,
    checkpoint: Checkpoint | None = None,
) -> Fitted:
    """Trains `network` and leaves it as it was after its best epoch, or as it is where none is better.

    The same on every run on one machine. teacher: the float network, whose answers are learned and
    compared with. checkpoint: where to go on, and what is written after every epoch. progress: told the
    batches done, of all epochs.
    """
    run = _Run(network, teacher.eval(), settings, training, validation)
    fitted = Fitted([], {})
    if checkpoint is not None and checkpoint.resumed:
        run.restore(checkpoint.read(), fitted)
    else:
        fitted.take(run.validate(), network)
    while not fitted.done(settings):
        run.train(len(fitted.history) - 1, progress)
        fitted.take(run.validate(), network)
        if checkpoint is not None:
            checkpoint.write(run.state(fitted))
    network.load_state_dict(fitted.state)
    network.eval().freeze_norms(True)
    return fitted


class Objective:
    """What is minimized: the mean of the cross entropies with labels and with a teacher's answers.

    A teacher's probabilities are softened by a temperature T, and their loss weighs T² as much (G. Hinton,
    O. Vinyals, J. Dean, "Distilling the Knowledge in a Neural Network", arXiv:1503.02531, §2).
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, logits: torch.Tensor, answers: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """logits: of the network; answers: the teacher's logits; both (samples, classes)."""
        parts = []
        if self._settings.labels:
            parts.append(F.cross_entropy(logits, labels))
        if self._settings.distill:
            soft = self._settings.temperature
            found, wanted = (F.log_softmax(values / soft, 1) for values in (logits, answers))
            parts.append(soft**2 * F.kl_div(found, wanted, reduction="batchmean", log_target=True))
        return torch.stack(parts).mean()


class _Run:
    """The state of a training between two epochs."""

    def __init__(
        self, network: Network, teacher: Network, settings: Settings, training: Samples, validation: Samples
    ) -> None:
        self._network, self._teacher = network, teacher
        self._settings = settings
        self._training, self._validation = training, validation
        self._objective = Objective(settings)
        self._random = torch.Generator().manual_seed(settings.seed)
        self._optimizer = torch.optim.Adam(network.parameters(), settings.rate)
        self._batches = max(1, len(training) // settings.batch)
        self._settling = max(1, math.ceil(settings.settling * settings.epochs))

    def train(self, epoch: int, progress: Progress) -> None:
        """One epoch."""
        self._network.train()
        self._network.freeze_norms(epoch >= self._settling)
        total = self._batches * self._settings.epochs
        batches = self._training.drawn(self._settings.batch, self._settings.alterations, self._random)
        for index, (x, labels) in enumerate(batches):
            step = epoch * self._batches + index
            for group in self._optimizer.param_groups:
                group["lr"] = self._settings.rate * (1 + math.cos(math.pi * step / total)) / 2
            loss = self._objective(self._network.scores(x), self._answers(x), labels)
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
            progress(step + 1, total)

    def _answers(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return self._teacher.scores(x)

    @torch.no_grad()
    def validate(self) -> Epoch:
        self._network.eval()
        parts = [
            (self._network.scores(x), self._teacher.scores(x), labels)
            for x, labels in self._validation.batches(self._settings.batch)
        ]
        logits, answers, labels = (torch.cat(values) for values in zip(*parts, strict=True))
        classes = logits.argmax(1)
        shares = [(classes == wanted).float().mean().item() for wanted in (labels, answers.argmax(1))]
        return Epoch(self._objective(logits, answers, labels).item(), *shares)

    # --- between two processes ---

    def state(self, fitted: Fitted) -> dict[str, object]:
        return {
            "network": self._network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "random": self._random.get_state(),
            "best": fitted.state,
            "history": [asdict(epoch) for epoch in fitted.history],
        }

    def restore(self, state: dict[str, object], fitted: Fitted) -> None:
        self._network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._random.set_state(state["random"])
        fitted.state = state["best"]
        fitted.history = [Epoch(**values) for values in state["history"]]
