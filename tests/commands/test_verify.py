"""`bench verify` and `bench label` as a user meets them."""

import numpy as np
import pytest
from PIL import Image

from harness import exporters
from harness.cli import main
from tests.support.graphs import small_network

PREPROCESS = ["--preprocess", "mean=127.5,std=127.5"]


def bench(capsys, *argv):
    code = main([str(a) for a in argv])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def files(tmp_path):
    """A network, the same with other weights, an image and an array."""
    exporters.save(small_network(), tmp_path / "a.pb")
    exporters.save(small_network(), tmp_path / "a.tflite")
    exporters.save(small_network(seed=1), tmp_path / "b.pb")
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8)).save(tmp_path / "image.png")
    np.save(tmp_path / "x.npy", rng.normal(size=(9, 9, 3)).astype(np.float32))
    return tmp_path


def test_models_that_agree(capsys, files):
    image = ["--image", files / "image.png", *PREPROCESS]
    code, out, _ = bench(capsys, "verify", files / "a.pb", files / "a.tflite", *image, "--layers", "--quiet")
    assert code == 0
    assert "same top-1             1 of 1" in out
    assert "agree to 5 decimals" in out


def test_an_onnx_file_is_judged_by_onnx_runtime(capsys, files):
    pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    exporters.save(small_network(), files / "a.onnx")
    argv = ["--image", files / "x.npy", "--layers", "--quiet"]
    assert bench(capsys, "verify", files / "a.pb", files / "a.onnx", *argv)[0] == 0
    assert bench(capsys, "verify", files / "b.pb", files / "a.onnx", *argv)[0] == 1
    (files / "a.onnx").write_bytes(b"no model")
    code, _, err = bench(capsys, "verify", files / "a.pb", files / "a.onnx", *argv)
    assert code == 2
    assert "ONNX Runtime refuses" in err
    assert err.count("\n") == 1


def test_models_that_do_not(capsys, files):
    argv = ["--image", files / "x.npy", "--layers", "--decimals", "3", "--quiet"]
    code, out, _ = bench(capsys, "verify", files / "a.pb", files / "b.pb", *argv)
    assert code == 1
    assert "0 agree before the first that does not:\n  conv2d" in out
    assert "do NOT agree to 3 decimals" in out


def test_what_is_missing_is_said(capsys, files):
    code, _, err = bench(capsys, "verify", files / "a.pb", files / "b.pb")
    assert (code, err) == (2, "bench: there is nothing to compare on: give --image FILE… or --dataset DIR\n")
    code, _, err = bench(capsys, "verify", files / "a.pb", files / "b.pb", "--image", files / "image.png")
    assert code == 2
    assert "give --preprocess" in err


def test_labels_of_an_image(capsys, files):
    (files / "labels.txt").write_text("ant\nbee\ncat\ndog\nelk\n")
    model = ["--model", files / "a.pb", *PREPROCESS, "--labels", files / "labels.txt", "--quiet"]
    code, out, _ = bench(capsys, "label", *model, files / "image.png", files / "x.npy")
    assert code == 0
    lines = out.splitlines()
    assert (lines[0], lines[6]) == ("image.png", "x.npy")
    scores = [float(line.split()[0]) for line in lines[1:6]]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1, abs=1e-4)
    assert {line.split()[1] for line in lines[1:6]} == {"ant", "bee", "cat", "dog", "elk"}


def test_labels_that_do_not_fit_are_refused(capsys, files):
    (files / "labels.txt").write_text("ant\nbee\n")
    model = ["--model", files / "a.pb", "--labels", files / "labels.txt"]
    code, _, err = bench(capsys, "label", *model, files / "x.npy", "--quiet")
    assert code == 2
    assert "2 labels, but the model has 5 classes" in err


def test_labels_of_the_labs_mobilenet(capsys, lab):
    model = ["--model", "mobilenet_v1_0.25_128"]
    weights = ["--weights", lab / "models" / "mobilenet_v1_0.25_128_frozen.pb"]
    image = lab / "imagenet_sample" / "n01440764_tench.JPEG"
    code, out, _ = bench(capsys, "label", *model, *weights, image, "--top", "1", "--quiet")
    assert code == 0
    assert out.splitlines()[1].endswith("  tench")


def test_optimizing_the_labs_graph_changes_nothing_to_5_decimals_on_20_images(capsys, lab, tmp_path):
    graph = lab / "models" / "retrained_graph.pb"
    assert main(["optimize", str(graph), str(tmp_path / "small.pb"), "--quiet"]) == 0
    images = ["--dataset", lab / "imagenet_sample"]  # 20 of it
    preprocess = ["--preprocess", "crop=0.875,resize=128,mean=127.5,std=127.5"]
    capsys.readouterr()
    code, out, _ = bench(capsys, "verify", graph, tmp_path / "small.pb", *images, *preprocess, "--quiet")
    assert code == 0
    assert "same top-1             20 of 20" in out
