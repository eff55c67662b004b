"""Latencies as noisy as real ones, and how often `harness/comparison.py` is right about them.

`tests/golden/traces.npz` holds what trials of the default length with 20 processes left of solar_cells on the
device `local`, a virtual machine with two cores: `<variant>_shared`, 23 sessions while about two other
programs ran (eight of them of twice 10 processes), `<variant>_busy`, 9 while five ran; int64 (sessions, 20),
the median nanoseconds of each process, in order. In a process, a tenth of the runs took ten times as long.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from harness.comparison import ANNOUNCED, SUSPECTED, latency_verdict, shift
from harness.regression import REGRESSED

TRACES = Path(__file__).parent.parent / "golden" / "traces.npz"
PROCESSES = 20
RUNS = 100  # of a synthetic process

# Of the recorded traces, as shares of the median.
SESSION_SD = 0.008  # the device drifts between sessions
PROCESS_SD, PROCESS_CORRELATION = 0.011, 0.3
DISTURBED, DISTURBANCE = 0.02, 0.3  # share of processes beside a busy neighbour, and how much slower they are
RUN_SD, RUN_CORRELATION = 0.008, 0.15
PREEMPTED, PREEMPTION = 0.11, 10.0  # share of runs that lose the core, and how many times longer they take

Session = Callable[[np.random.Generator, int], np.ndarray]


def correlated(rng: np.random.Generator, shape: tuple[int, int], sd: float, correlation: float) -> np.ndarray:
    """Gaussian noise, correlated along the second axis (AR(1)), with standard deviation `sd`."""
    noise = rng.normal(0, sd, shape)
    for i in range(1, shape[1]):
        noise[:, i] = correlation * noise[:, i - 1] + np.sqrt(1 - correlation**2) * noise[:, i]
    return noise


def synthetic_session(rng: np.random.Generator, processes: int) -> np.ndarray:
    """Process medians, float (processes,), of one session; the true value is 1."""
    offsets = correlated(rng, (1, processes), PROCESS_SD, PROCESS_CORRELATION)[0]
    offsets += rng.normal(0, SESSION_SD) + DISTURBANCE * (rng.random(processes) < DISTURBED)
    runs = np.exp(offsets[:, None] + correlated(rng, (processes, RUNS), RUN_SD, RUN_CORRELATION))
    runs *= np.where(rng.random(runs.shape) < PREEMPTED, PREEMPTION, 1)
    return np.median(runs, axis=1)


def recorded_session(name: str) -> Session:
    """Draws sessions of the traces called `name`; longer ones are sessions that followed each other."""
    sessions = np.load(TRACES)[name].astype(float)

    def draw(rng: np.random.Generator, processes: int) -> np.ndarray:
        count = processes // PROCESSES
        first = rng.integers(len(sessions) - count + 1)
        return sessions[first : first + count].ravel()

    return draw


def in_turn(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The processes of two releases that took turns, A B B A."""
    first = np.arange(len(values)) % 4 % 3 == 0
    return values[first], values[~first]


def first_look(rng: np.random.Generator, session: Session, factor: float) -> bool:
    """Whether a release slower by `factor` is suspected, each side measured in a session of its own."""
    found = shift(session(rng, PROCESSES), session(rng, PROCESSES) * factor)
    return latency_verdict(found, found.p, SUSPECTED) == REGRESSED


def second_look(rng: np.random.Generator, session: Session, factor: float) -> bool:
    """Whether it is confirmed, both sides measured in turn."""
    base, new = in_turn(session(rng, 2 * PROCESSES))
    if rng.integers(2):
        base, new = new, base
    found = shift(base, new * factor)
    return latency_verdict(found, found.p, ANNOUNCED) == REGRESSED


def announced(rng: np.random.Generator, session: Session, factor: float, trials: int) -> tuple[float, float]:
    """Shares of trials in which the release is suspected, and in which it is announced."""
    suspected = [first_look(rng, session, factor) for _ in range(trials)]
    confirmed = [second_look(rng, session, factor) for found in suspected if found]
    return sum(suspected) / trials, sum(confirmed) / trials
