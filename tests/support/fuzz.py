"""Damaged copies of a file, the same ones in every run."""

from __future__ import annotations

import random
from collections.abc import Iterator


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
