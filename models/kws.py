"""Keyword spotting of MLPerf Tiny: a depthwise-separable network on 49×10 MFCC features, 12 classes.

C. Banbury et al., "MLPerf Tiny Benchmark", NeurIPS 2021 Datasets and Benchmarks. The benchmark's stimuli are
int8 tensors, already quantized with the input scale 0.5847029 and zero point 83 of its int8 model: real = (q
- 83) * 0.5847029.
"""

from models import Preprocess, Recipe

SCALE, ZERO_POINT = 0.5847029, 83

RECIPE = Recipe(
    name="kws",
    description="MLPerf Tiny keyword spotting, 49×10 MFCC, 12 words",
    preprocess=Preprocess(dtype="int8", channels=1, mean=(ZERO_POINT,), std=(1 / SCALE,)),
    weights_help="MLPerf Tiny's kws_ref_model_float32.tflite",
    input_shape=(1, 49, 10, 1),
    labels=("Down", "Go", "Left", "No", "Off", "On", "Right", "Stop", "Up", "Yes", "Silence", "Unknown"),
    licence="Apache-2.0 (MLCommons)",
    published={
        "floor_top1": 0.90,
        "data": "the benchmark's 1000 stimuli",
        "source": "https://github.com/mlcommons/tiny/tree/master/benchmark",
    },
)
