"""A program's output, as transports gather it."""

from __future__ import annotations

import pytest

from devices._transport import Stream


@pytest.mark.parametrize(
    "chunks", [[b"text\n", b"token 0\n"], [b"text\ntoken 0\n"], list(b"text\ntoken 0\n")]
)
def test_stream_sets_its_last_line_apart(chunks: list) -> None:
    stream = Stream()
    for chunk in chunks:
        stream.add(bytes([chunk]) if isinstance(chunk, int) else chunk)
    assert stream.without_last_line() == (b"text", b"token 0")


def test_stream_keeps_its_last_line_beyond_the_cap() -> None:
    stream = Stream(cap=10)
    stream.add(b"x" * 100_000)
    stream.add(b"\ntoken 0\n")
    assert stream.truncated
    assert stream.without_last_line() == (b"x" * 10, b"token 0")


def test_stream_without_a_whole_last_line_has_none() -> None:
    for content in (b"", b"token 0\n", b"text\ntoken 0"):
        stream = Stream()
        stream.add(content)
        assert stream.without_last_line() == (content, b"")
