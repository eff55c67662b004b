"""All raw data of a results database in one file, and back: Parquet or JSON lines, chosen by the suffix.

    .jsonl     one measurement a line, as harness/records.py writes it
    .parquet   one measurement a row: columns `run` and `measurement`, nested as their dataclasses are

What is imported again is known by its identity and not stored twice.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, get_origin

import numpy as np

from harness.errors import FormatError, UsageError, unknown_name
from harness.files import replacing
from harness.records import (
    ARRAYS,
    Entry,
    checked,
    field_types,
    from_line,
    is_optional,
    item_type,
    plain,
    to_line,
)
from harness.store import Store
from harness.text import clean

Progress = Callable[[str, int, int], None]  # what is being done, steps done, steps in all


def export(store: Store, path: Path, progress: Progress) -> int:
    """Writes every measurement of the store, whole or not at all; returns how many.

    Raises UsageError for an unknown suffix, a missing package or a path that cannot be written.
    """
    write = _by_suffix(path)[0]
    try:
        with replacing(path) as temporary:
            return write(_entries(store, progress), temporary)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{path}: a name is not valid Unicode text, which Parquet needs: use .jsonl"
        ) from error


def load(store: Store, path: Path, progress: Progress) -> tuple[int, int]:
    """Stores the measurements of a file, all or none; returns how many were new and how many known.

    Raises FormatError naming the first entry that is wrong, UsageError where the file cannot be read.
    """
    read = _by_suffix(path)[1]

    def measurements():
        for number, entry in enumerate(read(path)):
            progress(f"importing {path}", number, 0)
            yield entry.run, entry.measurement

    try:
        return store.merge(measurements())
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error


def _by_suffix(path: Path) -> tuple[Callable, Callable]:
    if path.suffix not in FORMATS:
        raise unknown_name("suffix", path.suffix or str(path), FORMATS)
    return FORMATS[path.suffix]


def _entries(store: Store, progress: Progress) -> Iterator[Entry]:
    runs = store.runs()
    for done, (run_id, run) in enumerate(runs.items()):
        progress("exporting runs", done, len(runs))
        for cell_id in store.cells(run_id):
            yield Entry(run, store.measurement(cell_id))


# --- JSON lines ---


def _write_lines(entries: Iterable[Entry], path: Path) -> int:
    count = 0
    with path.open("wb") as file:
        for count, entry in enumerate(entries, 1):  # noqa: B007
            file.write(to_line(entry))
    return count


def _read_lines(path: Path) -> Iterator[Entry]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                yield from_line(line)
            except FormatError as error:
                raise FormatError(f"{path}: line {number}: {error}") from None


# --- Parquet ---


def _write_parquet(entries: Iterable[Entry], path: Path) -> int:
    pa = _pyarrow()
    schema = pa.schema(list(_arrow_type(pa, Entry)))
    count = 0
    with pa.parquet.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True) as writer:
        for count, entry in enumerate(entries, 1):  # noqa: B007
            row = _to_row(Entry, plain(entry))
            writer.write_table(pa.Table.from_pylist([row], schema))
    return count


def _read_parquet(path: Path) -> Iterator[Entry]:
    pa = _pyarrow()
    try:
        with path.open("rb") as file:
            yield from _parquet_rows(pa, file)
    except (FormatError, ValueError, TypeError, pa.ArrowException) as error:
        raise FormatError(f"{path}: {_one_line(error)}") from error
    except OSError as error:
        if error.errno is None:  # pyarrow's own, for what it cannot decode
            raise FormatError(f"{path}: {_one_line(error)}") from error
        raise


def _parquet_rows(pa: ModuleType, file: BinaryIO) -> Iterator[Entry]:
    with pa.parquet.ParquetFile(file, page_checksum_verification=True) as parquet:
        if not parquet.schema_arrow.equals(pa.schema(list(_arrow_type(pa, Entry)))):
            raise FormatError("it is no export of this program: its columns are others")
        for batch in parquet.iter_batches(batch_size=1):
            for row in batch.to_pylist():
                yield checked(_from_row(Entry, row))


def _one_line(error: Exception) -> str:
    return clean(" ".join(str(error).split()))


def _pyarrow() -> ModuleType:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError("Parquet needs the package pyarrow: pip install 'quantbench[parquet]'") from error
    return pyarrow


def _arrow_type(pa: ModuleType, hint: Any, name: str = "") -> Any:
    """The column type of a field; a dict becomes its JSON text, because its keys are free."""
    if is_optional(hint):
        return _arrow_type(pa, item_type(hint), name)
    if dataclasses.is_dataclass(hint):
        return pa.struct([(key, _arrow_type(pa, kind, key)) for key, kind in field_types(hint).items()])
    if hint is np.ndarray:
        dtype, dimensions = ARRAYS[name]
        array = pa.from_numpy_dtype(np.dtype(dtype))
        for _ in range(dimensions):
            array = pa.list_(array)
        return array
    if get_origin(hint) is dict:
        return pa.string()
    if get_origin(hint) is not None:
        return pa.list_(_arrow_type(pa, item_type(hint)))
    return {int: pa.int64(), float: pa.float64(), str: pa.string(), bool: pa.bool_()}[hint]


def _to_row(hint: Any, value: Any) -> Any:
    """A plain record with its dicts of free keys as JSON texts."""
    return _converted(hint, value, json.dumps)


def _from_row(hint: Any, value: Any) -> Any:
    return _converted(hint, value, json.loads)


def _converted(hint: Any, value: Any, convert: Callable) -> Any:
    if value is None:
        return None
    if is_optional(hint):
        return _converted(item_type(hint), value, convert)
    if dataclasses.is_dataclass(hint):
        return {key: _converted(kind, value[key], convert) for key, kind in field_types(hint).items()}
    if get_origin(hint) is dict:
        return convert(value)
    if get_origin(hint) is not None:
        return [_converted(item_type(hint), entry, convert) for entry in value]
    return value


FORMATS = {".jsonl": (_write_lines, _read_lines), ".parquet": (_write_parquet, _read_parquet)}
