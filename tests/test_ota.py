"""Updates between model files: applied byte for byte, by us and by the zstd program, and told per release."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import artifacts, cache, ota, pipeline
from harness.cli import main
from harness.exporters import tflite
from harness.pack import pack
from harness.store import Store
from harness.trial import TrialSettings
from tests.support.graphs import small_network

SHORT = TrialSettings("short", min_runs=20, min_ms=1, max_ms=20_000, processes=1, warmup_ms=1)


@given(st.binary(max_size=2000), st.binary(max_size=2000), st.integers(0, 2000))
def test_an_update_makes_the_new_file_of_the_old_one(old, other, kept):
    new = old[:kept] + other
    assert ota.applied(old, ota.update(old, new)) == new


def two_models():
    """Model files of which the second has other weights in one layer."""
    graph = small_network()
    old = pack(graph)
    weights = next(t for t in graph.tensors.values() if t.is_const and t.data.size > 50)
    weights.data = weights.data * 1.5
    return old, pack(graph)


def test_an_update_of_one_layer_is_smaller_than_the_file():
    old, new = two_models()
    assert len(ota.update(old, new)) < 0.5 * len(ota.update(b"", new))


def test_a_device_applies_it_with_the_zstd_program(tmp_path):
    if shutil.which("zstd") is None:
        pytest.skip("needs the zstd program: apt-get install zstd")
    old, new = two_models()
    (tmp_path / "old.qbm").write_bytes(old)
    (tmp_path / "update").write_bytes(ota.update(old, new))
    words = ["zstd", "-q", "-d", "--long=31", "--patch-from=old.qbm", "update", "-o", "new.qbm"]
    subprocess.run(words, cwd=tmp_path, check=True)
    assert (tmp_path / "new.qbm").read_bytes() == new


def measure(folder, seed, release):
    (folder / "net.tflite").write_bytes(tflite.write(small_network(seed)))
    request = pipeline.Request(
        ("local",), (str(folder / "net.tflite"),), ("f32",), settings=SHORT,
        store=str(folder / "results.db"), release=release,
    )  # fmt: skip
    (cell,) = pipeline.run(request, lambda what, done, total: None, lambda text: None).cells
    return cell


def test_a_run_and_a_comparison_tell_the_update_from_the_release_before(tmp_path, fresh_cache, capsys):
    first, same, second = (
        measure(tmp_path, seed, release) for seed, release in ((0, "1"), (0, "2"), (1, "3"))
    )
    old, new = (artifacts.find(cell.model_sha256).read_bytes() for cell in (first, second))
    size = len(ota.update(old, new))
    assert [cell.ota_delta_bytes for cell in (first, same, second)] == [None, 0, size]
    with Store.open(tmp_path / "results.db") as store:
        assert [cell.ota_delta_bytes for run in (1, 2, 3) for cell in store.cells(run).values()] == [
            None,
            0,
            size,
        ]

    compare = ["compare", "1", "3", "--store", str(tmp_path / "results.db")]
    assert main(compare) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "ota_delta_bytes" in line]
    assert line.split()[3:] == ["ota_delta_bytes", "—", f"{size}", "no", "change"]

    artifacts.find(first.model_sha256).unlink()
    ota.delta_bytes.cache_clear()  # as another process has it
    assert main(compare) == 0
    assert "ota_delta_bytes: unknown: a model file of the two is no longer kept" in capsys.readouterr().out


def test_the_update_between_two_files_is_made_once(monkeypatch, tmp_path):
    """However many devices and comparisons ask for it."""
    asked = []
    monkeypatch.setattr(artifacts, "find", lambda sha256: asked.append(sha256) or tmp_path / sha256)
    for name in ("one", "two"):
        (tmp_path / name).write_text(name * 100)
    assert len({ota.delta_bytes("one", "two") for _ in range(3)}) == 1
    assert asked == ["one", "two"]


def test_a_damaged_file_is_not_found(tmp_path, fresh_cache):
    cell = measure(tmp_path, 0, "1")
    kept = artifacts.find(cell.model_sha256)
    content = kept.read_bytes()
    kept.unlink()
    kept.write_bytes(content[:-1] + b"?")
    assert artifacts.find(cell.model_sha256) is None
    assert kept.parent == cache.folder("prepared")
