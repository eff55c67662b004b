"""Damaged copies of a file, the same ones in every run, and limits for reading them."""

from __future__ import annotations

import random
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager


def damaged(content: bytes, count: int, seed: int = 0, window: int | None = None) -> Iterator[bytes]:
    """`count` copies: a third cut short, the others with 1 to 20 bytes changed.

    window: change only the first and last so many bytes, where a format keeps its structure.
    """
    rng = random.Random(seed)
    size = len(content)
    window = min(window or size, size)
    for index in range(count):
        if index % 3 == 0:
            yield content[: rng.randrange(size)]
            continue
        copy = bytearray(content)
        for _ in range(rng.choice([1, 1, 3, 20])):
            position = rng.randrange(window)
            copy[position if rng.random() < 0.5 else size - 1 - position] = rng.choice(
                [0, 1, 127, 128, 255, rng.randrange(256)]
            )
        yield bytes(copy)


@contextmanager
def limited(most_bytes: int = 2**30, seconds: int = 0) -> Iterator[None]:
    """At most `most_bytes` of memory beside what the process has; after `seconds` it is ended."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with open("/proc/self/statm") as statm:
        data = int(statm.read().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (data + most_bytes, before[1]))
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    resource.setrlimit(resource.RLIMIT_DATA, before)
