"""ImageNet's validation set (ILSVRC 2012) as people have it on their disks.

    folder/ILSVRC2012_val_00000001.JPEG …    the official archive, with a file of labels beside it
    folder/n01440764/FILE …                  class folders named by WordNet ids, all 1000 or some

A class's index is the place of its WordNet id among the 1000 sorted ones (models/imagenet_synsets.txt, from
the PyPI package timm, Apache-2.0). The development kit numbers the classes otherwise, 1 to 1000: its
meta.mat says which is which.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Callable
from pathlib import Path

import models
from harness.errors import FormatError, UsageError
from harness.sample_folder import TABLE, class_folders, inside
from models.data import Sample

IMAGE = re.compile(r"ILSVRC2012_val_(\d{8})\.jpe?g", re.IGNORECASE)
SYNSETS = tuple(Path(models.__file__).with_name("imagenet_synsets.txt").read_text(encoding="utf-8").split())
INDEX = {synset: index for index, synset in enumerate(SYNSETS)}
OFFSETS = {
    None: 0,
    1000: 0,
    1001: 1,
}  # by the number of classes: that of the first one that is not background
DEVKIT = "ILSVRC2012_devkit_t12/data"


def read(folder: Path, classes: int | None) -> list[Sample] | None:
    """The folder's samples, their labels 0 to 999; None for a folder that is laid out in neither way.

    classes: the model's number of them. Raises UsageError or FormatError where the model or the labels are
    not ImageNet's, or not all is there.
    """
    try:
        names = [] if (folder / TABLE).exists() else os.listdir(folder)
        if any(map(IMAGE.fullmatch, names)):
            if classes not in OFFSETS:
                raise FormatError(
                    f"{folder}: holds ImageNet's images, of 1000 classes; the model has {classes}, neither "
                    "1000 nor, with one for the background, 1001"
                )
            return _flat(folder, names)
        if classes in OFFSETS and not INDEX.keys().isdisjoint(names):
            return _by_synset(folder)
    except OSError as error:
        raise UsageError(f"{error.filename or folder}: cannot be read: {error.strerror}") from error
    return None


def _by_synset(folder: Path) -> list[Sample]:
    """The samples of class folders."""
    samples = []
    for sample in class_folders(folder):
        synset = sample.id.partition("/")[0]
        if synset not in INDEX:
            raise FormatError(
                f"{folder / synset}: not one of ImageNet's 1000 classes, as folders beside it are; "
                f"remove it, or list the samples in {TABLE}"
            )
        samples.append(Sample(sample.id, sample.path, INDEX[synset]))
    return samples


def _flat(folder: Path, names: list[str]) -> list[Sample]:
    """The official images in their order."""
    images = {int(found[1]): found[0] for found in map(IMAGE.fullmatch, names) if found}
    source, labels = _labels(folder)
    if odd := sorted(images.keys() ^ labels.keys()):
        missing = "no image" if odd[0] in labels else "no label of"
        raise FormatError(
            f"{source}: has labels of {len(labels)} images, but {folder} holds {len(images)}: there is "
            f"{missing} ILSVRC2012_val_{odd[0]:08d}"
        )
    return [
        Sample(name, inside(folder, name, str(folder)), labels[number])
        for number, name in sorted(images.items())
    ]


def _labels(folder: Path) -> tuple[Path, dict[int, int]]:
    """The file of labels, and by an image's number the index of its class."""
    places = [place / part for place in (folder, folder.absolute().parent) for part in ("", DEVKIT)]
    for path in (place / name for place in places for name in FORMS):
        if path.is_file():
            return path, _numbered(path, *FORMS[path.name])
    raise UsageError(
        f"{folder}: ImageNet's images are here, but not their labels; looked here, in the folder above "
        f"and in {DEVKIT} of both for {', '.join(FORMS)}"
    )


def _numbered(path: Path, pattern: str, classes: Callable[[Path], dict[str, int]]) -> dict[int, int]:
    """By an image's number, the line's where it says none, the index of its class."""
    known, labels = classes(path), {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: not a text file in UTF-8") from error
    for line, text in enumerate(lines, 1):
        if text == KAGGLE_HEADER:
            continue
        found = re.fullmatch(pattern, text.strip())
        if found is None or found["label"] not in known:
            raise FormatError(f"{path}, line {line}: '{text}' is no label of an image of ImageNet's")
        number = int(found.groupdict().get("number", line))
        if number in labels:
            raise FormatError(f"{path}, line {line}: image {number} has a label already")
        labels[number] = known[found["label"]]
    return labels


def _of_devkit(path: Path) -> dict[str, int]:
    """The development kit's numbers of classes (ILSVRC2012_ID), by its meta.mat."""
    meta = path.with_name("meta.mat")
    if not meta.is_file():
        raise UsageError(
            f"{path}: numbers the classes in an order of its own: put the development kit's data/meta.mat "
            f"beside it, or use {next(iter(FORMS))}"
        )
    from scipy.io import loadmat  # takes a while to import
    from scipy.io.matlab import MatReadError

    try:
        synsets = loadmat(meta, squeeze_me=True)["synsets"]
        pairs = zip(synsets["ILSVRC2012_ID"], synsets["WNID"], strict=True)
        known = {str(int(number)): INDEX[synset] for number, synset in pairs if synset in INDEX}
    except (
        MatReadError,
        LookupError,
        ValueError,
        TypeError,
        OSError,
        NotImplementedError,
        zlib.error,
    ) as error:
        raise FormatError(f"{meta}: not the development kit's meta.mat: {error}") from error
    if len(set(known.values())) != len(SYNSETS):
        raise FormatError(f"{meta}: has {len(set(known.values()))} of ImageNet's {len(SYNSETS)} classes")
    return known


KAGGLE_HEADER = "ImageId,PredictionString"
FORMS: dict[str, tuple[str, Callable[[Path], dict[str, int]]]] = {
    "imagenet_2012_validation_synset_labels.txt": (r"(?P<label>n\d{8})", lambda _: INDEX),
    "ILSVRC2012_validation_ground_truth.txt": (r"(?P<label>\d+)", _of_devkit),
    "val.txt": (
        r"(?:.*/)?ILSVRC2012_val_(?P<number>\d{8})\.\w+ +(?P<label>\d+)",
        lambda _: {str(index): index for index in INDEX.values()},
    ),
    "LOC_val_solution.csv": (r"ILSVRC2012_val_(?P<number>\d{8}),(?P<label>n\d{8})[ n\d]*", lambda _: INDEX),
}
"""Files of labels in the order they are looked for: what a line looks like, and what its label can be."""
