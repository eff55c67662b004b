"""What a calibration set observes; the rest of preparing is tested by tests/test_pipeline.py."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from harness.errors import UsageError
from harness.passes import quantize_nodes, quantize_weights
from harness.prepare import open_calibration, prepare, variant_graph
from harness.sources import Source, parse_preprocess
from tests.support.graphs import Builder, small_network


def silent(what, done=0, total=0):
    pass


@pytest.fixture
def images(tmp_path):
    """Two classes of two images, black and white."""
    for label in range(2):
        (tmp_path / "images" / str(label)).mkdir(parents=True)
        for i, grey in enumerate((0, 255)):
            pixels = np.full((9, 9, 3), grey, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / str(label) / f"{i}.png")
    return str(tmp_path / "images")


def test_ranges_of_a_graph_that_passes_have_changed(images, tmp_path):
    source = Source("small", small_network(), parse_preprocess("mean=127.5,std=127.5"))
    observe = open_calibration(source, images, tmp_path, silent).ranges
    graph = quantize_weights.run(source.graph, minimum_size=1)
    ranges = observe(graph)
    assert {name for node in source.graph.nodes for name in node.outputs} | {"x"} <= ranges.keys()
    assert (ranges["x"].low, ranges["x"].high) == (-1.0, 1.0)
    quantized = quantize_nodes.run(graph, stage=2, calibrate=observe)
    assert [node.op for node in quantized.nodes].count("Quantize") == 1


def test_without_samples_it_says_what_is_missing(tmp_path):
    source = Source("small", small_network())
    with pytest.raises(UsageError, match="model 'small': int8 is calibrated on samples, and there are none"):
        open_calibration(source, None, tmp_path, silent)


@pytest.fixture
def channels_first():
    """A network that takes (1, 3, 9, 9) and turns it."""
    b = Builder("first")
    x = b.node("Transpose", b.input((1, 3, 9, 9)), b.const(np.array([0, 2, 3, 1], np.int32)))
    x = b.node("Conv2D", x, b.const(np.random.default_rng(0).normal(size=(2, 3, 3, 3))))
    x = b.node("Reshape", b.node("MaxPool2D", x, filter=(7, 7)), shape=(1, 2))
    return Source("first", b.build(x), parse_preprocess("mean=127.5,std=127.5"))


def test_a_channels_first_network_takes_a_data_sets_images(channels_first, images, tmp_path):
    assert channels_first.input_shape == (1, 9, 9, 3)
    made = prepare(channels_first, None, images, None, tmp_path, silent)
    assert [variant.name for variant in made.variants.values()] == ["f32", "hybrid", "int8"]
    assert len(made.evaluation.ids) == 4


def test_variants_of_a_channels_first_network_keep_its_input(channels_first, images, tmp_path):
    graph = variant_graph(channels_first, "int8", images, tmp_path, silent)
    tensor = graph.tensors[graph.inputs[0]]
    assert (tensor.dtype, tensor.shape) == (np.int8, (1, 3, 9, 9))


def test_preparing_again_gives_the_same_and_makes_nothing(images, tmp_path, monkeypatch):
    source = Source("small", small_network(), parse_preprocess("mean=127.5,std=127.5"))
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    before = prepare(source, None, images, None, first, silent)
    monkeypatch.setattr("harness.prepare.pack", None)
    monkeypatch.setattr("harness.datasets.write_dataset", None)
    after = prepare(source, None, images, None, second, silent)
    assert list(after.variants.values()) == list(before.variants.values())
    assert (after.notes, after.evaluation.sha256) == (before.notes, before.evaluation.sha256)
    assert [count for _, count in after.shards] == [count for _, count in before.shards]
    fewer = prepare(source, ["f32"], images, None, tmp_path, silent)
    assert fewer.notes == ()


def test_what_all_leaves_out_is_said(tmp_path):
    made = prepare(Source("m", small_network()), ["all"], None, None, tmp_path, silent)
    assert "int8" not in {variant.name for variant in made.variants.values()}
    no_samples, no_trained = made.notes
    assert "no int8 variant: give samples" in no_samples
    assert "no qat variant: give the network" in no_trained


def test_another_calibration_or_network_is_another_file(images, tmp_path):
    def hashes(network, preprocess, name):
        folder = tmp_path / name
        folder.mkdir()
        made = prepare(Source("m", network, parse_preprocess(preprocess)), None, images, None, folder, silent)
        return {variant.name: variant.model_sha256 for variant in made.variants.values()}

    one = hashes(small_network(), "mean=127.5,std=127.5", "one")
    brighter = hashes(small_network(), "mean=0,std=127.5", "two")
    assert (brighter["f32"] == one["f32"], brighter["int8"] == one["int8"]) == (True, False)
    changed = small_network()
    next(tensor for tensor in changed.tensors.values() if tensor.is_const).data[...] *= 2
    assert hashes(changed, "mean=127.5,std=127.5", "three")["f32"] != one["f32"]


def noted(source, images, folder, calibration=None):
    work = folder / f"work-{len(list(folder.iterdir()))}"
    work.mkdir()
    made = prepare(source, ["f32", "int8"], images, None, work, silent, calibration)
    return len(made.evaluation.ids), made.notes


def test_calibration_keeps_samples_to_itself(channels_first, images, tmp_path, monkeypatch):
    monkeypatch.setattr("harness.prepare.CALIBRATION_SAMPLES", 2)
    count, notes = noted(channels_first, images, tmp_path)
    assert count == 2
    assert notes == (
        "first: 2 samples of data set 'images' are kept for calibration, the 2 evaluated are others; "
        "--calibration DIR takes other images instead",
    )


def test_a_folder_for_calibration_leaves_the_data_set_whole(channels_first, images, tmp_path, monkeypatch):
    monkeypatch.setattr("harness.prepare.CALIBRATION_SAMPLES", 2)
    other = tmp_path / "other"
    other.mkdir()
    Image.new("RGB", (9, 9)).save(other / "x.png")
    assert noted(channels_first, images, tmp_path, str(other)) == (4, ())
    count, notes = noted(channels_first, images, tmp_path, images)
    assert count == 4
    assert notes[0].startswith("first: calibrated on samples that are evaluated too")


def test_samples_without_labels_are_enough_to_calibrate(channels_first, images, tmp_path):
    made = prepare(channels_first, None, None, None, tmp_path, silent, images)
    assert made.evaluation is None
    assert "int8" in [variant.name for variant in made.variants.values()]
    assert made.notes == ()


def test_two_models_of_one_run_do_not_share_their_calibration(channels_first, images, tmp_path):
    small = Source("small", small_network(), parse_preprocess("mean=127.5,std=127.5"))
    grey = replace(channels_first, preprocess=parse_preprocess("mean=0,std=1"))
    together = [
        prepare(source, ["int8"], images, None, tmp_path, silent) for source in (small, grey, channels_first)
    ]
    (tmp_path / "alone").mkdir()
    alone = prepare(channels_first, ["int8"], images, None, tmp_path / "alone", silent)
    hashes = [next(iter(made.variants.values())).model_sha256 for made in (*together, alone)]
    assert hashes[2] == hashes[3] != hashes[1]


def test_steps_of_quantization_are_part_of_what_a_kept_file_is_known_by(images, tmp_path):
    source = Source("small", small_network(), parse_preprocess("mean=127.5,std=127.5"))
    hashes = []
    for steps in (None, "observe(method=min_max)", "one_scale", None):
        made = prepare(source, ["int8"], images, None, tmp_path, silent, steps=steps)
        hashes += [variant.model_sha256 for variant in made.variants.values()]
    assert hashes[0] == hashes[3]
    assert len(set(hashes)) == 3
