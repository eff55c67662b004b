"""Keyword spotting of MLPerf Tiny: a depthwise-separable network on 49×10 MFCC features, 12 classes.

The benchmark's stimuli are int8 tensors, already quantized with the input scale 0.5847029 and zero point 83
of its int8 model: real = (q - 83) * 0.5847029.
"""

from functools import partial

from models import Preprocess
from models._mlperf_tiny import tiny_recipe
from models.architectures.mlperf_tiny import ds_cnn

SCALE, ZERO_POINT = 0.5847029, 83
LABELS = ("Down", "Go", "Left", "No", "Off", "On", "Right", "Stop", "Up", "Yes", "Silence", "Unknown")

RECIPE = tiny_recipe(
    "kws",
    "keyword_spotting/trained_models/kws_ref_model_float32.tflite",
    partial(ds_cnn, name="kws", classes=len(LABELS)),
    (1, 49, 10, 1),
    Preprocess(dtype="int8", channels=1, mean=(ZERO_POINT,), std=(1 / SCALE,)),
    published={
        "floor_top1": 0.90,
        "parameters": 22_604,
        "macs": 2_656_768,
        "data": "the benchmark's 1000 stimuli",
    },
    description="MLPerf Tiny keyword spotting, 49×10 MFCC, 12 words",
    labels=LABELS,
)
