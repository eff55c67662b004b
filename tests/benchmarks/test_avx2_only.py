"""Libraries whose CPUID instructions are answered as a processor with AVX2 and nothing later would."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from benchmarks import avx2_only
from harness import build, compiler

pytestmark = [
    pytest.mark.skipif(build.host_arch() != "x86_64", reason="needs an x86-64 machine"),
    pytest.mark.skipif(shutil.which("objdump") is None, reason="needs objdump"),
]

LIBRARY = r"""
#include <cpuid.h>
unsigned leaf7_ebx(void) { unsigned a, b, c, d; __cpuid_count(7, 0, a, b, c, d); return b; }
unsigned subleaf1_eax(void) { unsigned a, b, c, d; __cpuid_count(7, 1, a, b, c, d); return a; }
const unsigned char no_instruction[4] = {0x0f, 0xa2, 0xf4, 0x90};
unsigned immediate(void) { unsigned x; __asm__("movl $0xa20fa20f, %0" : "=r"(x)); return x; }
void fault(void) { *(volatile int *)8 = 1; }
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("library")
    (folder / "l.c").write_text(LIBRARY)
    flags = ["-target", "x86_64-linux-gnu", "-shared", "-fPIC", "-O1", "-fno-sanitize=undefined"]
    compiler.cc([*flags, "l.c", "-o", "l.so"], folder, "compiling the library")
    return folder / "l.so"


def ask(library, call: str) -> subprocess.CompletedProcess:
    code = f"import ctypes; l = ctypes.CDLL({str(library)!r}); print(l.{call}() & 0xffffffff)"
    environment = os.environ | {"LD_PRELOAD": str(avx2_only.preloaded())}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)


def test_patched_library_sees_avx2_and_nothing_later(library, tmp_path):
    patched = shutil.copy(library, tmp_path / "patched.so")
    assert avx2_only.patch(patched) == 2
    real, answered = (int(ask(path, "leaf7_ebx").stdout) for path in (library, patched))
    assert answered & ~real == 0
    assert answered >> 5 & 1 == real >> 5 & 1  # AVX2
    assert answered >> 16 & 1 == 0  # AVX512F
    assert int(ask(patched, "subleaf1_eax").stdout) == 0  # AVX-VNNI among others


def test_the_same_bytes_elsewhere_stay(library, tmp_path):
    patched = shutil.copy(library, tmp_path / "patched.so")
    avx2_only.patch(patched)
    assert int(ask(patched, "immediate").stdout) == 0xA20FA20F
    assert b"\x0f\xa2\xf4\x90" in patched.read_bytes()


def test_a_fault_of_the_programs_own_still_ends_it(library):
    assert ask(library, "fault").returncode == -11


def test_a_file_without_such_instructions_is_left_alone(tmp_path):
    (tmp_path / "text.so").write_text("no ELF \x0f\xa2")
    assert avx2_only.patch(tmp_path / "text.so") == 0
