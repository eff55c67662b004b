"""Small frozen GraphDefs for tests, written with TensorBoard's protobufs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tensorboard.compat.proto.graph_pb2 import GraphDef

FLOAT, INT32, STRING = 1, 3, 7  # DataType of tensorflow/core/framework/types.proto
_NUMBERS = {np.dtype(np.float32): FLOAT, np.dtype(np.int32): INT32}


class GraphDefBuilder:
    """`b = GraphDefBuilder(); b.placeholder("x", (1, 4)); b.node("Relu", "y", "x"); b.save(path)`."""

    def __init__(self) -> None:
        self.message = GraphDef()

    def placeholder(self, name: str, shape: tuple[int, ...] | None) -> str:
        node = self.message.node.add(name=name, op="Placeholder")
        node.attr["dtype"].type = FLOAT
        for size in shape or ():
            node.attr["shape"].shape.dim.add(size=size)
        node.attr["shape"].shape.unknown_rank = shape is None
        return name

    def const(self, name: str, values) -> str:
        values = np.asarray(values)
        values = values.astype(np.float32 if values.dtype.kind == "f" else np.int32)
        proto = self.raw_const(name, values.shape, _NUMBERS[values.dtype])
        proto.tensor_content = values.tobytes()
        return name

    def raw_const(self, name: str, shape: tuple[int, ...], dtype: int = FLOAT):
        """A Const without values; returns its TensorProto to fill."""
        node = self.message.node.add(name=name, op="Const")
        node.attr["dtype"].type = dtype
        proto = node.attr["value"].tensor
        proto.dtype = dtype
        for size in shape:
            proto.tensor_shape.dim.add(size=size)
        return proto

    def node(self, op: str, name: str, *inputs: str, **attrs) -> str:
        node = self.message.node.add(name=name, op=op, input=inputs)
        for key, value in attrs.items():
            if isinstance(value, bool):
                node.attr[key].b = value
            elif isinstance(value, str):
                node.attr[key].s = value.encode()
            elif isinstance(value, float):
                node.attr[key].f = value
            else:
                node.attr[key].list.i.extend(value)
        return name

    def save(self, path: Path) -> Path:
        path.write_bytes(self.message.SerializeToString())
        return path
