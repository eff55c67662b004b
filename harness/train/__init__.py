"""Training with simulated quantization (QAT) and fine-tuning, in PyTorch: the extra `train`.

    Graph ── Network ── fit ── Graph and ranges ── harness/quantize/int8.py ── int8 Graph

A `Network` (network.py) computes what the runtime will compute of a graph, so that gradients see its
rounding; `fit` (fitting.py) trains it on labels, on the answers of the float network, or on both.
Importing this package raises UsageError where PyTorch is missing; only `bench train` imports it.
"""

import importlib.util

from harness.errors import UsageError

if importlib.util.find_spec("torch") is None:
    raise UsageError("training needs PyTorch: pip install 'quantbench[train]'")
