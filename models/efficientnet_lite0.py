"""EfficientNet-Lite0, 224×224, ImageNet, as published by its authors.

M. Tan, Q. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", arXiv:1905.11946.
Its published accuracy is of bicubic resizing; images are resized bilinearly here. Its authors count 407
million operations, more than the 385 million multiply-accumulates of its convolutions and dense layer.
"""

from models import Download, Preprocess, Recipe
from models._imagenet import CROP, DATA, LABELS_1000
from models.architectures.inverted_residuals import efficientnet_lite0
from models.architectures.seeded import seeded

INPUT_SHAPE = (1, 224, 224, 3)
PREPROCESS = Preprocess(CROP, INPUT_SHAPE[1:3], mean=(127.0,), std=(128.0,))

RECIPE = Recipe(
    name="efficientnet_lite0",
    description="EfficientNet-Lite0, ImageNet (1000 classes), 224×224 RGB",
    preprocess=PREPROCESS,
    fetched=Download(
        "https://storage.googleapis.com/cloud-tpu-checkpoints/efficientnet/lite/efficientnet-lite0.tar.gz",
        "efficientnet-lite0/efficientnet-lite0-fp32.tflite",
    ),
    seeded=seeded(efficientnet_lite0, INPUT_SHAPE, PREPROCESS),
    weights_help="efficientnet-lite0-fp32.tflite of its authors' archive efficientnet-lite0.tar.gz",
    input_shape=INPUT_SHAPE,
    labels=LABELS_1000,
    licence="Apache-2.0 (TensorFlow)",
    published={
        "top1": 0.751,
        "top1 int8": 0.744,
        "parameters": 4.7e6,
        "data": DATA,
        "source": "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite",
    },
)
