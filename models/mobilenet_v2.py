"""MobileNet v2 1.0, 224×224, ImageNet with a background class, as hosted by TensorFlow.

M. Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", arXiv:1801.04381.
"""

from models import Pixel2
from models._imagenet import DATA, hosted, hosted_recipe
from models.architectures.inverted_residuals import mobilenet_v2

RECIPE = hosted_recipe(
    "mobilenet_v2",
    224,
    mobilenet_v2,
    "MobilenetV2/Predictions/Reshape_1",
    description="MobileNet v2 1.0, ImageNet (1001 classes), 224×224 RGB",
    fetched=hosted("tflite_11_05_08/mobilenet_v2_1.0_224.tgz", "mobilenet_v2_1.0_224_frozen.pb"),
    qat=hosted("tflite_11_05_08/mobilenet_v2_1.0_224_quant.tgz", "mobilenet_v2_1.0_224_quant.tflite"),
    weights_help="the frozen graph mobilenet_v2_1.0_224_frozen.pb of TensorFlow's hosted models",
    published={
        "top1": 0.719,
        "top5": 0.910,
        "parameters": 3.47e6,
        "macs": 300e6,
        "data": DATA,
        "source": "https://github.com/tensorflow/models/blob/master/research/slim/nets/mobilenet/README.md",
    },
    pixel2=Pixel2(top1=(0.719, 0.637, 0.709), ms=(117, 121, 80.3), mb=(14, 3.6)),
)
