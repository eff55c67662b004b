"""MobileNet v1 0.25, 128×128, ImageNet with a background class, as hosted by TensorFlow.

A. Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
arXiv:1704.04861. Class 0 is "background", so a data set's 0-based ImageNet label is moved up by one. The
label file has each class's first name in WordNet, with its second where two classes share the first.
"""

from pathlib import Path

from models import Preprocess, Recipe

LABELS = Path(__file__).with_name("imagenet_1001_labels.txt")

RECIPE = Recipe(
    name="mobilenet_v1_0.25_128",
    description="MobileNet v1 0.25, ImageNet (1001 classes), 128×128 RGB",
    preprocess=Preprocess(crop=0.875, resize=(128, 128), mean=(127.5,), std=(127.5,), label_offset=1),
    weights_help="the frozen graph mobilenet_v1_0.25_128_frozen.pb of TensorFlow's hosted models",
    inputs=("input",),
    outputs=("MobilenetV1/Predictions/Reshape_1",),
    input_shape=(1, 128, 128, 3),
    labels=tuple(LABELS.read_text(encoding="utf-8").splitlines()),
    licence="Apache-2.0 (TensorFlow)",
    published={
        "top1": 0.415,
        "top5": 0.663,
        "data": "ImageNet validation set (ILSVRC-2012)",
        "source": "https://github.com/tensorflow/models/blob/master/research/slim/nets/mobilenet_v1.md",
    },
)
