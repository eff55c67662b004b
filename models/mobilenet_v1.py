"""MobileNet v1 1.0, 224×224, ImageNet with a background class, as hosted by TensorFlow.

A. Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
arXiv:1704.04861. Size and digest of the archive are those that OpenVINO's Open Model Zoo states.
"""

from functools import partial

from models import Pixel2
from models._imagenet import DATA, LABELS_1001, hosted, hosted_recipe
from models.architectures.mobilenet_v1 import mobilenet_v1

RECIPE = hosted_recipe(
    "mobilenet_v1",
    224,
    partial(mobilenet_v1, name="mobilenet_v1", classes=len(LABELS_1001)),
    "MobilenetV1/Predictions/Reshape_1",
    description="MobileNet v1 1.0, ImageNet (1001 classes), 224×224 RGB",
    fetched=hosted(
        "mobilenet_v1_2018_08_02/mobilenet_v1_1.0_224.tgz",
        "mobilenet_v1_1.0_224_frozen.pb",
        94_321_559,
        "2fadeabb9968ec6833bee903900dda6e61b3947200535874ce2fe42a8493abc0",
    ),
    qat=hosted("mobilenet_v1_2018_08_02/mobilenet_v1_1.0_224_quant.tgz", "mobilenet_v1_1.0_224_quant.tflite"),
    weights_help="the frozen graph mobilenet_v1_1.0_224_frozen.pb of TensorFlow's hosted models",
    published={
        "top1": 0.709,
        "top5": 0.899,
        "parameters": 4.24e6,
        "macs": 569e6,
        "data": DATA,
        "source": "https://github.com/tensorflow/models/blob/master/research/slim/nets/mobilenet_v1.md",
    },
    pixel2=Pixel2(top1=(0.709, 0.657, 0.70), ms=(180, 145, 80.2), mb=(16.9, 4.3)),
)
