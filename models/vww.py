"""Visual wake words of MLPerf Tiny: is there a person? MobileNet v1 0.25, 96×96 RGB, pixels from 0 to 1.

A. Chowdhery et al., "Visual Wake Words Dataset", arXiv:1906.05721.
"""

from functools import partial

from models import Preprocess
from models._mlperf_tiny import tiny_recipe
from models.architectures.mobilenet_v1 import mobilenet_v1

LABELS = ("no person", "person")

RECIPE = tiny_recipe(
    "vww",
    "visual_wake_words/trained_models/vww_96_float.tflite",
    partial(mobilenet_v1, name="vww", classes=len(LABELS), width=0.25, activation="Relu"),
    (1, 96, 96, 3),
    Preprocess(resize=(96, 96), std=(255.0,)),
    published={
        "floor_top1": 0.80,
        "parameters": 210_850,
        "macs": 7_489_664,
        "data": "the benchmark's 1000 stimuli",
    },
    description="MLPerf Tiny visual wake words, MobileNet v1 0.25, 96×96 RGB",
    labels=LABELS,
)
