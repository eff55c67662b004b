"""Cross-compilation: what is compiled, with which flags, and when the cache answers.

Most tests build a runtime of a few lines; the real one is built once per architecture.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from harness import build, compiler
from harness.deploy import check_architecture
from harness.errors import BenchError, UsageError

ARCHITECTURES = sorted(build.TARGETS)
ISA_DEF = """
/* QB_ISA(commented, any, "-mno-such-flag") */
QB_ISA(scalar, any, "")
QB_ISA(avx2, x86_64, "-mavx2 -mfma")
QB_ISA(neon, aarch64, "")
QB_ISA(neon, armv7, "-mfpu=neon-vfpv4")
"""
MAIN = """
#include <stdio.h>
#include "answer.h"
int main(void) { printf("%d %s\\n", answer_scalar(), __FILE__); return 0; }
"""
AVX2 = """
#if !defined(__AVX2__) || !defined(__FMA__)
#error compiled without its flags
#endif
int unused_avx2;
"""
NEON = """
#if !defined(__ARM_NEON)
#error compiled for another architecture
#endif
int unused_neon;
"""


def write_runtime(folder: Path) -> Path:
    files = {
        "include/answer.h": "int answer_scalar(void);\n",
        "src/isa.def": ISA_DEF,
        "src/kernels/answer_scalar.c": '#include "answer.h"\nint answer_scalar(void) { return 42; }\n',
        "src/kernels/unused_avx2.c": AVX2,
        "src/kernels/unused_neon.c": NEON,
        "runner/main.c": MAIN,
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_cache: Path) -> Path:
    """A runtime of a few lines in place of the real one, and an empty cache."""
    folder = write_runtime(tmp_path / "runtime")
    monkeypatch.setattr(build, "FOLDER", folder)
    return folder


def load_segments(binary: Path) -> list[tuple[int, int, int]]:
    """(file offset, virtual address, alignment) of every PT_LOAD program header of a 64-bit ELF file."""
    data = binary.read_bytes()
    (start,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    headers = [struct.unpack_from("<IIQQQQQQ", data, start + i * size) for i in range(count)]
    return [(header[2], header[3], header[7]) for header in headers if header[0] == 1]


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_real_runner_is_static_and_for_its_architecture(arch: str) -> None:
    binary = build.runner(arch)
    check_architecture(binary, arch, "test")
    assert binary.name == "bench-runner"
    data = binary.read_bytes()
    assert b"/lib/ld-" not in data, "dynamically linked"
    assert b".symtab" not in data, "not stripped"
    assert len(data) <= 400_000, "larger than what a small board's flash is asked for"
    assert build.runner_sha256(arch) == build.runner_sha256(arch)


def test_aarch64_segments_load_on_16_and_64_kilobyte_pages() -> None:
    segments = load_segments(build.runner("aarch64"))
    assert segments
    for offset, address, alignment in segments:
        assert alignment == 0x10000
        assert offset % alignment == address % alignment


def test_runner_runs_here(tiny: Path) -> None:
    binary = build.runner(build.host_arch())
    assert subprocess.check_output([binary]) == b"42 runner/main.c\n"


def test_every_architecture_gets_its_own_isa_variants(tiny: Path) -> None:
    kernels = {
        arch: [Path(name).stem for name in build.sources_of(arch) if "kernels" in name]
        for arch in ARCHITECTURES
    }
    assert kernels == {
        "aarch64": ["answer_scalar", "unused_neon"],
        "armv7": ["answer_scalar", "unused_neon"],
        "x86_64": ["answer_scalar", "unused_avx2"],
    }
    assert build.sources_of("x86_64")["src/kernels/unused_avx2.c"] == ("-mavx2", "-mfma")
    for arch in ARCHITECTURES:
        build.runner(arch)  # the #error lines see to it that the flags arrive


def test_isa_line_for_an_unknown_architecture_is_an_error(tiny: Path) -> None:
    (tiny / "src" / "isa.def").write_text('QB_ISA(sve, arm64, "")\n')
    with pytest.raises(BenchError, match=r"isa\.def: QB_ISA\(sve\): unknown architecture 'arm64'"):
        build.runner("aarch64")


def test_second_call_is_answered_by_the_cache(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    first = build.runner("x86_64", told.append)
    assert any("compiling the runner for x86_64: 1 of 3" in text for text in told)
    assert any("linking the runner for x86_64" in text for text in told)
    monkeypatch.setattr(compiler, "cc", lambda *_: pytest.fail("compiled again"))
    for path in tiny.rglob("*.c"):
        path.touch()
    told.clear()
    assert build.runner("x86_64", told.append) == first
    assert told == []


@pytest.mark.parametrize(
    "name", ["include/answer.h", "src/isa.def", "src/kernels/answer_scalar.c", "runner/main.c"]
)
def test_any_change_gives_another_binary(tiny: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(compiler, "cc", lambda arguments, *_: Path(arguments[-1]).touch())
    before = build.runner("x86_64")
    with (tiny / name).open("a") as file:
        file.write("/* changed */\n")
    assert build.runner("x86_64") != before


def test_flags_and_compiler_are_part_of_the_key(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "cc", lambda arguments, *_: Path(arguments[-1]).touch())
    paths = [build.runner("x86_64"), build.runner("aarch64"), build.runner("x86_64", extra_flags=("-DX",))]
    monkeypatch.setattr(compiler, "VERSION", "ziglang 99")
    paths.append(build.runner("x86_64"))
    assert len(set(paths)) == 4


def test_same_sources_give_the_same_bytes_in_another_place(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build.runner_sha256("aarch64")
    elsewhere = tmp_path / "another" / "checkout"
    shutil.copytree(tiny, elsewhere)
    monkeypatch.setattr(build, "FOLDER", elsewhere)
    other_cache = tmp_path / "other-cache"
    other_cache.mkdir()
    (other_cache / "zig").symlink_to((tmp_path / "cache" / "zig").resolve())
    monkeypatch.setenv("QUANTBENCH_CACHE", str(other_cache))
    assert build.runner_sha256("aarch64") == first
    assert build.runner("aarch64").is_relative_to(other_cache)


def test_extra_flags_reach_the_compiler_and_the_linker(tiny: Path) -> None:
    (tiny / "runner" / "main.c").write_text(
        "int main(int argc, char **argv) { (void)argv; return (0x7fffffff + argc) == 0; }\n"
    )
    arch = build.host_arch()
    plain = build.runner(arch)
    checked = build.runner(arch, extra_flags=("-fsanitize=undefined",))
    assert subprocess.run([plain], capture_output=True).returncode == 0
    overflow = subprocess.run([checked], capture_output=True)
    assert overflow.returncode != 0
    assert b"overflow" in overflow.stderr


def test_compile_error_is_one_error_with_the_first_lines(tiny: Path, fresh_cache: Path) -> None:
    (tiny / "src" / "kernels" / "answer_scalar.c").write_text("int answer_scalar(void) { return missing; }\n")
    with pytest.raises(BenchError) as caught:
        build.runner("x86_64")
    assert str(caught.value).startswith("compiling src/kernels/answer_scalar.c for x86_64 failed: ")
    assert "answer_scalar.c:1:34: error:" in str(caught.value)
    assert len(str(caught.value).splitlines()) <= compiler.ERROR_LINES
    assert not list((fresh_cache / "runners").rglob("*.o"))
    assert not list((fresh_cache / "runners").rglob("bench-runner"))


def test_warnings_are_errors(tiny: Path) -> None:
    with (tiny / "runner" / "main.c").open("a") as file:
        file.write("static int never_used;\n")
    with pytest.raises(BenchError, match="unused variable 'never_used'"):
        build.runner("x86_64")


def test_link_error_names_the_missing_symbol(tiny: Path) -> None:
    (tiny / "src" / "kernels" / "answer_scalar.c").write_text("extern int other;\n")
    with pytest.raises(BenchError, match="linking the runner for x86_64 failed: .*answer_scalar"):
        build.runner("x86_64")


def test_unknown_architecture_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown architecture 'arm64'|unknown architecture 'armv8'"):
        build.runner("armv8")


def test_two_processes_may_build_at_once(tiny: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from harness import build; "
        "build.FOLDER = Path(sys.argv[1]); print(build.runner('x86_64'), build.runner_sha256('x86_64'))"
    )
    command = [sys.executable, "-c", script, str(tiny)]
    pair = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    outputs = [process.communicate(timeout=300) for process in pair]
    assert [process.returncode for process in pair] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]
    binary = build.runner("x86_64")
    assert f"{binary} {build.runner_sha256('x86_64')}\n".encode() == outputs[0][0]
    assert [path.name for path in binary.parent.iterdir()] == ["bench-runner"]


def test_cache_folder_that_cannot_be_made_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("QUANTBENCH_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(
        UsageError, match="cannot make the cache folder .*Not a directory; set QUANTBENCH_CACHE"
    ):
        build.runner("x86_64")
