"""The four networks of the comparison: which they are, and their files in the user's cache."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from harness import cache
from harness.errors import BenchError

MAKER = Path(__file__).with_name("make_network.py")

# What each file holds; make_network.py writes them all.
SUFFIXES = {
    "f32.tflite": "float32",
    "dyn.tflite": "dynamic range: int8 weights, float32 activations",
    "int8.tflite": "int8, per-channel weights",
    "f32.onnx": "the float network through tf2onnx, batch 1",
    "int8.onnx": "onnxruntime's static quantization: QDQ, per-channel, uint8 activations, 7-bit weights",
    "int8.xml": "nncf's post-training quantization for OpenVINO",
}


@dataclass(frozen=True)
class Network:
    """keras: its function in tf.keras.applications. size: the square input's side. macs: of one inference."""

    name: str
    keras: str
    size: int

    def file(self, suffix: str) -> Path:
        """One of its files by a key of SUFFIXES, made with the others where the cache lacks it."""
        folder = cache.folder("networks", hashlib.sha256(MAKER.read_bytes()).hexdigest()[:16])
        path = folder / f"{self.name}_{suffix}"
        if not path.is_file():
            self._make(folder)
        return path

    def _make(self, folder: Path) -> None:
        print(f"making the files of {self.name} (a minute or two, once)", file=sys.stderr)
        command = [sys.executable, str(MAKER), self.name, self.keras, str(self.size), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise BenchError(
                f"making the files of {self.name} failed: {last}; it needs the extra 'peers' (make figures)"
            )


NETWORKS = {
    network.name: network
    for network in (
        Network("mobilenet_v1", "MobileNet", 224),
        Network("mobilenet_v2", "MobileNetV2", 224),
        Network("inception_v3", "InceptionV3", 299),
        Network("resnet_v2_101", "ResNet101V2", 224),
    )
}
