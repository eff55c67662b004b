"""ResNet v2 101, 299×299, ImageNet with a background class, as hosted by TensorFlow.

K. He et al., "Identity Mappings in Deep Residual Networks", arXiv:1603.05027. TensorFlow publishes its
weights in a graph of 299×299 pixels, and the Pixel 2's times fit that size only: 2.5 times Inception v3's for
2.3 times its multiply-accumulates.
"""

from models import Pixel2
from models._imagenet import DATA, hosted, hosted_recipe
from models.architectures.resnet_v2_101 import resnet_v2_101

RECIPE = hosted_recipe(
    "resnet_v2_101",
    299,
    resnet_v2_101,
    "output",
    description="ResNet v2 101, ImageNet (1001 classes), 299×299 RGB",
    fetched=hosted("tflite_11_05_08/resnet_v2_101.tgz", "resnet_v2_101_299_frozen.pb"),
    weights_help="the frozen graph resnet_v2_101_299_frozen.pb of TensorFlow's hosted models",
    published={
        "top1": 0.768,
        "top5": 0.936,
        "parameters": 178.3e6 / 4,
        "data": DATA,
        "source": "https://www.tensorflow.org/lite/guide/hosted_models",
    },
    pixel2=Pixel2(top1=(0.770, 0.768, None), ms=(3973, 2868, None), mb=(178.3, 44.9)),
)
