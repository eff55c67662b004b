"""The embedded default: its data, its split, and that the exported graph is the network that was trained."""

from pathlib import Path

import numpy as np
import pytest

import models
from harness.datasets import open_dataset
from harness.errors import FormatError
from harness.ops import node_macs, run_reference
from harness.samples import storage_of
from models.architectures.builder import stored
from models.architectures.mobilenet_v1 import LOGITS
from models.data import solar_cells
from models.solar_cells import NETWORK

GOLDEN = Path(__file__).parent.parent / "golden" / "solar_cells.npz"


@pytest.fixture(scope="module")
def recipe():
    return models.load("solar_cells")


@pytest.fixture(scope="module")
def graph(recipe):
    return recipe.build()


@pytest.fixture(scope="module")
def parts():
    pytest.importorskip("elpv_dataset", reason="needs the extra 'solar'")
    return solar_cells.splits()


def test_graph_gives_what_the_trained_network_gave(recipe, graph):
    golden = np.load(GOLDEN)
    storage = storage_of(Path("cell.png"), np.dtype(np.uint8), recipe.preprocess)
    for pixels, expected in zip(golden["pixels"], golden["probabilities"], strict=True):
        found = run_reference(graph, {"input": storage.reals(pixels)[None]})["probabilities"]
        assert np.abs(found[0] - expected).max() <= 1e-4
    assert len(golden["pixels"]) == 8
    assert golden["probabilities"][:, 1].max() > 0.5 > golden["probabilities"][:, 1].min()


def test_golden_pixels_are_what_preprocessing_gives(recipe, parts):
    golden = np.load(GOLDEN)
    data = open_dataset("solar_cells", recipe.preprocess, recipe.input_shape, classes=2)
    for sample_id, pixels in zip(golden["ids"], golden["pixels"], strict=True):
        assert np.array_equal(data.stored(data.ids.index(sample_id)), pixels)


def test_graph_leaves_folding_and_fusing_to_the_optimizer(graph):
    ops = [node.op for node in graph.nodes]
    assert ops.count("Conv2D") + ops.count("DepthwiseConv2D") == 27
    assert ops.count("BatchNorm") == ops.count("Relu6") == 27
    assert 12e6 < sum(node_macs(graph, node) for node in graph.nodes) < 15e6


def test_weights_are_a_few_hundred_kilobytes():
    size = models.FOLDER.joinpath("solar_cells.npz").stat().st_size
    assert 200_000 < size < 600_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda weights: weights.pop("MobilenetV1/Conv2d_3_depthwise/BatchNorm/beta"),
            "the weights lack 'MobilenetV1/Conv2d_3_depthwise/BatchNorm/beta'",
        ),
        (lambda weights: weights.update({f"{LOGITS}/biases": np.zeros(3)}), r"biases' has shape \(3,\)"),
    ],
)
def test_weights_that_do_not_fit_are_named(recipe, change, message):
    weights = dict(np.load(models.FOLDER / "solar_cells.npz"))
    change(weights)
    with pytest.raises(FormatError, match=message):
        NETWORK(stored(weights, "solar_cells"), input_shape=recipe.input_shape)


def test_split_is_complete_disjoint_and_stratified(parts):
    ids = [cell.id for cells in parts.values() for cell in cells]
    assert len(ids) == len(set(ids)) == 2624
    assert {name: len(cells) for name, cells in parts.items()} == {
        "train": 1575,
        "validation": 395,
        "test": 654,
    }
    for cells in parts.values():
        assert sum(cell.label for cell in cells) / len(cells) == pytest.approx(821 / 2624, abs=0.005)
        mono = sum(cell.wafer == "mono" for cell in cells) / len(cells)
        assert mono == pytest.approx(1074 / 2624, abs=0.005)


def test_split_is_the_one_that_the_weights_were_trained_with(parts):
    """Another split would let training images into the evaluation."""
    assert [cell.id for cell in parts["test"][::82]] == np.load(GOLDEN)["ids"].tolist()
    assert solar_cells.splits() == parts
    assert solar_cells.splits(seed=1) != parts


def test_a_probability_above_one_half_is_defective(parts):
    labels = {round(c.probability, 2): c.label for cells in parts.values() for c in cells}
    assert labels == {0.0: 0, 0.33: 0, 0.67: 1, 1.0: 1}


def test_damaged_table_names_the_line(tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("images/a.png 1.0 mono\nimages/b.png maybe mono\n")
    with pytest.raises(FormatError, match="labels.csv, line 2"):
        solar_cells.read_cells(table)
