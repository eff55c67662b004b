"""Networks for images as PyTorch exports them to ONNX, small and with random weights.

They have the layers of torchvision's networks in their order (channels first, batch norm folded or not, the
ways of writing clips, pools and shuffles), fewer channels and smaller images. `scripts/export_torchvision.py`
exports the real ones.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper, numpy_helper

IR_VERSION = 8


class OnnxBuilder:
    """`b = OnnxBuilder(); x = b.input((1, 3, 8, 8)); content = b.bytes(b.node("Relu", x))`."""

    def __init__(self, opset: int = 17, seed: int = 0) -> None:
        self.opset = opset
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.channels: dict[str, int] = {}

    def input(self, shape: tuple, name: str = "input", kind: int = onnx.TensorProto.FLOAT) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        self.channels[name] = shape[1] if len(shape) > 1 else 0
        return name

    def const(self, values, name: str | None = None) -> str:
        values = np.asarray(values)
        values = values.astype(np.float32) if values.dtype == np.float64 else values
        name = name or f"onnx::const_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def node(self, op: str, *inputs: str, outputs: int = 1, domain: str = "", **attrs) -> str | list[str]:
        names = [f"/{op}_{len(self.nodes)}_output_{i}" for i in range(outputs)]
        node = helper.make_node(op, inputs, names, name=f"/{op}_{len(self.nodes)}", domain=domain, **attrs)
        self.nodes.append(node)
        for name in names:
            self.channels[name] = self.channels.get(inputs[0], 0) if inputs else 0
        return names[0] if outputs == 1 else names

    def model(self, *outputs: str, kinds: tuple[int, ...] | None = None) -> onnx.ModelProto:
        kinds = kinds or (onnx.TensorProto.FLOAT,) * len(outputs)
        infos = [
            helper.make_tensor_value_info(name, kind, None) for name, kind in zip(outputs, kinds, strict=True)
        ]
        graph = helper.make_graph(self.nodes, "main_graph", self.inputs, infos, self.constants)
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, ir_version=IR_VERSION, opset_imports=opsets)

    def bytes(self, *outputs: str, kinds: tuple[int, ...] | None = None) -> bytes:
        return self.model(*outputs, kinds=kinds).SerializeToString()

    # --- layers ---

    def conv(self, x: str, out: int, kernel=3, stride: int = 1, pad=None, groups: int = 1, bias=True) -> str:
        kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
        pad = tuple(k // 2 for k in kernel) if pad is None else (pad, pad)
        depth = self.channels[x] // groups
        scale = np.sqrt(2 / (depth * kernel[0] * kernel[1]))
        operands = [self.const(self.rng.normal(0, scale, (out, depth, *kernel)))]
        if bias:
            operands.append(self.const(self.rng.normal(0, 0.1, out)))
        y = self.node(
            "Conv",
            x,
            *operands,
            dilations=[1, 1],
            group=groups,
            kernel_shape=kernel,
            pads=[*pad, *pad],
            strides=[stride, stride],
        )
        self.channels[y] = out
        return y

    def batch_norm(self, x: str) -> str:
        n = self.channels[x]
        values = [
            self.rng.uniform(0.5, 1.5, n),
            self.rng.normal(0, 0.2, n),
            self.rng.normal(0, 0.2, n),
            self.rng.uniform(0.5, 2, n),
        ]
        return self.node("BatchNormalization", x, *map(self.const, values), epsilon=1e-3, momentum=0.9)

    def relu(self, x: str) -> str:
        return self.node("Relu", x)

    def relu6(self, x: str) -> str:
        return self.node("Clip", x, self.const(np.float32(0)), self.const(np.float32(6)))

    def swish(self, x: str) -> str:
        return self.node("Mul", x, self.node("Sigmoid", x))

    def max_pool(self, x: str, kernel: int, stride: int, pad: int = 0, ceil: int = 0) -> str:
        pads = [pad] * 4
        return self.node(
            "MaxPool", x, ceil_mode=ceil, kernel_shape=[kernel] * 2, pads=pads, strides=[stride] * 2
        )

    def concat(self, *parts: str) -> str:
        y = self.node("Concat", *parts, axis=1)
        self.channels[y] = sum(self.channels[part] for part in parts)
        return y

    def classifier(self, x: str, classes: int = 100) -> str:
        x = self.node("Flatten", self.node("GlobalAveragePool", x), axis=1)
        weights = self.rng.normal(0, 0.1, (classes, self.channels[x]))
        operands = [self.const(weights), self.const(self.rng.normal(0, 0.1, classes))]
        return self.node("Gemm", x, *operands, alpha=1.0, beta=1.0, transB=1)


# --- the networks ---


def mobilenet_v2(b: OnnxBuilder, x: str) -> str:
    x = b.relu6(b.conv(x, 8, stride=2))
    for expansion, out, stride in ((1, 8, 1), (6, 12, 2), (6, 12, 1), (6, 16, 2), (6, 16, 1)):
        wide = b.channels[x] * expansion
        y = b.relu6(b.conv(x, wide, 1)) if expansion != 1 else x
        y = b.conv(b.relu6(b.conv(y, wide, stride=stride, groups=wide)), out, 1)
        x = b.node("Add", x, y) if stride == 1 and out == b.channels[x] else y
    return b.classifier(b.relu6(b.conv(x, 64, 1)))


def _resnet(b: OnnxBuilder, x: str, bottleneck: bool) -> str:
    x = b.max_pool(b.relu(b.conv(x, 8, 7, 2)), 3, 2, 1)
    for out, stride in ((8, 1), (8, 1), (16, 2), (16, 1), (24, 2)):
        wide = out * 4 if bottleneck else out
        shortcut = x if (stride, wide) == (1, b.channels[x]) else b.conv(x, wide, 1, stride)
        if bottleneck:
            y = b.relu(b.conv(b.relu(b.conv(x, out, 1)), out, 3, stride))
            y = b.conv(y, wide, 1)
        else:
            y = b.conv(b.relu(b.conv(x, out, 3, stride)), out, 3)
        x = b.relu(b.node("Add", y, shortcut))
    return b.classifier(x)


def resnet18(b: OnnxBuilder, x: str) -> str:
    return _resnet(b, x, bottleneck=False)


def resnet50(b: OnnxBuilder, x: str) -> str:
    return _resnet(b, x, bottleneck=True)


def inception_v3(b: OnnxBuilder, x: str) -> str:
    """Factorized convolutions, and averages in which the padding counts."""

    def conv(x: str, out: int, kernel=1, stride: int = 1, pad=None) -> str:
        return b.relu(b.batch_norm(b.conv(x, out, kernel, stride, pad, bias=False)))

    def average(x: str) -> str:
        return b.node(
            "AveragePool", x, count_include_pad=1, kernel_shape=[3, 3], pads=[1] * 4, strides=[1, 1]
        )

    x = conv(conv(x, 8, 3, 2, 0), 12, 3)
    x = b.max_pool(x, 3, 2)
    x = b.concat(
        conv(x, 8), conv(conv(x, 6), 8, 5), conv(conv(conv(x, 8), 12, 3), 12, 3), conv(average(x), 8)
    )
    x = b.concat(conv(x, 12, 3, 2, 0), conv(conv(x, 8), 12, 3, 2, 0), b.max_pool(x, 3, 2))
    x = b.concat(conv(x, 12), conv(conv(conv(x, 8), 8, (1, 7)), 12, (7, 1)), conv(average(x), 8))
    y = conv(x, 8)
    return b.classifier(b.concat(conv(y, 8, (1, 3)), conv(y, 8, (3, 1))))


def efficientnet_b0(b: OnnxBuilder, x: str) -> str:
    """Swish, and squeeze-and-excitation: channels scaled by a function of their averages."""
    x = b.swish(b.conv(x, 8, stride=2))
    for expansion, out, kernel, stride in ((1, 8, 3, 1), (4, 12, 3, 2), (4, 12, 5, 1), (4, 16, 5, 2)):
        wide = b.channels[x] * expansion
        y = b.swish(b.conv(x, wide, 1)) if expansion != 1 else x
        y = b.swish(b.conv(y, wide, kernel, stride, groups=wide))
        squeezed = b.swish(b.conv(b.node("GlobalAveragePool", y), 4, 1))
        y = b.node("Mul", b.node("Sigmoid", b.conv(squeezed, wide, 1)), y)
        y_channels = wide
        b.channels[y] = y_channels
        y = b.conv(y, out, 1)
        x = b.node("Add", y, x) if stride == 1 and out == b.channels[x] else y
    return b.classifier(b.swish(b.conv(x, 48, 1)))


def squeezenet(b: OnnxBuilder, x: str) -> str:
    x = b.relu(b.conv(x, 16, 3, 2, 0))
    for squeeze, expand in ((4, 12), (4, 12), (8, 16)):
        x = b.max_pool(x, 3, 2, ceil=1) if squeeze != 4 or x.startswith("/Relu") else x
        s = b.relu(b.conv(x, squeeze, 1))
        x = b.concat(b.relu(b.conv(s, expand, 1)), b.relu(b.conv(s, expand, 3)))
    x = b.node("GlobalAveragePool", b.relu(b.conv(x, 100, 1)))
    return b.node("Flatten", x, axis=1)


def shufflenet_v2(b: OnnxBuilder, x: str) -> str:
    """Half of the channels pass by, then both are shuffled; the batch is read off the input's shape."""

    def shuffle(x: str, height: int) -> str:
        n = b.channels[x]
        batch = b.node("Gather", b.node("Shape", x), b.const(np.int64(0)), axis=0)
        first = (
            b.node("Unsqueeze", batch, *axes(0)) if b.opset >= 13 else b.node("Unsqueeze", batch, axes=[0])
        )
        sizes = [b.const(np.array([d], np.int64)) for d in (2, n // 2, height, height)]
        y = b.node("Reshape", x, b.node("Concat", first, *sizes, axis=0))
        y = b.node("Transpose", y, perm=[0, 2, 1, 3, 4])
        y = b.node("Reshape", y, b.const(np.array([-1, n, height, height], np.int64)))
        b.channels[y] = n
        return y

    def axes(*numbers: int) -> list[str]:
        return [b.const(np.array(numbers, np.int64))]

    def branch(x: str, out: int, stride: int) -> str:
        y = b.relu(b.conv(x, out, 1))
        return b.relu(b.conv(b.conv(y, out, 3, stride, groups=out), out, 1))

    x = b.max_pool(b.relu(b.conv(x, 8, 3, 2)), 3, 2, 1)
    left = b.relu(b.conv(b.conv(x, 8, 3, 2, groups=8), 12, 1))
    x = shuffle(b.concat(left, branch(x, 12, 2)), 4)
    for _ in range(2):
        half = b.const(np.array([12, 12], np.int64))
        parts = (
            b.node("Split", x, half, outputs=2, axis=1)
            if b.opset >= 13
            else b.node("Split", x, outputs=2, axis=1, split=[12, 12])
        )
        for part in parts:
            b.channels[part] = 12
        x = shuffle(b.concat(parts[0], branch(parts[1], 12, 1)), 4)
    pooled = (
        b.node("ReduceMean", b.relu(b.conv(x, 48, 1)), *axes(2, 3), keepdims=0)
        if b.opset >= 18
        else b.node("ReduceMean", b.relu(b.conv(x, 48, 1)), axes=[2, 3], keepdims=0)
    )
    weights = b.const(b.rng.normal(0, 0.1, (100, 48)))
    return b.node("Gemm", pooled, weights, b.const(b.rng.normal(0, 0.1, 100)), transB=1)


NETWORKS: dict[str, Callable[[OnnxBuilder, str], str]] = {
    "mobilenet_v2": mobilenet_v2,
    "resnet18": resnet18,
    "resnet50": resnet50,
    "inception_v3": inception_v3,
    "efficientnet_b0": efficientnet_b0,
    "squeezenet": squeezenet,
    "shufflenet_v2": shufflenet_v2,
}
SIZES = {"inception_v3": 47, "squeezenet": 39}


def network(name: str, opset: int = 17, batch: int | str = 1, seed: int = 0) -> bytes:
    """The .onnx file of one network."""
    b = OnnxBuilder(opset, seed)
    size = SIZES.get(name, 32)
    return b.bytes(NETWORKS[name](b, b.input((batch, 3, size, size))))
