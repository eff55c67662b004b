"""Writes the files of one network for every engine: `make_network.py NAME KERAS_APPLICATION SIZE FOLDER`.

The weights are seeded, not trained, which changes no speed, and calibration sees noise. A program of its own,
as TensorFlow, onnxruntime and nncf are needed here and nowhere else. A file appears whole or not at all.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

CALIBRATION_SAMPLES = 8
OPSET = 17


def samples(size: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(0)
    for _ in range(CALIBRATION_SAMPLES):
        yield rng.uniform(-1, 1, (1, size, size, 3)).astype(np.float32)


def write_tflite(saved: Path, size: int, stem: Path) -> None:
    for kind in ("f32", "dyn", "int8"):
        converter = tf.lite.TFLiteConverter.from_saved_model(str(saved))
        if kind != "f32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if kind == "int8":
            converter.representative_dataset = lambda: ([x] for x in samples(size))
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = tf.int8
        stem.with_name(f"{stem.name}_{kind}.tflite").write_bytes(converter.convert())


def write_onnx(model: tf.keras.Model, size: int, stem: Path) -> Path:
    import tf2onnx

    path = stem.with_name(f"{stem.name}_f32.onnx")
    signature = [tf.TensorSpec((1, size, size, 3), tf.float32, name="input")]
    function = tf.function(lambda x: model(x, training=False), input_signature=signature)
    tf2onnx.convert.from_function(function, signature, opset=OPSET, output_path=str(path))
    return path


def write_quantized_onnx(f32: Path, size: int, stem: Path) -> None:
    """As onnxruntime advises for x86-64 without VNNI: weights of 7 bits, so that no sum saturates."""
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.left = samples(size)

        def get_next(self) -> dict | None:
            sample = next(self.left, None)
            return None if sample is None else {"input": sample}

    prepared = f32.with_name("prepared.onnx")
    quant_pre_process(str(f32), str(prepared), skip_symbolic_shape=True)
    quantization.quantize_static(
        str(prepared),
        str(stem.with_name(f"{stem.name}_int8.onnx")),
        Reader(),
        quant_format=quantization.QuantFormat.QDQ,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        per_channel=True,
        reduce_range=True,
    )
    prepared.unlink()


def write_openvino(f32: Path, size: int, stem: Path) -> None:
    import nncf
    import openvino as ov

    model = ov.Core().read_model(f32)
    quantized = nncf.quantize(model, nncf.Dataset(list(samples(size))), subset_size=CALIBRATION_SAMPLES)
    ov.save_model(quantized, stem.with_name(f"{stem.name}_int8.xml"))


def make(name: str, application: str, size: int, folder: Path) -> None:
    tf.keras.utils.set_random_seed(0)
    source = tf.keras.Input(batch_shape=(1, size, size, 3))
    model = getattr(tf.keras.applications, application)(weights=None, input_tensor=source)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        saved, stem = Path(work) / "saved", Path(work) / name
        model.export(str(saved), verbose=False)
        write_tflite(saved, size, stem)
        f32 = write_onnx(model, size, stem)
        write_quantized_onnx(f32, size, stem)
        write_openvino(f32, size, stem)
        for path in sorted(Path(work).glob(f"{name}_*")):
            path.replace(folder / path.name)


if __name__ == "__main__":
    make(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
