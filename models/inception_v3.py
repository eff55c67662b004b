"""Inception v3, 299×299, ImageNet with a background class, as hosted by TensorFlow.

C. Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", arXiv:1512.00567. Parameters
and operations are those that OpenVINO's Open Model Zoo states (11.469 GFLOPs, two a multiply-accumulate).
"""

from models import Pixel2
from models._imagenet import DATA, hosted, hosted_recipe
from models.architectures.inception_v3 import inception_v3

RECIPE = hosted_recipe(
    "inception_v3",
    299,
    inception_v3,
    "InceptionV3/Predictions/Reshape_1",
    description="Inception v3, ImageNet (1001 classes), 299×299 RGB",
    fetched=hosted("tflite/model_zoo/upload_20180427/inception_v3_2018_04_27.tgz", "inception_v3.pb"),
    qat=hosted("tflite_11_05_08/inception_v3_quant.tgz", "inception_v3_quant.tflite"),
    weights_help="the frozen graph inception_v3.pb of TensorFlow's hosted models",
    published={
        "top1": 0.779,
        "top5": 0.938,
        "parameters": 23.819e6,
        "macs": 11.469e9 / 2,
        "data": DATA,
        "source": "https://github.com/openvinotoolkit/open_model_zoo/tree/2021.4/models/public/googlenet-v3",
    },
    pixel2=Pixel2(top1=(0.78, 0.772, 0.775), ms=(1585, 1187, 637), mb=(95.7, 23.9)),
)
