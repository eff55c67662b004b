"""Runs a .tflite with LiteRT's reference kernels, the truth that ours are compared to."""

from __future__ import annotations

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType


class Reference:
    """One model in LiteRT's reference kernels (BUILTIN_REF), loaded once."""

    def __init__(self, content: bytes) -> None:
        self.interpreter = Interpreter(
            model_content=content,
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
            num_threads=1,
        )
        self.interpreter.allocate_tensors()

    def run(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """Output arrays for these inputs, in the model's order."""
        for details, values in zip(self.interpreter.get_input_details(), inputs, strict=True):
            self.interpreter.set_tensor(details["index"], values)
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(d["index"]) for d in self.interpreter.get_output_details()]
