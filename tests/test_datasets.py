"""Data sets: subsets, calibration, and the dataset file byte for byte as its specification says."""

import hashlib
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harness import formats
from harness.datasets import (
    calibration_split,
    names,
    open_dataset,
    open_unlabelled,
    overlap,
    stratified,
    write_dataset,
)
from harness.errors import FormatError, UsageError
from models import Preprocess
from models.data import Sample

PREPROCESS = Preprocess(mean=(127.5,), std=(127.5,))
INPUT = (1, 8, 8, 3)


@pytest.fixture
def folder(tmp_path):
    """Twelve pictures of noise in three classes of 2, 4 and 6."""
    random, rows = np.random.default_rng(0), ["file,label"]
    place = tmp_path / "set"
    place.mkdir()
    for index, label in enumerate([0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]):
        Image.fromarray(random.integers(0, 256, (16, 12, 3), np.uint8)).save(place / f"{index}.png")
        rows.append(f"{index}.png,{label}")
    (place / "labels.csv").write_text("\n".join(rows))
    return place


def read_back(path):
    """Header, scale, offset and samples of a dataset file, by its specification."""
    content = path.read_bytes()
    header = np.frombuffer(content, formats.records()["dataset_header"], 1)[0]
    size, channels = int(header["header_size"]), int(header["channels"])
    scale, offset = np.frombuffer(content, "<f4", 2 * channels, size).reshape(2, channels)
    known = formats.constants()
    dtype = {known["F32"]: np.float32, known["S8"]: np.int8, known["U8"]: np.uint8}[int(header["dtype"])]
    shape = (int(header["count"]), *header["dims"][: header["rank"]])
    samples = np.frombuffer(content, dtype, offset=int(header["data_offset"])).reshape(shape)
    return header, scale, offset, samples


def test_file_holds_what_the_specification_says(folder, tmp_path):
    data = open_dataset(folder, PREPROCESS, INPUT)
    done = []
    written = write_dataset(data, tmp_path / "a.qbd", lambda *step: done.append(step))
    content = written.path.read_bytes()
    header, scale, offset, samples = read_back(written.path)
    assert bytes(header["magic"]) == b"QBDATA\n\0"
    assert header["file_size"] == len(content)
    assert header["data_offset"] % formats.constants()["ALIGNMENT"] == 0
    assert header["dims"].tolist() == [8, 8, 3, 1, 1, 1]
    assert header["data_crc32"] == zlib.crc32(content[header["data_offset"] :])
    unsigned = header.copy()
    unsigned["header_crc32"] = 0
    assert header["header_crc32"] == zlib.crc32(unsigned.tobytes() + content[128 : 128 + 8])
    for index in range(len(data)):
        reals = (samples[index].astype(np.float32) - offset) * scale
        assert np.array_equal(data.reals(index)[0], reals)
    assert data.reals(0).shape == INPUT
    assert written.file_sha256 == hashlib.sha256(content).hexdigest()
    assert done == [(count, 12) for count in range(1, 13)]


def test_same_data_set_same_bytes(folder, tmp_path):
    first = write_dataset(open_dataset(folder, PREPROCESS, INPUT), tmp_path / "a.qbd")
    second = write_dataset(open_dataset(folder, PREPROCESS, INPUT), tmp_path / "b.qbd")
    assert (first.file_sha256, first.dataset_sha256) == (second.file_sha256, second.dataset_sha256)


def test_dataset_sha256_covers_ids_labels_preprocessing_and_bytes(folder, tmp_path):
    def key(**changes):
        data = open_dataset(folder, replace(PREPROCESS, **changes), INPUT)
        return write_dataset(data, tmp_path / "a.qbd").dataset_sha256

    keys = [key(), key(mean=(0.0,)), key(label_offset=1), key(crop=0.9)]
    table = folder / "labels.csv"
    table.write_text(table.read_text().replace("11.png,2", "11.png,1"))
    keys.append(key())
    (folder / "0.png").rename(folder / "first.png")
    table.write_text(table.read_text().replace("\n0.png", "\nfirst.png"))
    keys.append(key())
    Image.new("RGB", (16, 12)).save(folder / "5.png")
    keys.append(key())
    assert len(set(keys)) == len(keys)


def test_labels_are_the_models_classes(folder):
    data = open_dataset(folder, replace(PREPROCESS, label_offset=1), INPUT, classes=4)
    assert data.labels.tolist() == [1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3]
    assert data.ids[:2] == ["0.png", "1.png"]


def test_label_beyond_the_models_classes(folder):
    with pytest.raises(FormatError, match=r"'6\.png' has label 2, but the model has 2 classes$"):
        open_dataset(folder, PREPROCESS, INPUT, classes=2)
    with pytest.raises(FormatError, match="has 3 classes and labels are moved by 1"):
        open_dataset(folder, replace(PREPROCESS, label_offset=1), INPUT, classes=3)


def test_corrupt_image_leaves_no_file(folder, tmp_path):
    content = (folder / "7.png").read_bytes()
    (folder / "7.png").write_bytes(content[: len(content) // 2])
    data = open_dataset(folder, PREPROCESS, INPUT)
    with pytest.raises(FormatError, match=r"7\.png: not a readable image"):
        write_dataset(data, tmp_path / "a.qbd")
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_file_that_cannot_be_written(folder, tmp_path):
    with pytest.raises(UsageError, match=r"gone/a\.qbd: cannot be written: No such file"):
        write_dataset(open_dataset(folder, PREPROCESS, INPUT), tmp_path / "gone" / "a.qbd")


def test_files_of_one_set_are_stored_alike(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((8, 8, 3), np.float32))
    np.save(tmp_path / "b.npy", np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "labels.csv").write_text("file,label\na.npy,0\nb.npy,0\n")
    data = open_dataset(tmp_path, PREPROCESS, INPUT)
    with pytest.raises(FormatError, match=r"b\.npy: holds uint8 values, unlike .*a\.npy"):
        write_dataset(data, tmp_path / "a.qbd")


def test_float_arrays_are_kept_as_they_are(tmp_path):
    values = np.random.default_rng(0).normal(size=(8, 8, 3)).astype(np.float32)
    np.save(tmp_path / "a.npy", values)
    (tmp_path / "labels.csv").write_text("file,label\na.npy,0\n")
    data = open_dataset(tmp_path, PREPROCESS, INPUT)
    header, scale, offset, samples = read_back(write_dataset(data, tmp_path / "a.qbd").path)
    assert header["dtype"] == formats.constants()["F32"]
    assert (scale.tolist(), offset.tolist()) == ([1.0], [0.0])
    assert np.array_equal(samples[0], values)


def test_raw_int8_tensors_keep_their_quantization(tmp_path):
    stored = np.arange(-128, 128, dtype=np.int16).astype(np.int8)
    (tmp_path / "a.bin").write_bytes(stored.tobytes())
    (tmp_path / "labels.csv").write_text("file,label\na.bin,0\n")
    data = open_dataset(tmp_path, Preprocess(dtype="int8", mean=(83,), std=(1 / 0.5847029,)), (1, 16, 16))
    header, scale, offset, samples = read_back(write_dataset(data, tmp_path / "a.qbd").path)
    assert header["dtype"] == formats.constants()["S8"]
    assert (scale, offset) == (np.float32(0.5847029), 83)
    assert np.array_equal(samples.ravel(), stored)


# --- subsets ---

classes = st.lists(st.integers(0, 4), min_size=1, max_size=60)


def listing(labels):
    return [Sample(f"s{index}", None, label) for index, label in enumerate(labels)]


@given(classes, st.data())
def test_subset_is_stratified_ordered_and_repeatable(labels, data):
    samples = listing(labels)
    count = data.draw(st.integers(1, len(samples)))
    chosen = stratified(samples, count, "salt")
    assert len(chosen) == count
    assert chosen == stratified(samples, count, "salt")
    assert [s for s in samples if s in chosen] == list(chosen)
    for label in set(labels):
        share = labels.count(label) * count / len(labels)
        assert abs(sum(s.label == label for s in chosen) - share) <= 3  # half a sample for each class


@given(classes, st.data())
def test_smaller_subset_is_part_of_a_larger_one(labels, data):
    samples = listing(labels)
    count = data.draw(st.integers(1, len(samples)))
    assert set(stratified(samples, count, "s")) <= set(stratified(samples, len(samples), "s"))
    if count > 1:
        assert set(stratified(samples, count - 1, "s")) < set(stratified(samples, count, "s"))


def test_seed_changes_the_subset(folder):
    chosen = {tuple(open_dataset(folder, PREPROCESS, INPUT, 4, seed).ids) for seed in range(20)}
    assert len(chosen) > 5


@pytest.mark.parametrize("count", [0, -1, 13])
def test_subset_of_an_impossible_size(folder, count):
    with pytest.raises(UsageError, match=f"{count} samples were asked for; the data set has 12"):
        open_dataset(folder, PREPROCESS, INPUT, count)


def test_calibration_on_a_plain_folder_draws_from_all_of_it(folder):
    data = open_dataset(folder, PREPROCESS, INPUT)
    split = calibration_split(data, 6)
    assert len(split) == 6
    assert overlap(split, data)
    assert np.bincount(split.labels).tolist() == [1, 2, 3]
    assert len(calibration_split(data, 100)) == 12
    one = open_dataset(folder, PREPROCESS, INPUT, 1)
    assert overlap(calibration_split(one, 12), one)
    assert calibration_split(one, 3).ids == calibration_split(data, 3).ids


def test_what_is_held_out_for_calibration_is_not_evaluated(folder):
    whole = open_dataset(folder, PREPROCESS, INPUT)
    data = open_dataset(folder, PREPROCESS, INPUT, hold_out=6)
    split = calibration_split(data, 6)
    assert split.ids == calibration_split(whole, 6).ids
    assert sorted(data.ids + split.ids) == sorted(whole.ids)
    assert (data.held_out, whole.held_out) == (6, 0)
    assert not overlap(split, data)
    assert np.bincount(data.labels).tolist() == [1, 2, 3]
    few = open_dataset(folder, PREPROCESS, INPUT, 3, hold_out=6)
    assert set(few.ids) < set(data.ids)
    with pytest.raises(UsageError, match=r"7 samples were asked for; data set .*set has 6, and 6 for calib"):
        open_dataset(folder, PREPROCESS, INPUT, 7, hold_out=6)


def test_a_folder_too_small_to_hold_samples_out_is_evaluated_whole(folder):
    data = open_dataset(folder, PREPROCESS, INPUT, hold_out=7)
    assert (len(data), data.held_out) == (12, 0)
    assert overlap(calibration_split(data, 7), data)


def test_calibration_on_a_folder_of_its_own(folder, monkeypatch):
    data = open_dataset(folder, PREPROCESS, INPUT)
    (folder / "labels.csv").unlink()
    monkeypatch.chdir(folder.parent)
    own = open_unlabelled("set", PREPROCESS, INPUT)
    assert sorted(own.ids) == sorted(data.ids)
    assert overlap(calibration_split(own, 2), data)  # however the folder is written


def test_calibration_on_a_training_split_is_disjoint():
    pytest.importorskip("elpv_dataset", reason="needs the extra 'solar'")
    data = open_dataset("solar_cells", Preprocess(channels=1), (1, 128, 128, 1), classes=2)
    split = calibration_split(data)
    assert (len(data), len(split)) == (654, 100)
    assert not overlap(split, data)
    assert not set(split.ids) & set(data.ids)
    assert set(np.unique(data.labels)) == {0, 1}


# --- opening ---


def test_packaged_data_set_that_is_not_installed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'quantbench\[solar\]'"):
        open_dataset("solar_cells", Preprocess(channels=1), (1, 128, 128, 1))


def test_unknown_names_and_files(tmp_path):
    assert "solar_cells" in names()
    with pytest.raises(UsageError, match="did you mean solar_cells"):
        open_dataset("solar_cell", PREPROCESS, INPUT)
    (tmp_path / "labels.csv").touch()
    with pytest.raises(UsageError, match="is a file; give the folder"):
        open_dataset(tmp_path / "labels.csv", PREPROCESS, INPUT)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"std": (0.0,)}, "std must not be 0"),
        ({"std": (float("nan"),)}, "std .* finite"),
        ({"mean": (1.0, 2.0)}, "mean .* 1 or 3"),
        ({"mean": ()}, "mean"),
        ({"crop": 0.0}, "crop"),
        ({"crop": 1.5}, "crop"),
        ({"channels": 4}, "channels 4"),
        ({"resize": (0, 8)}, "resize"),
    ],
)
def test_impossible_preprocessing(folder, changes, message):
    with pytest.raises(UsageError, match=message):
        open_dataset(folder, replace(PREPROCESS, **changes), INPUT)


@pytest.mark.parametrize("shape", [(), (1,), (2, 8, 8, 3), (1,) * 8])
def test_impossible_input(folder, shape):
    with pytest.raises(UsageError, match="batch of 1"):
        open_dataset(folder, PREPROCESS, shape)
