"""The model file is mapped, not copied: runners of one model share its pages in memory."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from harness import pack
from tests.support.graphs import Builder
from tests.support.runner import command

MEGABYTES = 4
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc/PID/smaps")


@pytest.fixture
def model(tmp_path):
    """A network of which nearly all is weights."""
    b = Builder()
    weights = np.random.default_rng(0).normal(size=(256 * MEGABYTES, 1024)).astype(np.float32)
    path = tmp_path / "weights.qbm"
    pack.write(b.build(b.node("FullyConnected", b.input((1, 1024)), b.const(weights))), path)
    return path


@contextlib.contextmanager
def running(model: Path, isa: str) -> Iterator[int]:
    """A runner in the middle of its timed runs; gives its process id."""
    argv = [*command(), "latency", "--model", str(model), "--nonce", "x", "--min-runs", "1"]
    argv += ["--min-ms", "60000", "--max-ms", "60000", "--warmup-ms", "1"]
    process = subprocess.Popen(argv, env={"QB_ISA": isa}, stdout=subprocess.PIPE)
    try:
        while b'"warmup"' not in (line := process.stdout.readline()):
            assert line, "the runner ended early"
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def mapping(pid: int, model: Path) -> dict[str, int]:
    """The kernel's figures on the file's mapping, in bytes."""
    smaps = Path(f"/proc/{pid}/smaps").read_text()
    ((permissions, figures),) = re.findall(
        rf"^\S+ (\S+) .* {re.escape(str(model))}\n((?:\w+:.*\n)+)", smaps, re.M
    )
    assert permissions == "r--p"
    return {name: 1024 * int(kb) for name, kb in re.findall(r"^(\w+): +(\d+) kB", figures, re.M)}


def test_two_runners_share_the_pages_of_one_model(model):
    """Kernels that read weights where they lie: half of the model's memory is on either's account."""
    with running(model, "scalar") as first, running(model, "scalar") as second:
        for pid in (first, second):
            seen = mapping(pid, model)
            assert seen["Shared_Clean"] >= MEGABYTES << 20
            assert seen["Pss"] <= 0.51 * seen["Rss"]
            assert seen["Private_Clean"] == seen["Private_Dirty"] == seen["Anonymous"] == 0


def test_kernels_that_pack_weights_copy_no_page_of_the_mapping(model):
    with running(model, "") as first, running(model, "") as second:
        for pid in (first, second):
            seen = mapping(pid, model)
            assert seen["Private_Clean"] == seen["Private_Dirty"] == seen["Anonymous"] == 0
            assert seen["Rss"] == seen["Shared_Clean"]
