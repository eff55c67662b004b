"""Image classification of MLPerf Tiny: a ResNet of 8 layers on CIFAR-10, pixels from 0 to 255 as they are."""

from functools import partial

from models import Preprocess
from models._mlperf_tiny import tiny_recipe
from models.architectures.mlperf_tiny import resnet_8

LABELS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

RECIPE = tiny_recipe(
    "resnet8",
    "image_classification/trained_models/pretrainedResnet.tflite",
    partial(resnet_8, name="resnet8", classes=len(LABELS)),
    (1, 32, 32, 3),
    Preprocess(resize=(32, 32)),
    published={
        "floor_top1": 0.85,
        "parameters": 77_706,
        "macs": 12_501_632,
        "data": "the benchmark's 200 stimuli",
    },
    description="MLPerf Tiny image classification, ResNet-8, CIFAR-10, 32×32 RGB",
    labels=LABELS,
)
