"""train an int8 network that the runtime will run, or fine-tune a pruned one; needs the extra train"""

from __future__ import annotations

import argparse
from argparse import ArgumentParser, Namespace
from pathlib import Path

from harness.commands._options import add_model, add_ptq, add_quiet, names, positive
from harness.errors import UsageError

QUANTIZED = (".tflite", ".qbm")  # whose int8 is the runtime's
TRAINED = (*QUANTIZED, ".onnx", ".pb")


def add(parser: ArgumentParser) -> None:
    add_model(parser, trained=False)
    parser.add_argument(
        "--labels", action="store_true", help="learn the labels; they are not read without this option"
    )
    parser.add_argument(
        "--distill",
        action="store_true",
        help="learn the float network's answers, which needs no labels (default; with --labels: both)",
    )
    parser.add_argument(
        "--transforms",
        metavar="TEXT",
        help="change the network first, as with bench optimize: "
        "'prune_channels(fraction=0.3)', 'prune_weights(fraction=0.5)', 'decompose(cost=0.5)'",
    )
    parser.add_argument("--float", action="store_true", help="train in float32: fine-tuning without int8")
    add_ptq(parser, "what post-training steps int8 begins with")
    parser.add_argument("--out", required=True, metavar="FILE", help="the network: .tflite or .qbm")
    _add_settings(parser)
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="written after every epoch")
    parser.add_argument("--resume", action="store_true", help="go on where --checkpoint ends")
    add_quiet(parser)


def _add_settings(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--epochs", type=positive, default=40, metavar="N", help="at most (default: %(default)s)"
    )
    parser.add_argument(
        "--patience",
        type=positive,
        default=20,
        metavar="N",
        help="end after N epochs without a better validation (default: %(default)s)",
    )
    parser.add_argument(
        "--rate", type=_rate, default=1e-4, metavar="R", help="highest learning rate (default: %(default)s)"
    )
    parser.add_argument(
        "--batch", type=positive, default=32, metavar="N", help="samples a step (default: %(default)s)"
    )
    parser.add_argument(
        "--alter",
        type=names,
        default=("flip", "crop", "brightness"),
        metavar="A,…",
        help="images at random: flip, crop, brightness, or none (default: the three)",
    )
    parser.add_argument(
        "--batch-norm",
        action="store_true",
        help="batch norms follow the batches before they are frozen; for data sets of thousands",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of all that is random")


def _rate(text: str) -> float:
    """A number above 0 and at most 1."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number between 0 and 1")
    return value


def run(arguments: Namespace) -> int:
    if arguments.resume and arguments.checkpoint is None:
        raise UsageError("--resume goes on where a --checkpoint ends: say which")
    known = TRAINED if arguments.float else QUANTIZED
    if Path(arguments.out).suffix.lower() not in known:
        raise UsageError(f"cannot write '{arguments.out}': its suffix must be {' or '.join(known)}")
    from harness.commands._training import train  # brings PyTorch along

    return train(arguments)
