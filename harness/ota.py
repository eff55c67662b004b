"""Over-the-air updates: what turns the model file of one release into that of another.

An update is a Zstandard frame that may refer to the old file, as `zstd --patch-from=OLD NEW` makes it, so a
device needs nothing of ours to apply it: `zstd -d --long=31 --patch-from=OLD UPDATE -o NEW`. The files
themselves lie in the cache of prepared files (harness/artifacts.py) as long as there is room for them.
"""

from __future__ import annotations

import functools
from dataclasses import replace

import zstandard

from harness import artifacts
from harness.results import Measurement, RunRecord
from harness.store import Store

LEVEL = 12  # a second for 17 MB; the strongest, 19, takes 14 and saves 0 to 8 %
WINDOW_LOGS = (zstandard.WINDOWLOG_MIN, zstandard.WINDOWLOG_MAX)


def update(old: bytes, new: bytes) -> bytes:
    """What makes `new` of `old`."""
    reach = max(WINDOW_LOGS[0], min(WINDOW_LOGS[1], (len(old) + len(new)).bit_length()))
    parameters = zstandard.ZstdCompressionParameters.from_level(LEVEL, window_log=reach, enable_ldm=True)
    return zstandard.ZstdCompressor(dict_data=_prefix(old), compression_params=parameters).compress(new)


def applied(old: bytes, delta: bytes) -> bytes:
    """The new file of an old one and its update. Raises zstandard.ZstdError for another file's."""
    window = 1 << WINDOW_LOGS[1]
    return zstandard.ZstdDecompressor(dict_data=_prefix(old), max_window_size=window).decompress(delta)


def _prefix(old: bytes) -> zstandard.ZstdCompressionDict:
    return zstandard.ZstdCompressionDict(old, dict_type=zstandard.DICT_TYPE_RAWCONTENT)


@functools.cache
def delta_bytes(old_sha256: str | None, new_sha256: str | None) -> int | None:
    """Size of the update between two model files, 0 for the same one; None where one is not kept any more.

    Made once for all devices of a run: a hash names one content.
    """
    if old_sha256 is None or new_sha256 is None:
        return None
    if old_sha256 == new_sha256:
        return 0
    old, new = artifacts.find(old_sha256), artifacts.find(new_sha256)
    return None if old is None or new is None else len(update(old.read_bytes(), new.read_bytes()))


def with_delta(measurement: Measurement, store: Store, record: RunRecord) -> Measurement:
    """The measurement with the size of the update from the release before, where the store has one."""
    cell, runs = measurement.cell, store.runs()
    earlier = [
        found.model_sha256
        for run_id, _, found in store.history(cell.device, cell.model, cell.variant)
        if runs[run_id].release not in (None, record.release)
    ]
    if not earlier:
        return measurement
    return replace(
        measurement, cell=replace(cell, ota_delta_bytes=delta_bytes(earlier[-1], cell.model_sha256))
    )
