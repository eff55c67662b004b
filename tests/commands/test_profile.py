"""`bench profile` on this machine and in the emulator."""

from __future__ import annotations

import pytest

from harness.cli import main
from harness.errors import DeviceError
from harness.exporters import tflite
from tests.support.graphs import small_network


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "small.tflite"
    path.write_bytes(tflite.write(small_network()))
    return path


@pytest.mark.parametrize(
    ("device", "column", "missing"), [("local", "GMAC/s", "instr"), ("qemu", "MAC/instr", "µs")]
)
def test_every_layer_has_its_line(capsys, model, device, column, missing):
    code = main(["profile", "--device", device, "--model", str(model), "--variant", "hybrid", "--quiet"])
    out = capsys.readouterr().out
    assert code == 0
    assert column in out
    assert missing not in out.splitlines()[0]
    assert [line.split()[1] for line in out.splitlines()[2:8]] == [
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "CONV_2D",
        "AVERAGE_POOL_2D",
        "RESHAPE",
        "FULLY_CONNECTED",
    ]
    assert "peaks: f32" not in out
    assert "hybrid" in out.splitlines()[-1]


def test_an_emulator_that_cannot_count_is_refused(capsys, model, monkeypatch):
    monkeypatch.setattr("devices.qemu.QemuDevice.count_instructions", lambda *_: None)
    assert main(["profile", "--device", "qemu", "--model", str(model), "--quiet"]) == DeviceError.exit_code
    assert "cannot count instructions" in capsys.readouterr().err
