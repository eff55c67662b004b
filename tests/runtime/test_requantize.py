"""The fixed-point arithmetic, tested in C (runtime/tests/test_requantize.c)."""

import subprocess

from tests.support.c_programs import program


def test_fixed_point_arithmetic():
    done = subprocess.run([program("test_requantize")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
