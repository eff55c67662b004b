"""MobileNet v1 0.25, 128×128, ImageNet with a background class, as hosted by TensorFlow.

A. Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
arXiv:1704.04861. Size and digest of the archive are those that OpenVINO's Open Model Zoo states.
"""

from functools import partial

from models._imagenet import DATA, LABELS_1001, hosted, hosted_recipe
from models.architectures.mobilenet_v1 import mobilenet_v1

RECIPE = hosted_recipe(
    "mobilenet_v1_0.25_128",
    128,
    partial(mobilenet_v1, name="mobilenet_v1_0.25_128", classes=len(LABELS_1001), width=0.25),
    "MobilenetV1/Predictions/Reshape_1",
    description="MobileNet v1 0.25, ImageNet (1001 classes), 128×128 RGB",
    fetched=hosted(
        "mobilenet_v1_2018_08_02/mobilenet_v1_0.25_128.tgz",
        "mobilenet_v1_0.25_128_frozen.pb",
        10_800_019,
        "879ddc3e0857f3611b5cf248e36de2288c7a11ea8c2ed8a8bdded635e6010dfe",
    ),
    qat=hosted(
        "mobilenet_v1_2018_08_02/mobilenet_v1_0.25_128_quant.tgz", "mobilenet_v1_0.25_128_quant.tflite"
    ),
    weights_help="the frozen graph mobilenet_v1_0.25_128_frozen.pb of TensorFlow's hosted models",
    published={
        "top1": 0.415,
        "top5": 0.663,
        "parameters": 0.47e6,
        "macs": 14e6,
        "data": DATA,
        "source": "https://github.com/tensorflow/models/blob/master/research/slim/nets/mobilenet_v1.md",
    },
)
