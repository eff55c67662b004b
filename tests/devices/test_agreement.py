"""One small suite on every kind of device: the same int8 predictions, and nothing sent twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import devices
from devices.virtual_pi import VirtualPi
from harness import pipeline
from harness.exporters import tflite
from harness.results import VALID
from harness.store import Store
from harness.trial import TrialSettings
from tests.support.adb_device import AdbDevice
from tests.support.graphs import small_network
from tests.support.sshd import Sshd

NAMES = ("local", "qemu", "board", "phone", "virtual")
SETTINGS = TrialSettings("short", min_runs=4, min_ms=1, max_ms=10_000, processes=1, warmup_ms=1)


class KeptOpen:
    """A device of the whole test session, which no run may close."""

    def __init__(self, device: VirtualPi) -> None:
        self._device = device
        self.name = device.name

    def __getattr__(self, name: str) -> object:
        return getattr(self._device, name)

    def close(self) -> None:
        pass


@pytest.fixture
def phone(tmp_path: Path) -> AdbDevice:
    with closing(AdbDevice(tmp_path / "phone")) as running:
        yield running


@pytest.fixture
def five(
    shared_sshd: Sshd,
    adb_server: int,
    phone: AdbDevice,
    small: VirtualPi,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], object]:
    """NAMES in the registry; the virtual one is the session's."""
    board = {"transport": "ssh", "host": "127.0.0.1", "port": shared_sshd.port, "user": shared_sshd.user}
    board |= {
        "key": str(shared_sshd.user_key),
        "host_key": shared_sshd.host_key,
        "folder": str(tmp_path / "b"),
    }
    entries = {
        "board": board,
        "phone": {"transport": "adb", "serial": phone.serial, "server_port": adb_server},
    }
    lines = []
    for name, settings in entries.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in settings.items())]
    (tmp_path / "devices.toml").write_text("\n".join(lines))
    monkeypatch.setenv("BENCH_DEVICES", str(tmp_path / "devices.toml"))
    registered = devices.open_device
    small.name = "virtual"
    monkeypatch.setattr(
        devices, "open_device", lambda name: KeptOpen(small) if name == "virtual" else registered(name)
    )
    yield registered
    small.name = "pi"


@pytest.mark.slow
def test_all_kinds_of_device_predict_the_same_and_nothing_is_sent_twice(
    five: Callable[[str], object], phone: AdbDevice, small: VirtualPi, tmp_path: Path
) -> None:
    (tmp_path / "net.tflite").write_bytes(tflite.write(small_network()))
    images = tmp_path / "images"
    rng = np.random.default_rng(0)
    for label in range(5):
        (images / str(label)).mkdir(parents=True)
        for i in range(2):
            pixels = rng.integers(0, 256, (12, 12, 3), np.uint8)
            Image.fromarray(pixels).save(images / str(label) / f"{i}.png")
    request = pipeline.Request(
        devices=NAMES,
        models=(str(tmp_path / "net.tflite"),),
        variants=("int8",),
        preprocess="resize=9,mean=127.5,std=127.5",
        dataset=str(images),
        settings=SETTINGS,
        store=str(tmp_path / "results.db"),
    )
    runs = []
    for _ in range(2):
        sent: list[str] = []
        before = phone.received, small.sent_bytes
        outcome = pipeline.run(request, lambda what, done, total: None, sent.append)
        assert [(cell.device, cell.verdict, cell.reasons) for cell in outcome.cells] == [
            (name, VALID, ()) for name in NAMES
        ]
        runs.append((sorted(sent), phone.received - before[0], small.sent_bytes - before[1]))
    (first, *first_bytes), (second, *second_bytes) = runs
    assert second == [f"{name}: net: 0 bytes sent" for name in sorted(NAMES)]
    assert second_bytes == [0, 0]
    assert min(first_bytes) > 100_000  # of the runner alone
    with Store.open(tmp_path / "results.db") as store:
        found = [store.predictions(cell)[1] for run in store.runs() for cell in store.cells(run)]
    assert len(found) == 2 * len(NAMES)
    for other in found[1:]:
        np.testing.assert_array_equal(found[0].classes, other.classes)
        assert found[0].scores.tobytes() == other.scores.tobytes()
