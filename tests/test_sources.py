import numpy as np
import pytest

import models
from harness import exporters, fetch, passes
from harness.errors import FormatError, UsageError
from harness.exporters import tflite
from harness.quantize import int8
from harness.quantize.calibrate import Range
from harness.sources import open_source, parse_preprocess
from models import Preprocess
from tests.support.graphs import Builder, small_network


@pytest.fixture
def model_file(tmp_path):
    path = tmp_path / "small.tflite"
    path.write_bytes(tflite.write(small_network()))
    return path


def test_a_file_is_a_model_named_after_it(model_file):
    source = open_source(str(model_file))
    assert (source.name, source.input_shape, source.classes) == ("small", (1, 9, 9, 3), 5)
    assert not source.quantized
    assert source.preprocess is None


def test_a_recipe_brings_its_preprocessing_and_dataset():
    source = open_source("solar_cells")
    assert source.dataset == "solar_cells"
    assert source.preprocess.channels == 1
    assert {node.op for node in source.graph.nodes}.isdisjoint({"BatchNorm", "Identity", "Relu6"})


@pytest.mark.parametrize(
    ("model", "weights", "message"),
    [
        ("solar_sells", None, "unknown model 'solar_sells': did you mean solar_cells"),
        ("nowhere.tflite", None, "nowhere.tflite"),
        ("nowhere.tflite", "seeded", "--weights goes with a recipe's name"),
        ("solar_cells", "fetched", "published nowhere"),
        ("nowhere.tflite", "w.pb", "--weights goes with a recipe's name"),
        ("kws", "nowhere.tflite", "nowhere.tflite"),
    ],
)
def test_what_cannot_be_opened_is_named(model, weights, message):
    with pytest.raises(UsageError, match=message):
        open_source(model, weights)


def test_weights_of_another_network_are_refused(model_file):
    with pytest.raises(FormatError, match=r"its input is \(1, 9, 9, 3\), but recipe 'kws' takes"):
        open_source("kws", str(model_file))


def test_several_inputs_are_refused(tmp_path):
    b = Builder()
    graph = b.build(b.node("Add", b.input((1, 2), "a"), b.input((1, 2), "b")))
    path = tmp_path / "two.tflite"
    path.write_bytes(tflite.write(graph))
    with pytest.raises(FormatError, match="2 inputs and 1 outputs"):
        open_source(str(path))


@pytest.fixture
def shelf(monkeypatch, tmp_path):
    """Published files by their URL, as the cache would hold them; what is not there cannot be had."""
    there, asked = {}, []

    def path(wanted, progress):
        asked.append(wanted)
        if wanted.url not in there:
            raise UsageError(f"{wanted.url}: cannot be reached")
        return there[wanted.url]

    monkeypatch.setattr(fetch, "cached", lambda wanted: there.get(wanted.url))
    monkeypatch.setattr(fetch, "path", path)
    return there, asked


def test_published_weights_are_a_recipes_own(shelf, tmp_path):
    recipe, path = models.load("kws"), tmp_path / "kws.tflite"
    exporters.save(passes.apply(recipe.seeded(None)), path)
    shelf[0][recipe.fetched.url] = path
    default, fetched = open_source("kws"), open_source("kws", "fetched")
    assert default.fingerprint == fetched.fingerprint == open_source("kws", str(path)).fingerprint
    assert not default.seeded


def test_without_the_network_one_line_says_what_helps(shelf):
    with pytest.raises(
        UsageError,
        match=r"cannot be reached; or give --weights FILE: MLPerf Tiny's kws_ref_model_float32\.tflite; "
        "or --weights seeded for latency and size alone",
    ):
        open_source("kws")


def test_seeded_weights_have_no_data_set_of_their_own(shelf):
    source = open_source("solar_cells", "seeded")
    assert source.seeded
    assert source.dataset is None
    assert source.input_shape == open_source("solar_cells").input_shape
    assert shelf[1] == []


@pytest.fixture
def trained_file(tmp_path):
    """Writes the int8 form of a network as a file."""

    def write(graph):
        ranges = {name: Range(-3.0, 3.0) for name in graph.tensors}
        path = tmp_path / "trained.tflite"
        path.write_bytes(tflite.write(int8.quantize(graph, ranges)))
        return str(path)

    return write


def test_a_network_trained_with_quantization_comes_beside_the_float_one(model_file, trained_file):
    source = open_source(str(model_file), qat=trained_file(small_network()))
    assert (source.qat.name, source.qat.quantized, source.quantized) == ("small", True, False)


def other_network(width, classes):
    b = Builder()
    weights = b.const(np.ones((classes, width * width * 3), np.float32))
    x = b.node("Reshape", b.input((1, width, width, 3)), shape=(1, width * width * 3))
    return b.build(b.node("FullyConnected", x, weights))


@pytest.mark.parametrize(
    ("width", "classes", "message"),
    [
        (8, 5, r"trained.tflite: its input is \(1, 8, 8, 3\), but that of 'small' is \(1, 9, 9, 3\)"),
        (9, 4, "trained.tflite: its number of classes is 4, but that of 'small' is 5"),
    ],
)
def test_a_trained_network_of_another_kind_is_refused(model_file, trained_file, width, classes, message):
    with pytest.raises(UsageError, match=message):
        open_source(str(model_file), qat=trained_file(other_network(width, classes)))


def test_float_and_trained_network_cannot_change_places(model_file, trained_file):
    with pytest.raises(UsageError, match="small.tflite: its activations are float"):
        open_source(str(model_file), qat=str(model_file))
    trained = trained_file(small_network())
    with pytest.raises(UsageError, match="beside a float model; 'trained' is quantized itself"):
        open_source(trained, qat=trained)


def test_preprocessing_in_words():
    assert parse_preprocess("crop=0.875,resize=128,mean=127.5,std=127.5,labels+1") == Preprocess(
        crop=0.875, resize=(128, 128), mean=(127.5,), std=(127.5,), label_offset=1
    )
    assert parse_preprocess("resize=96x48,grey,mean=1:2:3,dtype=int8") == Preprocess(
        resize=(96, 48), channels=1, mean=(1.0, 2.0, 3.0), dtype="int8"
    )


def test_preprocessing_changes_only_what_it_names():
    base = Preprocess(crop=0.5, label_offset=1)
    assert parse_preprocess("std=2", base) == Preprocess(crop=0.5, label_offset=1, std=(2.0,))
    assert parse_preprocess(None, base) is None


@pytest.mark.parametrize(
    "text", ["", "crop", "crop=x", "zoom=2", "resize=1x2x3", "labels+", "dtype=int4", "mean="]
)
def test_preprocessing_that_cannot_be_read_is_quoted(text):
    with pytest.raises(UsageError, match="--preprocess: cannot read"):
        parse_preprocess(text)
