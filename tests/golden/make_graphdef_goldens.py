"""Writes the golden outputs that tests/importers/test_graphdef.py compares with: real TensorFlow's answers.

    python make_graphdef_goldens.py LAB_FOLDER

Needs `tensorflow-cpu` and `pillow`, which the tests themselves do not: make an environment for it. Each
`<model>.npz` holds `seeds` (n,) int64, `seeded` (n, classes) float64, `images` (m,) file names of
`imagenet_sample` and `pictured` (m, classes) float64: the outputs for `noise(seed)` and `picture(image)`.

TensorFlow runs the network in float64, its float32 constants widened, so that a comparison measures our
rounding alone. In float32 it is itself up to 1.2e-5 (with oneDNN; 9e-6 without) away from these outputs, on
the third image through retrained_graph, more than the 1e-5 that the tests allow us.
"""

import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image

MODELS = {
    "mobilenet_v1_0.25_128_frozen": "MobilenetV1/Predictions/Reshape_1",
    "retrained_graph": "final_result",
}
SIZE = 128
SEEDS = [1, 2, 3]
IMAGES = [
    "n01440764_tench.JPEG",
    "n01484850_great_white_shark.JPEG",
    "n01514859_hen.JPEG",
    "n01855032_red-breasted_merganser.JPEG",
]


def noise(seed: int) -> np.ndarray:
    """(1, SIZE, SIZE, 3) float32 in [-1, 1]."""
    return np.random.default_rng(seed).uniform(-1, 1, (1, SIZE, SIZE, 3)).astype(np.float32)


def picture(path: Path) -> np.ndarray:
    """(1, SIZE, SIZE, 3) float32 in [-1, 1]."""
    image = Image.open(path).convert("RGB")
    width, height = image.size
    left, top = round(width * 0.0625), round(height * 0.0625)
    image = image.crop((left, top, width - left, height - top))
    pixels = np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR), np.float32)
    return pixels[np.newaxis] / np.float32(127.5) - np.float32(1)


def widen(definition, tf) -> None:
    """Makes a frozen GraphDef of float32 one of float64, in place."""
    for node in definition.node:
        for attr in node.attr.values():
            if attr.type == tf.float32.as_datatype_enum:
                attr.type = tf.float64.as_datatype_enum
            if attr.tensor.dtype == tf.float32.as_datatype_enum:
                wide = tf.make_ndarray(attr.tensor).astype(np.float64)
                attr.tensor.CopyFrom(tf.make_tensor_proto(wide))


def main() -> None:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # before TensorFlow is imported
    import tensorflow as tf

    lab = Path(sys.argv[1])
    for model, output in MODELS.items():
        definition = tf.compat.v1.GraphDef()
        definition.ParseFromString((lab / "models" / f"{model}.pb").read_bytes())
        widen(definition, tf)
        with tf.Graph().as_default() as graph, tf.compat.v1.Session() as session:
            tf.import_graph_def(definition, name="")
            fetch = graph.get_tensor_by_name(f"{output}:0")

            def run(x, session=session, fetch=fetch):
                return session.run(fetch, {"input:0": x.astype(np.float64)})[0]

            seeded = [run(noise(seed)) for seed in SEEDS]
            pictured = [run(picture(lab / "imagenet_sample" / name)) for name in IMAGES]
        np.savez_compressed(
            Path(__file__).parent / f"{model}.npz",
            seeds=np.array(SEEDS),
            seeded=np.array(seeded),
            images=np.array(IMAGES),
            pictured=np.array(pictured),
        )
        print(model, [int(np.argmax(p)) for p in pictured])


if __name__ == "__main__":
    main()
