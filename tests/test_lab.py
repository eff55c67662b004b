"""The lab's real networks and images through the whole project: the figures that the issues ask for."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from harness.cli import main
from harness.samples import read_sample
from models import Preprocess

MOBILENET = "mobilenet_v1_0.25_128"


def bench(*argv):
    return main([str(a) for a in (*argv, "--quiet")])


def cells_of(tmp_path, *argv):
    """The cells that a run prints as JSON, by variant."""
    out = tmp_path / "out.json"
    store = tmp_path / "results.db"
    assert bench(*argv, "--quick", "--format", "json", "--out", out, "--store", store) == 0
    return {cell["variant"]: cell for cell in json.loads(out.read_text())["cells"]}


def mobilenet(lab):
    return ["--model", MOBILENET, "--weights", lab / "models" / f"{MOBILENET}_frozen.pb"]


def images(lab):
    """The 500 of the lab's figures, which were calibrated on some of them."""
    return ["--dataset", lab / "imagenet_sample", "--calibration", lab / "imagenet_sample"]


def check_mobilenet(cells):
    assert abs(cells["f32"]["top1"] - 0.472) <= 0.002
    assert abs(cells["hybrid"]["top1"] - cells["f32"]["top1"]) <= 0.006
    assert cells["int8"]["top1"] >= 0.462
    for variant in ("hybrid", "int8"):
        assert cells[variant]["size_bytes"] <= 0.29 * cells["f32"]["size_bytes"]


def test_mobilenets_whole_row_on_this_machine(lab, tmp_path):
    """The trained file gets 0.418 in LiteRT's reference kernels too, and 0.410 in the ones LiteRT prefers."""
    trained = ["--qat", lab / "models" / f"{MOBILENET}_quant.tflite"]
    cells = cells_of(tmp_path, "--device", "local", *mobilenet(lab), *images(lab), *trained)
    check_mobilenet(cells)
    assert abs(cells["hybrid"]["top1"] - 0.472) <= 0.0021
    assert cells["int8"]["top1"] >= 0.467
    assert cells["qat"]["arithmetic"] == "int8-qat"
    assert cells["qat"]["top1"] == pytest.approx(0.418, abs=0.0005)


@pytest.mark.parametrize("device", ["local", pytest.param("qemu-a76", marks=pytest.mark.slow)])
def test_float16_weights_predict_as_float32_does(lab, tmp_path, device):
    """Expanded to float32 here; in float16 arithmetic on the Cortex-A76."""
    variants = ["--variants", "f32,f16"]
    cells = cells_of(tmp_path, "--device", device, *mobilenet(lab), *images(lab), *variants)
    assert abs(cells["f16"]["top1"] - cells["f32"]["top1"]) < 0.003  # one of 500 images
    assert cells["f16"]["size_bytes"] <= 0.52 * cells["f32"]["size_bytes"]


@pytest.mark.slow
def test_mobilenet_loses_nothing_from_stage_to_stage(lab, tmp_path):
    variants = ["--variants", "int8-stage1,int8-stage2,int8"]
    cells = cells_of(tmp_path, "--device", "local", *mobilenet(lab), *images(lab), *variants)
    assert {cell["top1"] for cell in cells.values()} == {cells["int8"]["top1"]}
    assert (
        cells["int8-stage1"]["size_bytes"] > cells["int8-stage2"]["size_bytes"] > cells["int8"]["size_bytes"]
    )


@pytest.mark.slow
@pytest.mark.parametrize("device", ["qemu", "qemu-a76", "qemu-armv7"])
def test_mobilenet_emulated(lab, tmp_path, device):
    check_mobilenet(cells_of(tmp_path, "--device", device, *mobilenet(lab), *images(lab)))


def test_mobilenet_int8_gives_the_same_bytes_on_every_device(lab, tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.integers(-128, 128, (4, 128, 128, 3), np.int8))
    outputs = {}
    for device in ("local", "qemu", "qemu-a76", "qemu-armv7"):
        argv = ["--device", device, *mobilenet(lab), *images(lab), "--variant", "int8"]
        y = tmp_path / f"{device}.npy"
        assert bench("predict", *argv, "--input", tmp_path / "x.npy", "--output", y) == 0
        outputs[device] = np.load(y)
    for device, output in outputs.items():
        assert output.dtype == np.int8
        assert output.tobytes() == outputs["local"].tobytes(), device


@pytest.mark.parametrize("device", ["local", "qemu"])
def test_keyword_spotting(lab, tmp_path, device):
    argv = ["--device", device, "--model", "kws", "--dataset", lab / "kws01", "--calibration", lab / "kws01"]
    cells = cells_of(tmp_path, *argv, "--weights", lab / "models" / "kws_ref_model_float32.tflite")
    assert cells["f32"]["top1"] >= 0.90
    assert cells["int8"]["top1"] >= 0.90


DEVICES = ["local", "qemu", "qemu-armv7"]


def outputs_of_both(lab, folder, name, device, samples):
    """A lab file's outputs on a device and in LiteRT's reference kernels, for samples(rng, shape, dtype)."""
    from tests.support.litert import Reference

    path = lab / "models" / f"{name}.tflite"
    reference = Reference(path.read_bytes())
    (details,) = reference.interpreter.get_input_details()
    x = samples(np.random.default_rng(0), tuple(details["shape"][1:]), details["dtype"])
    np.save(folder / "x.npy", x)
    files = ["--input", folder / "x.npy", "--output", folder / "y.npy"]
    assert bench("predict", "--device", device, "--model", path, *files) == 0
    return np.load(folder / "y.npy"), np.concatenate([reference.run(sample[None])[0] for sample in x])


FLOAT_FILES = ["kws_ref_model_float32", "vww_96_float", "pretrainedResnet", "ad01_fp32"]


@pytest.mark.parametrize("name", FLOAT_FILES)
@pytest.mark.parametrize("device", DEVICES)
def test_float_files_agree_with_the_reference_kernels(lab, tmp_path, name, device):
    """Keyword spotting's "float32" file has int8 weights in its convolutions: it runs hybrid in both."""

    def uniform(rng, shape, dtype):
        return rng.uniform(-1, 1, (5, *shape)).astype(dtype)

    ours, theirs = outputs_of_both(lab, tmp_path, name, device, uniform)
    # ad01's outputs are no probabilities: 1e-5 of their magnitude
    bound = 1e-5 * max(1.0, float(np.abs(theirs).max()))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=bound)


QUANTIZED_FILES = {  # and what its real inputs are made from
    "kws_ref_model": "kws01",
    "ad01_int8": "kws01",
    "pretrainedResnet_quant": "imagenet_sample",
    "vww_96_int8": "imagenet_sample",
    "mobilenet_v1_0.25_128_quant": "imagenet_sample",
    "mobilenet_v2_1.0_224_quant": "imagenet_sample",
    "tf2_mobilenet_v2_1.0_224_ptq": "imagenet_sample",
}
LARGE_FILES = ("mobilenet_v2_1.0_224_quant", "tf2_mobilenet_v2_1.0_224_ptq")


def random_samples(count):
    def draw(rng, shape, dtype):
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max + 1, (count, *shape), dtype)

    return draw


def real_samples(folder, count):
    """Photographs cut to the input's size; or spectral features, one after the other up to its length."""

    def images(rng, shape, dtype):
        paths = sorted(folder.glob("*.JPEG"))[:count]
        pixels = np.stack([read_sample(path, Preprocess(), shape) for path in paths])
        return pixels if dtype == np.uint8 else (pixels ^ 0x80).view(np.int8)

    def features(rng, shape, dtype):
        stimuli = np.concatenate([np.fromfile(path, dtype) for path in sorted(folder.glob("*.bin"))])
        return stimuli[: count * math.prod(shape)].reshape(count, *shape)

    return images if any(folder.glob("*.JPEG")) else features


def check_bytes(lab, folder, name, device, samples):
    ours, theirs = outputs_of_both(lab, folder, name, device, samples)
    assert ours.dtype == theirs.dtype
    assert ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("name", QUANTIZED_FILES)
@pytest.mark.parametrize("device", DEVICES)
def test_quantized_files_equal_the_reference_kernels_to_the_byte(lab, tmp_path, name, device):
    if name in LARGE_FILES and device != "local":
        pytest.skip("in the slow test")
    check_bytes(lab, tmp_path, name, device, random_samples(2 if name in LARGE_FILES else 5))


@pytest.mark.slow
@pytest.mark.parametrize("name", QUANTIZED_FILES)
@pytest.mark.parametrize("device", DEVICES)
def test_many_random_and_real_inputs_give_the_reference_kernels_bytes(lab, tmp_path, name, device):
    check_bytes(lab, tmp_path, name, device, random_samples(20))
    check_bytes(lab, tmp_path, name, device, real_samples(lab / QUANTIZED_FILES[name], 20))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mean", "top1"),
    [("mobilenet_v2_1.0_224_quant", 128, 0.874), ("tf2_mobilenet_v2_1.0_224_ptq", 127, 0.862)],
)
def test_mobilenet_v2_files_reach_the_reference_kernels_accuracy(lab, tmp_path, name, mean, top1):
    """Pixels become inputs as they are. LiteRT's XNNPACK, which rounds otherwise, gets 0.866 and 0.868."""
    how = f"crop=0.875,resize=224,mean={mean},std={128 if mean == 128 else 127.5},labels+1"
    model = ["--model", lab / "models" / f"{name}.tflite", "--preprocess", how]
    cells = cells_of(tmp_path, "--device", "local", *model, *images(lab))
    assert cells["int8"]["top1"] == pytest.approx(top1, abs=0.0005)
