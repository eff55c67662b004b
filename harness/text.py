"""Text from outside made fit to show: device output, file names, model names."""

import math
import unicodedata


def clean(text: str, limit: int = 300) -> str:
    """`text` as one line: characters that can control a terminal shown as \\x1b, \\u202e; cut at `limit`."""
    shown = "".join(c if _harmless(c) else c.encode("unicode_escape").decode() for c in text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def _harmless(character: str) -> bool:
    # Unicode categories C (control, format, surrogate, unassigned) and Z (separators)
    return character == " " or unicodedata.category(character)[0] not in "CZ"


def duration(seconds: float) -> str:
    """`0:34`, `2:05:00`: minutes and seconds, with hours where there are any; rounded up."""
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
