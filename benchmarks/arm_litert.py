"""LiteRT in the emulator: `python3 arm_litert.py MODEL`, inferences with marks for the instruction counter.

One inference to warm up, two marks with nothing between them, which show what a mark costs, one inference, a
mark. Runs in an AArch64 Python without this project, so it imports nothing of it; MARK is QB_MARK of
runtime/runner/runner.h.
"""

import ctypes
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter

MARK, GETPPID = 0x51424D4B, 173  # of AArch64 Linux

mark = ctypes.CDLL(None).syscall
mark.argtypes = [ctypes.c_long, ctypes.c_long]

interpreter = Interpreter(sys.argv[1], num_threads=1)
interpreter.allocate_tensors()
rng = np.random.default_rng(0)
for details in interpreter.get_input_details():
    shape, dtype = details["shape"], details["dtype"]
    integer = np.issubdtype(dtype, np.integer)
    values = rng.integers(-128, 128, shape) if integer else rng.uniform(-1, 1, shape)
    interpreter.set_tensor(details["index"], values.astype(dtype))
interpreter.invoke()
mark(GETPPID, MARK)
mark(GETPPID, MARK)
interpreter.invoke()
mark(GETPPID, MARK)
