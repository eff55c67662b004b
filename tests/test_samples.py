"""One sample file at a time: what is read, and that damage is named."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from harness.errors import BenchError, FormatError, UsageError
from harness.samples import central_box, read_sample, storage_of
from models import Preprocess

SHAPE = (8, 6, 3)
RGB = Preprocess(mean=(127.5,), std=(127.5,))
GREY = Preprocess(channels=1)


def gradient(height: int = 40, width: int = 30) -> np.ndarray:
    """A picture whose channels differ, so that a swapped order shows."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows * 6, columns * 8, 255 - rows * 6], -1).astype(np.uint8)


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def test_image_is_cropped_resized_and_in_rgb_order(tmp_path):
    path = save(tmp_path / "a.png", gradient())
    stored = read_sample(path, Preprocess(crop=0.5, resize=(8, 6)), SHAPE)
    cropped = Image.fromarray(gradient()[10:30, 8:22])  # 30 wide: the margin of 7.5 rounds to 8
    assert np.array_equal(stored, np.asarray(cropped.resize((6, 8), Image.Resampling.BILINEAR)))
    assert stored.dtype == np.uint8
    assert stored[-1, 0, 0] > stored[0, 0, 0]
    assert stored[-1, 0, 2] < stored[0, 0, 2]


def test_grey_image_and_input_size_as_default(tmp_path):
    path = save(tmp_path / "a.png", gradient())
    stored = read_sample(path, GREY, (5, 7, 1))
    expected = Image.fromarray(gradient()).convert("L").resize((7, 5), Image.Resampling.BILINEAR)
    assert np.array_equal(stored[..., 0], np.asarray(expected))


@pytest.mark.parametrize(
    ("mode", "suffix"), [("L", "png"), ("P", "png"), ("RGBA", "png"), ("CMYK", "jpg"), ("1", "bmp")]
)
def test_other_modes_become_rgb(tmp_path, mode, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(gradient()).convert(mode).save(path)
    assert read_sample(path, RGB, SHAPE).shape == SHAPE


@given(st.integers(1, 5000), st.integers(1, 5000), st.floats(0.001, 1))
def test_central_box_is_inside_and_never_empty(width, height, fraction):
    left, top, right, bottom = central_box((width, height), fraction)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


def test_whole_image_where_crop_is_one():
    assert central_box((33, 7), 1.0) == (0, 0, 33, 7)


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "webp"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_cut_short_image_is_refused_by_name(tmp_path, suffix, share):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = save(tmp_path / f"cut.{suffix}", noise)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(FormatError, match=rf"cut\.{suffix}: not a readable image"):
        read_sample(path, RGB, SHAPE)


def test_decompression_bomb_is_refused(tmp_path):
    path = tmp_path / "bomb.png"
    Image.new("1", (20000, 20000)).save(path)
    assert path.stat().st_size < 200_000
    with pytest.raises(FormatError, match=r"bomb\.png: .*decompression bomb"):
        read_sample(path, RGB, SHAPE)


def test_more_than_eight_bits_is_refused(tmp_path):
    path = tmp_path / "deep.png"
    Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000).save(path)
    with pytest.raises(FormatError, match=r"deep\.png: more than 8 bits"):
        read_sample(path, GREY, (8, 8, 1))


def test_postscript_never_reaches_its_interpreter(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n")
    with pytest.raises(FormatError, match="not a readable image"):
        read_sample(path, RGB, SHAPE)


def test_image_for_a_model_that_takes_none(tmp_path):
    path = save(tmp_path / "a.png", gradient())
    with pytest.raises(FormatError, match=r"a\.png: an image, but the model's input is 640"):
        read_sample(path, RGB, (640,))
    with pytest.raises(FormatError, match=r"preprocessing gives 8×6×3, the model's input is 8×6×1"):
        read_sample(path, RGB, (8, 6, 1))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "float32"])
def test_raw_tensor(tmp_path, dtype):
    values = np.arange(12).reshape(3, 4).astype(dtype)
    path = tmp_path / "a.bin"
    path.write_bytes(values.tobytes())
    stored = read_sample(path, Preprocess(dtype=dtype), (3, 4))
    assert np.array_equal(stored, values)
    assert stored.dtype == np.dtype(dtype)


@pytest.mark.parametrize("size", [0, 11, 13, 48])
def test_raw_tensor_of_another_size(tmp_path, size):
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(size))
    with pytest.raises(FormatError, match=rf"a\.bin: {size} bytes, but int8 3×4 takes 12"):
        read_sample(path, Preprocess(dtype="int8"), (3, 4))


def test_raw_tensor_of_unknown_dtype(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(12))
    with pytest.raises(UsageError, match="dtype 'int16'"):
        read_sample(path, Preprocess(dtype="int16"), (3, 4))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("batch", [(), (1,)])
def test_array(tmp_path, dtype, batch):
    values = np.arange(12).reshape(*batch, 3, 4).astype(dtype)
    np.save(tmp_path / "a.npy", values)
    stored = read_sample(tmp_path / "a.npy", Preprocess(), (3, 4))
    assert np.array_equal(stored, values.reshape(3, 4))
    assert stored.dtype == (np.float32 if np.dtype(dtype).kind == "f" else dtype)


def test_array_that_does_not_fit(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((4, 3), np.float32))
    with pytest.raises(FormatError, match=r"a\.npy: holds 4×3, the model's input is 3×4"):
        read_sample(tmp_path / "a.npy", Preprocess(), (3, 4))
    np.save(tmp_path / "b.npy", np.zeros((3, 4), np.int64))
    with pytest.raises(FormatError, match=r"b\.npy: dtype int64"):
        read_sample(tmp_path / "b.npy", Preprocess(), (3, 4))


def test_array_of_objects_is_not_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[{}]], object), allow_pickle=True)
    with pytest.raises(FormatError, match=r"a\.npy: not a readable"):
        read_sample(tmp_path / "a.npy", Preprocess(), (1, 1))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite(tmp_path, value):
    values = np.full((3, 4), value, np.float32)
    np.save(tmp_path / "a.npy", values)
    (tmp_path / "a.bin").write_bytes(values.tobytes())
    for name in ("a.npy", "a.bin"):
        with pytest.raises(FormatError, match="not finite"):
            read_sample(tmp_path / name, Preprocess(dtype="float32"), (3, 4))


def test_missing_and_unknown_files(tmp_path):
    with pytest.raises(UsageError, match=r"gone\.png: no such file"):
        read_sample(tmp_path / "gone.png", RGB, SHAPE)
    with pytest.raises(UsageError, match=r"a\.txt: not a sample file"):
        read_sample(tmp_path / "a.txt", RGB, SHAPE)


def _encoded(form: str) -> bytes:
    stream = io.BytesIO()
    if form == "npy":
        np.save(stream, np.zeros((8, 6, 3), np.float32))
    else:
        Image.fromarray(gradient()).save(stream, form)
    return stream.getvalue()


FORMS = {form: _encoded(form) for form in ("jpeg", "png", "ppm", "webp", "bmp", "npy")}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(FORMS)), st.data())
def test_damaged_bytes_give_a_sample_or_one_clear_error(tmp_path, form, data):
    content = bytearray(FORMS[form])
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / f"damaged.{form}"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    message = ""
    try:
        assert read_sample(path, RGB, SHAPE).shape == SHAPE
    except BenchError as error:
        message = str(error)
    assert not message or path.name in message
    assert "\n" not in message


def test_storage_of_pixels_is_exact():
    storage = storage_of(Path("a.png"), np.dtype(np.uint8), RGB)
    pixels = np.arange(256, dtype=np.uint8)
    expected = (pixels.astype(np.float32) - np.float32(127.5)) * np.float32(1 / 127.5)
    assert np.array_equal(storage.reals(pixels), expected)
    assert storage.reals(pixels).dtype == np.float32


def test_storage_of_float_arrays_is_the_identity():
    storage = storage_of(Path("a.npy"), np.dtype(np.float32), RGB)
    values = np.linspace(-3, 3, 12, dtype=np.float32)
    assert np.array_equal(storage.reals(values), values)


@given(st.integers(-128, 127), st.floats(2**-14, 100, width=32))
def test_storage_of_quantized_tensors_is_the_quantization(zero_point, scale):
    preprocess = Preprocess(dtype="int8", mean=(zero_point,), std=(1 / scale,))
    storage = storage_of(Path("a.bin"), np.dtype(np.int8), preprocess)
    stored = np.arange(-128, 128).astype(np.int8)
    assert np.array_equal(storage.scale, [np.float32(scale)])
    expected = (stored.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
    assert np.array_equal(storage.reals(stored), expected)
    assert np.array_equal(np.round(storage.reals(stored) / np.float32(scale)) + zero_point, stored)


def test_storage_has_one_mean_and_std_for_each_channel():
    preprocess = Preprocess(mean=(1, 2, 3), std=(2,))
    storage = storage_of(Path("a.png"), np.dtype(np.uint8), preprocess)
    assert storage.reals(np.full((2, 2, 3), 5, np.uint8))[1, 1].tolist() == [2.0, 1.5, 1.0]
