"""A user's folder of labelled samples: `labels.csv`, or one sub-folder per class.

    folder/labels.csv       columns `file,label` (0-based; further columns ignored)
    folder/CLASS/FILE       sorted names of the sub-folders are the classes

Every file named is taken or refused, never skipped: a sample left out would change what an accuracy is a
share of.
"""

from __future__ import annotations

import csv
import re
import stat
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from harness.errors import FormatError, UsageError
from harness.files import leads_out
from harness.samples import SUFFIXES
from models.data import Sample

TABLE = "labels.csv"


def read_folder(folder: Path) -> list[Sample]:
    """The folder's samples, in the table's order or by class and name.

    Raises UsageError where the folder is missing or empty or names a missing file, FormatError where the
    table is damaged or a path leads out of the folder; both name the file, and the line of the table.
    """
    try:
        table = folder / TABLE
        samples = _from_table(folder, table) if table.exists() else class_folders(folder)
    except OSError as error:
        raise UsageError(f"{error.filename or folder}: cannot be read: {error.strerror}") from error
    if not samples:
        raise UsageError(f"data set {folder} is empty")
    return samples


def read_unlabelled(folder: Path) -> list[Sample]:
    """Every sample file below the folder by name, each with the label 0; other files are passed over.

    Raises UsageError where there is none, FormatError where a link leads out of the folder.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: not a folder of samples")
    files = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    names = sorted(path.relative_to(folder).as_posix() for path in files)
    if not names:
        raise UsageError(f"{folder} holds no samples; known suffixes: {' '.join(SUFFIXES)}")
    return [Sample(name, inside(folder, name, str(folder)), 0) for name in names]


def _from_table(folder: Path, table: Path) -> list[Sample]:
    samples, seen = [], {}
    for line, file, label in _rows(table):
        where = f"{table}, line {line}"
        if file in seen:
            raise FormatError(f"{where}: '{file}' is listed on line {seen[file]} already")
        seen[file] = line
        if not re.fullmatch(r"[0-9]{1,9}", label):
            raise FormatError(f"{where}: label '{label}' is not a class number (0, 1, 2, …)")
        samples.append(Sample(file, inside(folder, file, where), int(label)))
    return samples


def _rows(table: Path) -> Iterable[tuple[int, str, str]]:
    """(line, file, label) of every row that is not blank."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, strict=True)
            missing = {"file", "label"} - set(reader.fieldnames or ())
            if missing:
                raise FormatError(f"{table}, line 1: no column '{min(missing)}'; needs file,label")
            for row in reader:
                if row["file"] is None or row["label"] is None:
                    raise FormatError(f"{table}, line {reader.line_num}: the row is cut short")
                yield reader.line_num, row["file"], row["label"].strip()
    except (csv.Error, UnicodeDecodeError) as error:
        raise FormatError(f"{table}: not a CSV file in UTF-8: {error}") from error


def class_folders(folder: Path) -> list[Sample]:
    """The samples of sub-folders, one per class."""
    classes = sorted(entry for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != ".")
    if not classes:
        raise UsageError(f"data set {folder} has neither {TABLE} nor sub-folders, one per class")
    samples = []
    for label, class_folder in enumerate(classes):
        for entry in sorted(class_folder.iterdir()):
            if entry.name.startswith("."):  # what file managers leave behind
                continue
            if entry.is_dir() or entry.suffix.lower() not in SUFFIXES:
                raise UsageError(f"{entry}: not a sample file; known suffixes: {' '.join(SUFFIXES)}")
            name = f"{class_folder.name}/{entry.name}"
            samples.append(Sample(name, inside(folder, name, str(class_folder)), label))
    return samples


def inside(folder: Path, file: str, where: str) -> Path:
    """The path of `file` below `folder`; a name or a symbolic link that leads out of it is refused."""
    path = PurePosixPath(file)
    if not file.strip() or not file.isprintable():
        raise FormatError(f"{where}: {file!r} is not a file name")
    if leads_out(file):
        raise FormatError(f"{where}: '{file}' is not a path inside the data set's folder")
    try:
        linked = any((folder / part).is_symlink() for part in (path, *path.parents[:-1]))
        if linked and not (folder / path).resolve(strict=True).is_relative_to(folder.resolve()):
            raise FormatError(f"{where}: '{file}' is a link that leads out of the data set's folder")
        mode = (folder / path).stat().st_mode
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of symbolic links
        raise UsageError(f"{where}: '{file}' does not exist in {folder}") from error
    if not stat.S_ISREG(mode):
        raise UsageError(f"{where}: '{file}' is not a file")
    return folder / path
