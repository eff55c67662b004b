"""Labelled samples: from a folder or a packaged data set to the dataset file that the runner reads.

`Dataset.labels` are the model's class indices: the data set's 0-based labels plus the recipe's
`label_offset`.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import math
import os
import pkgutil
import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

import models.data
from harness import formats, imagenet
from harness.errors import FormatError, UsageError, unknown_name
from harness.files import replacing
from harness.sample_folder import read_folder, read_unlabelled
from harness.samples import Storage, read_sample, storage_of
from models import Preprocess
from models.data import Sample

Progress = Callable[[int, int], None]  # samples done, samples in all

_DTYPE_CODES = {np.dtype(np.float32): "F32", np.dtype(np.int8): "S8", np.dtype(np.uint8): "U8"}


@dataclass(frozen=True)
class Dataset:
    """Samples in a fixed order, decoded when asked for.

    pool: what calibration may draw from: the training split where there is one, else what was held out of
    the folder, else all of it. held_out: how many samples of the folder are therefore not among `samples`.
    input_shape: the model's input, batch of 1 first.
    """

    name: str
    samples: tuple[Sample, ...]
    preprocess: Preprocess
    input_shape: tuple[int, ...]
    pool: tuple[Sample, ...] = ()
    held_out: int = 0

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def ids(self) -> list[str]:
        return [sample.id for sample in self.samples]

    @cached_property
    def labels(self) -> np.ndarray:
        """int64 (samples,): class indices of the model, label_offset applied."""
        labels = np.array([sample.label for sample in self.samples], np.int64)
        return labels + self.preprocess.label_offset

    @cached_property
    def storage(self) -> Storage:
        """How samples are stored; the first file decides, and every other has to agree."""
        first = self.samples[0].path
        return storage_of(first, self._read(first).dtype, self.preprocess)

    @property
    def contents(self) -> list[object]:
        """All that decides the bytes of a dataset file."""
        return [self.samples, self.preprocess, self.input_shape]

    @property
    def sample_bytes(self) -> int:
        """Of one sample in a dataset file."""
        return math.prod(self.input_shape) * self.storage.dtype.itemsize

    def part(self, first: int, end: int) -> Dataset:
        """The samples from `first` up to `end`, as a data set."""
        return replace(self, samples=self.samples[first:end])

    def stored(self, index: int) -> np.ndarray:
        """Stored values of one sample, in the input's shape without the batch dimension.

        Raises FormatError or UsageError naming the file.
        """
        path = self.samples[index].path
        values, first = self._read(path), self.samples[0].path
        if values.dtype != self.storage.dtype or (path.suffix == ".npy") != (first.suffix == ".npy"):
            raise FormatError(
                f"{path}: holds {values.dtype} values, unlike {first}, which holds {self.storage.dtype}"
            )
        return values

    def reals(self, index: int) -> np.ndarray:
        """float32 `input_shape`: exactly what the runner computes from the dataset file for this sample."""
        return self.storage.reals(self.stored(index)).reshape(self.input_shape)

    def _read(self, path: Path) -> np.ndarray:
        return read_sample(path, self.preprocess, self.input_shape[1:])


@dataclass(frozen=True)
class DatasetFile:
    """A dataset file written.

    file_sha256: of its content, for deployment. dataset_sha256: over ids, labels, preprocessing and content,
    part of a result's key.
    """

    path: Path
    file_sha256: str
    dataset_sha256: str


def names() -> list[str]:
    """The data sets that come with a package."""
    return sorted(module.name for module in pkgutil.iter_modules(models.data.__path__))


def open_dataset(
    source: str | Path,
    preprocess: Preprocess,
    input_shape: tuple[int, ...],
    samples: int | None = None,
    seed: int = 0,
    *,
    classes: int | None = None,
    hold_out: int = 0,
) -> Dataset:
    """A packaged data set's test split, or a folder (see harness/sample_folder.py and harness/imagenet.py).

    samples: a stratified subset of that many. classes: the model's number of classes, which labels must stay
    below. hold_out: samples of a folder that are for calibration alone, if it has at least twice as many.
    Raises UsageError or FormatError naming the data set, file or line; images are not decoded yet.
    """
    _check_preprocess(preprocess, input_shape)
    if str(source) in names():
        parts = importlib.import_module(f"models.data.{source}").splits()
        found, pool, hold_out = tuple(parts["test"]), tuple(parts["train"]), 0
    elif Path(source).is_dir():
        found, preprocess = _folder(Path(source), preprocess, classes)
        pool = found
    elif Path(source).exists():
        raise UsageError(f"data set {source} is a file; give the folder that holds labels.csv")
    else:
        raise unknown_name("data set (or folder)", str(source), names())
    _check_labels(str(source), found, preprocess.label_offset, classes)
    held_out = hold_out if len(found) >= 2 * hold_out else 0
    if held_out:
        pool = stratified(found, held_out, f"calibration/{seed}")
        found = _without(found, pool, samples, str(source))
    chosen = found if samples is None else stratified(found, samples, f"evaluation/{seed}")
    return Dataset(_name(source), chosen, preprocess, tuple(input_shape), pool, held_out)


def _folder(
    folder: Path, preprocess: Preprocess, classes: int | None
) -> tuple[tuple[Sample, ...], Preprocess]:
    """Its samples, and the preprocessing: for ImageNet the number of classes says how labels are moved."""
    if found := imagenet.read(folder, classes):
        offset = preprocess.label_offset if classes is None else imagenet.OFFSETS[classes]
        return tuple(found), replace(preprocess, label_offset=offset)
    return tuple(read_folder(folder)), preprocess


def _without(
    found: tuple[Sample, ...], held_out: tuple[Sample, ...], wanted: int | None, source: str
) -> tuple[Sample, ...]:
    """What is left to evaluate; at least as many samples as wanted."""
    taken = set(held_out)
    left = tuple(sample for sample in found if sample not in taken)
    if wanted is not None and wanted > len(left):
        raise UsageError(
            f"{wanted} samples were asked for; data set {source} has {len(left)}, and {len(held_out)} for "
            "calibration: give fewer --samples, or --calibration another folder"
        )
    return left


def open_unlabelled(folder: str | Path, preprocess: Preprocess, input_shape: tuple[int, ...]) -> Dataset:
    """Every sample file below a folder, for calibration. Raises UsageError where there is none."""
    _check_preprocess(preprocess, input_shape)
    found = tuple(read_unlabelled(Path(folder)))
    return Dataset(_name(folder), found, preprocess, tuple(input_shape), pool=found)


def _name(source: str | Path) -> str:
    return Path(source).name or str(source)


def calibration_split(dataset: Dataset, n: int = 100, seed: int = 0) -> Dataset:
    """A stratified subset of `dataset.pool`: all of it where it has fewer than n samples."""
    chosen = stratified(dataset.pool, min(n, len(dataset.pool)), f"calibration/{seed}")
    return replace(dataset, samples=chosen)


def overlap(a: Dataset, b: Dataset) -> bool:
    """Whether a file is in both."""
    first, second = ({os.path.abspath(sample.path) for sample in part.samples} for part in (a, b))
    return not first.isdisjoint(second)


def stratified(samples: Sequence[Sample], count: int, salt: str) -> tuple[Sample, ...]:
    """`count` samples with classes in proportion, in their old order; the same on every machine.

    Within a class of n, shuffled by hash, sample r stands at (r + 1/2) / n; those that stand first are
    taken. A smaller subset is thereby part of a larger one. Raises UsageError where there are not so many.
    """
    if not 1 <= count <= len(samples):
        raise UsageError(f"{count} samples were asked for; the data set has {len(samples)}")
    by_class = defaultdict(list)
    for index, sample in enumerate(samples):
        by_class[sample.label].append((hashlib.sha256(f"{salt}/{sample.id}".encode()).digest(), index))
    order = []
    for members in by_class.values():
        for rank, (digest, index) in enumerate(sorted(members)):
            order.append(((rank + 0.5) / len(members), digest, index))
    return tuple(samples[index] for index in sorted(index for _, _, index in sorted(order)[:count]))


def write_dataset(dataset: Dataset, path: Path, progress: Progress | None = None) -> DatasetFile:
    """Decodes every sample into a dataset file (`runtime/include/format.def`), whole or not at all.

    The same data set gives the same bytes. Raises FormatError or UsageError naming the sample that cannot be
    read.
    """
    storage = dataset.storage
    factors = np.stack([storage.scale, storage.offset]).astype("<f4").tobytes()
    header_size = formats.records()["dataset_header"].itemsize
    data_offset = formats.align(header_size + len(factors))
    try:
        with replacing(path) as temporary, temporary.open("w+b") as stream:
            stream.write(bytes(data_offset))
            crc, size = 0, 0
            for index in range(len(dataset)):
                data = dataset.stored(index).astype(storage.dtype.newbyteorder("<")).tobytes()
                stream.write(data)
                crc, size = zlib.crc32(data, crc), size + len(data)
                if progress:
                    progress(index + 1, len(dataset))
            stream.seek(0)
            stream.write(_header(dataset, data_offset, size, crc, factors) + factors)
            stream.seek(0)
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
    return DatasetFile(path, digest, content_sha256(dataset, [digest]))


def _header(dataset: Dataset, data_offset: int, size: int, data_crc: int, factors: bytes) -> bytes:
    shape, known = dataset.input_shape[1:], formats.constants()
    header = formats.record(
        "dataset_header",
        magic=np.frombuffer(b"QBDATA\n\0", np.uint8),
        version=known["DATASET_VERSION"],
        header_size=formats.records()["dataset_header"].itemsize,
        file_size=data_offset + size,
        dtype=known[_DTYPE_CODES[dataset.storage.dtype]],
        rank=len(shape),
        dims=(*shape, *(1,) * (known["MAX_RANK"] - len(shape))),
        count=len(dataset),
        data_offset=data_offset,
        channels=len(dataset.storage.scale),
        data_crc32=data_crc,
    )
    header["header_crc32"] = zlib.crc32(header.tobytes() + factors)
    return header.tobytes()


def content_sha256(dataset: Dataset, file_sha256s: Sequence[str]) -> str:
    """What identifies a data set in results: its ids, labels, preprocessing, and the content of its files."""
    facts = {
        "ids": dataset.ids,
        "labels": dataset.labels.tolist(),
        "preprocess": asdict(dataset.preprocess),
        "file": ",".join(file_sha256s),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _check_preprocess(preprocess: Preprocess, input_shape: tuple[int, ...]) -> None:
    channels = input_shape[-1] if len(input_shape) > 1 else 0
    if not 2 <= len(input_shape) <= formats.constants()["MAX_RANK"] + 1 or input_shape[0] != 1:
        raise UsageError(f"data sets feed one input with a batch of 1, not of shape {tuple(input_shape)}")
    for what, values in (("mean", preprocess.mean), ("std", preprocess.std)):
        if len(values) not in (1, channels) or not np.isfinite(values).all():
            raise UsageError(f"preprocessing: {what} {values} must be 1 or {channels} finite numbers")
    if min(np.abs(preprocess.std)) < 1e-30:
        raise UsageError("preprocessing: std must not be 0")
    if not 0 < preprocess.crop <= 1:
        raise UsageError(f"preprocessing: crop {preprocess.crop} is not a share between 0 and 1")
    if preprocess.resize is not None and not all(1 <= length <= 8192 for length in preprocess.resize):
        raise UsageError(
            f"preprocessing: resize {preprocess.resize} is not a height and width from 1 to 8192"
        )
    if preprocess.channels not in (1, 3):
        raise UsageError(f"preprocessing: channels {preprocess.channels} is neither 1 (grey) nor 3 (RGB)")


def _check_labels(source: str, samples: Sequence[Sample], offset: int, classes: int | None) -> None:
    for sample in samples:
        if classes is not None and not 0 <= sample.label + offset < classes:
            moved = f" and labels are moved by {offset}" if offset else ""
            raise FormatError(
                f"data set {source}: '{sample.id}' has label {sample.label}, "
                f"but the model has {classes} classes{moved}"
            )
