"""Writes torchvision networks with random weights as .onnx, to compare their import with ONNX Runtime.

    pip install torch torchvision onnx onnxscript
    python scripts/export_torchvision.py FOLDER --opsets 11,13,17,18,21

FOLDER/NAME_opsetN.onnx comes from PyTorch's TorchScript exporter, FOLDER/NAME_dynamo.onnx (opset 18 and
later) from its default one. Batch norm's statistics are those of random images, so that values neither vanish
nor overflow on their way through the network.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import torchvision

SIZES = {
    "mobilenet_v2": 224,
    "mobilenet_v3_small": 224,
    "resnet18": 224,
    "resnet50": 224,
    "inception_v3": 299,
    "efficientnet_b0": 224,
    "squeezenet1_1": 224,
    "shufflenet_v2_x1_0": 224,
    "densenet121": 224,
}
FIRST_DYNAMO_OPSET = 18


def network(name: str) -> torch.nn.Module:
    """The untrained network in inference mode, its statistics set by random images."""
    torch.manual_seed(0)
    built = getattr(torchvision.models, name)(weights=None)
    built.train()
    with torch.no_grad():
        for _ in range(4):
            built(torch.randn(4, 3, SIZES[name], SIZES[name]))
    return built.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--networks", default=",".join(SIZES))
    parser.add_argument("--opsets", default="17")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name in arguments.networks.split(","):
        built, x = network(name), torch.randn(1, 3, SIZES[name], SIZES[name])
        for opset in map(int, arguments.opsets.split(",")):
            target = arguments.folder / f"{name}_opset{opset}.onnx"
            torch.onnx.export(built, (x,), target, opset_version=opset, dynamo=False)
        torch.onnx.export(
            built,
            (x,),
            arguments.folder / f"{name}_dynamo.onnx",
            opset_version=max(opset, FIRST_DYNAMO_OPSET),
            dynamo=True,
            external_data=False,
        )


if __name__ == "__main__":
    main()
