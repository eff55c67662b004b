"""How each TFLite operator reads in the IR: one file an op family, with a table `OPERATORS` of translators.

A translator takes an `Operator` and returns (IR op, input names, attributes). The meaning of options is
that of tensorflow/lite/schema/schema.fbs.
"""

from __future__ import annotations

import importlib
import pkgutil

from harness.importers.tflite_operator import Translator

TFLITE_OPS: dict[str, Translator] = {}

for _module in pkgutil.iter_modules(__path__):
    TFLITE_OPS.update(importlib.import_module(f"{__name__}.{_module.name}").OPERATORS)
