"""Writes the networks with variables that tests/importers freeze, and TensorFlow's answers for them.

    python make_variables_goldens.py LAB_FOLDER

Needs `tensorflow-cpu`, which the tests themselves do not. Makes `variables/`: a TensorFlow 1 checkpoint of
reference and of resource variables (`tf1_reference`, `tf1_resource`), a SavedModel of TensorFlow 2
(`saved_model`), and `outputs.npz` with `x` and `y` of all three, `kws_x` and `kws_y` of the lab's SavedModel.
"""

import os
import shutil
import sys
from pathlib import Path

import numpy as np

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf  # noqa: E402

FOLDER = Path(__file__).parent / "variables"
v1 = tf.compat.v1


def initial_values() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {"conv": (3, 3, 2, 4), "scale": (4,), "shift": (4,), "mean": (4,), "depthwise": (3, 3, 4, 1)}
    shapes |= {"bias": (4,), "matrix": (36, 5)}
    values = {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}
    return values | {"variance": rng.uniform(0.5, 2, 4).astype(np.float32)}


def network(x, variables):
    v = variables
    y = tf.nn.conv2d(x, v["conv"], 2, "SAME")
    y, *_ = v1.nn.fused_batch_norm(
        y, v["scale"], v["shift"], v["mean"], v["variance"], epsilon=0.01, is_training=False
    )
    y = tf.nn.depthwise_conv2d(tf.nn.relu6(y), v["depthwise"], [1, 1, 1, 1], "SAME")
    y = tf.reshape(tf.nn.relu(tf.nn.bias_add(y, v["bias"])), [1, 36])
    return tf.nn.softmax(tf.matmul(y, v["matrix"]))


def write_checkpoint(name: str, use_resource: bool, x: np.ndarray) -> np.ndarray:
    with tf.Graph().as_default(), v1.Session() as session:
        source = v1.placeholder(tf.float32, (None, 6, 5, 2), "input")
        variables = {
            key: v1.Variable(value, name=f"net/{key}", use_resource=use_resource)
            for key, value in initial_values().items()
        }
        result = tf.identity(network(source, variables), "output")
        v1.Variable(0.0, name="global_step", use_resource=use_resource)  # one that the network does not need
        session.run(v1.global_variables_initializer())
        (FOLDER / name).mkdir(parents=True)
        prefix = str(FOLDER / name / "model.ckpt")
        v1.train.Saver().save(session, prefix, write_state=False)
        return session.run(result, {source: x})


class Network(tf.Module):
    def __init__(self):
        super().__init__()
        self.parts = {key: tf.Variable(value, name=key) for key, value in initial_values().items()}

    @tf.function
    def inner(self, x):
        return network(x, self.parts)

    @tf.function(input_signature=[tf.TensorSpec((None, 6, 5, 2), tf.float32, "pixels")])
    def __call__(self, pixels):
        return {"scores": self.inner(pixels)}


def run_saved_model(folder: Path, x: np.ndarray) -> np.ndarray:
    with tf.Graph().as_default(), v1.Session() as session:
        meta = v1.saved_model.loader.load(session, ["serve"], str(folder))
        signature = meta.signature_def["serving_default"]
        (source,), (result,) = signature.inputs.values(), signature.outputs.values()
        return session.run(result.name, {source.name: x})


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    x = np.random.default_rng(1).normal(size=(1, 6, 5, 2)).astype(np.float32)
    y = write_checkpoint("tf1_reference", False, x)
    resource = write_checkpoint("tf1_resource", True, x)
    module = Network()
    tf.saved_model.save(module, str(FOLDER / "saved_model"), signatures=module.__call__)
    for other in (resource, run_saved_model(FOLDER / "saved_model", x)):
        np.testing.assert_allclose(other, y, atol=1e-6)
    rng = np.random.default_rng(2)
    kws_x = rng.normal(0, 20, (3, 49, 10, 1)).astype(np.float32)
    kws = Path(sys.argv[1]) / "models" / "kws_ref_model_saved_model"
    np.savez_compressed(FOLDER / "outputs.npz", x=x, y=y, kws_x=kws_x, kws_y=run_saved_model(kws, kws_x))


if __name__ == "__main__":
    main()
