import subprocess
import sys
import urllib.request

import pytest

from harness import exporters
from harness.cli import main
from tests.support.graphs import small_network


@pytest.fixture
def file(tmp_path):
    exporters.save(small_network(), tmp_path / "net.pb")
    return tmp_path / "net.pb"


def test_runs_for_both_graphs(capsys, file, tmp_path):
    assert main(["view", str(file), "solar_cells", "--logdir", str(tmp_path / "runs")]) == 0
    assert {folder.name for folder in (tmp_path / "runs").iterdir()} == {"before", "after"}
    assert f"tensorboard --logdir {tmp_path / 'runs'}" in capsys.readouterr().out


def test_a_picture_alone(capsys, file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["view", str(file), "--png", "net.png"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"net.pb", "net.png"}
    assert capsys.readouterr().out.startswith("wrote net.png: ")


def test_a_log_folder_that_cannot_be_is_named(capsys, file, tmp_path):
    (tmp_path / "taken").write_text("a file")
    assert main(["view", str(file), "--logdir", str(tmp_path / "taken")]) == 2
    assert "taken" in capsys.readouterr().err


def test_a_picture_of_another_format_is_refused(capsys, file):
    assert main(["view", str(file), "--png", "net.jpg"]) == 2
    assert "ends in .png" in capsys.readouterr().err


def test_netron_serves_the_file_on_this_machine_only(file):
    pytest.importorskip("netron", reason="needs netron")
    command = [
        sys.executable,
        "-m",
        "harness.cli",
        "view",
        str(file),
        "--serve",
        "--png",
        str(file.with_suffix(".png")),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
        try:
            line = next(line for line in served.stdout if "Netron" in line)
            address = line.split()[1]
            assert address.startswith("http://127.0.0.1:")
            with urllib.request.urlopen(f"{address}/data/net.pb", timeout=10) as answer:
                assert answer.read() == file.read_bytes()
        finally:
            served.terminate()
