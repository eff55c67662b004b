import re
import subprocess

import numpy as np
import pytest

from harness import compiler, formats
from harness.formats import INCLUDE, align, constants, record, records, runtime_ops

PRINT_LAYOUT = """
#include <stddef.h>
#include <stdio.h>
#include "src/format.h"
int main(void) {
#define QB_CONST(name, value)
#define QB_STRUCT(name, size) { typedef qb_##name now; printf(#name " = %zu\\n", sizeof(now));
#define QB_FIELD(type, field) printf(#field " %zu\\n", offsetof(now, field));
#define QB_ARRAY(type, field, count) QB_FIELD(type, field)
#define QB_END(name) }
#include "include/format.def"
    return 0;
}
"""


def python_layout():
    lines = []
    for name, dtype in records().items():
        lines.append(f"{name} = {dtype.itemsize}")
        lines += [f"{field} {dtype.fields[field][1]}" for field in dtype.names]
    return lines


def test_python_and_c_place_every_field_alike(tmp_path):
    (tmp_path / "layout.c").write_text(PRINT_LAYOUT)
    binary = tmp_path / "layout"
    compiler.cc(
        [
            str(tmp_path / "layout.c"),
            "-I.",
            "-o",
            str(binary),
            "-target",
            f"{compiler.host_arch()}-linux-musl",
        ],
        INCLUDE.parent,
        "printing the layout",
    )
    printed = subprocess.run([binary], capture_output=True, text=True, check=True, timeout=30).stdout
    assert printed.splitlines() == python_layout()


def test_every_line_of_the_definitions_is_understood():
    text = (INCLUDE / "format.def").read_text()
    lines = re.findall(r"^QB_(?:FIELD|ARRAY)\(", text, re.M)
    assert sum(len(dtype.names) for dtype in records().values()) == len(lines)
    assert len(constants()) == len(re.findall(r"^QB_CONST\(", text, re.M))
    assert len(runtime_ops()) == len(re.findall(r"^QB_OP\(", (INCLUDE / "ops.def").read_text(), re.M))


def test_op_codes_are_unique():
    codes = [op.code for op in runtime_ops().values()]
    assert len(set(codes)) == len(codes)
    assert runtime_ops()["Conv2D"].arithmetics == {"f32", "f16", "hybrid", "int8", "int16"}


def test_a_wrong_size_in_the_definition_is_noticed(monkeypatch):
    monkeypatch.setattr(formats, "_read", lambda name: "QB_STRUCT(s, 8)\nQB_FIELD(u32, a)\nQB_END(s)\n")
    with pytest.raises(ValueError, match="s is 4 bytes, not 8"):
        formats.records.__wrapped__()


def test_record_sets_named_fields_and_zeroes_the_rest():
    node = record("node_record", stride_h=2, parameters=[0.5, 0])
    assert node["stride_h"] == 2
    assert node["parameters"][0] == np.float32(0.5)
    assert node["stride_w"] == 0


def test_align():
    assert [align(n) for n in (0, 1, 64, 65)] == [0, 64, 64, 128]
