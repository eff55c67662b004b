"""Runs a .tflite with LiteRT's reference kernels, the truth that ours are compared to."""

from __future__ import annotations

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType


class Reference:
    """One model in LiteRT's reference kernels (BUILTIN_REF), loaded once.

    optimized: in the kernels that LiteRT has by default, for ops of which it has no reference kernel.
    """

    def __init__(self, content: bytes, optimized: bool = False) -> None:
        kernels = "BUILTIN_WITHOUT_DEFAULT_DELEGATES" if optimized else "BUILTIN_REF"
        self.interpreter = Interpreter(
            model_content=content,
            experimental_op_resolver_type=OpResolverType[kernels],
            num_threads=1,
        )
        self.interpreter.allocate_tensors()

    def run(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """Output arrays for these inputs, in the model's order."""
        for details, values in zip(self.interpreter.get_input_details(), inputs, strict=True):
            self.interpreter.set_tensor(details["index"], values)
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(d["index"]) for d in self.interpreter.get_output_details()]
