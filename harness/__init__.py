"""The controller: import → optimize → quantize → pack → build → deploy → trial → store → report."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("quantbench")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+source"
