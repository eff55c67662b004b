"""What a training that was cut off goes on with."""

from __future__ import annotations

import io
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch

from harness.errors import FormatError, UsageError
from harness.files import replacing

# What torch.load raises on damaged files.
_DAMAGED = (OSError, pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, ValueError, EOFError, KeyError,
            TypeError, AttributeError, IndexError, MemoryError, OverflowError)  # fmt: skip


@dataclass(frozen=True)
class Checkpoint:
    """A file. purpose: what network, samples and settings it belongs to. resumed: it is read first."""

    path: Path
    purpose: str
    resumed: bool = False

    def write(self, state: dict[str, object]) -> None:
        """Whole or not at all. Raises UsageError where the file cannot be written."""
        try:
            with replacing(self.path) as temporary:
                torch.save({"purpose": self.purpose, "state": state}, temporary)
        except OSError as error:
            raise UsageError(f"{self.path}: cannot be written: {error.strerror}") from error

    def read(self) -> dict[str, object]:
        """What was written; tensors and plain values only, so no code in the file is run.

        Raises UsageError where there is no file or it belongs to something else, FormatError where it is
        damaged.
        """
        try:
            written = self.path.read_bytes()
        except OSError as error:
            raise UsageError(f"{self.path}: cannot be read: {error.strerror}") from error
        try:
            content = torch.load(io.BytesIO(written), weights_only=True)
        except _DAMAGED as error:
            raise FormatError(
                f"{self.path}: not a checkpoint of bench train: {type(error).__name__}"
            ) from error
        if not isinstance(content, dict) or content.keys() != {"purpose", "state"}:
            raise FormatError(f"{self.path}: not a checkpoint of bench train")
        if content["purpose"] != self.purpose:
            raise UsageError(
                f"{self.path} belongs to another training: its network, samples or settings are not these"
            )
        return content["state"]
