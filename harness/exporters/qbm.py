"""Graph → .qbm, the runtime's own format, which `harness/pack.py` specifies."""

from harness.pack import pack as write

__all__ = ["write"]
