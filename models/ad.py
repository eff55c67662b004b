"""Anomaly detection of MLPerf Tiny: a dense auto-encoder on 5 frames of 128 log-mel energies of a toy car.

Y. Koizumi et al., "ToyADMOS", WASPAA 2019. An input that the network repeats badly is an anomaly: the score
is the mean squared difference of output and input, the metric the area under the ROC curve. A sample is one
window of 640 values; the benchmark's own figure takes the mean score of a recording's 196 windows first.
"""

from functools import partial

from models import Preprocess
from models._mlperf_tiny import tiny_recipe
from models.architectures.mlperf_tiny import auto_encoder

RECIPE = tiny_recipe(
    "ad",
    "anomaly_detection/trained_models/ad01_fp32.tflite",
    partial(auto_encoder, name="ad"),
    (1, 640),
    Preprocess(dtype="float32", channels=1),
    published={
        "floor_auc": 0.85,
        "parameters": 265_864,
        "macs": 264_192,
        "data": "the benchmark's 248 recordings",
    },
    description="MLPerf Tiny anomaly detection, auto-encoder of 640 log-mel energies",
    labels=("normal", "anomaly"),
    metric="auc",
)
