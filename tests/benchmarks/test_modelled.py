"""Inner loops in assembly: which are found, what they multiply, what llvm-mca says of them."""

from __future__ import annotations

import shutil

import pytest

from benchmarks import modelled

ASSEMBLY = """
run:
	mov	x8, x0
.LBB0_1:                                
	ldr	q0, [x1], #16
.LBB0_2:                                //   Parent Loop BB0_1 Depth=1
	ldr	q1, [x2], #16
	smull	v2.8h, v0.8b, v1.8b
	smlal2	v2.8h, v0.16b, v1.16b
	sadalp	v3.4s, v2.8h
	cbz	x9, .LBB0_3
	fmla	v4.4s, v5.4s, v6.s[1]
.LBB0_3:                                //   in Loop: Header=BB0_2 Depth=2
	subs	x3, x3, #1
	b.ne	.LBB0_2
	subs	x4, x4, #1
	b.ne	.LBB0_1
	ret
.LBB0_4:
	sdot	v0.4s, v1.16b, v2.16b
	bl	memcpy
	cbnz	x0, .LBB0_4
.Lfunc_end0:
other:
.LBB1_1:                                // =>This Inner Loop Header: Depth=1
	sdot	v0.4s, v1.16b, v2.4b[3]
	cbnz	x0, .LBB1_1
.Lfunc_end1:
	//APP
1:
	sdot	v0.4s, v1.16b, v2.16b
	sdot	v3.4s, v1.16b, v2.16b
	b.hs	1b
	b.eq	2f
2:
	//NO_APP
"""


def test_innermost_loops_reach_to_their_last_branch_back():
    first, second, assembly = modelled.innermost_loops(ASSEMBLY)
    assert [line.split()[0] for line in first.lines] == [
        *("ldr", "smull", "smlal2", "sadalp", "cbz", "fmla", "subs", "b.ne")
    ]
    assert (first.macs, second.macs, assembly.macs) == (8 + 8 + 4, 16, 32)


def test_multiplications_alone_wait_for_nothing():
    second = modelled.innermost_loops(ASSEMBLY)[1]
    alone = second.multiplications
    assert len(alone) == modelled.SPREAD
    assert alone[1].split() == ["sdot", "v1.4s,", "v17.16b,", "v24.4b[3]"]
    assert len({line.split()[1] for line in alone}) == 16


def test_cycles_of_a_model():
    try:
        modelled._mca()
    except modelled.BenchError:
        pytest.skip("needs llvm-mca")
    loop = modelled.innermost_loops(ASSEMBLY)[1]
    alone = modelled.cycles(loop.multiplications, "cortex-a76") / modelled.SPREAD
    assert alone == pytest.approx(0.5, abs=0.02)  # two SDOT a cycle
    assert modelled.cycles(loop.lines, "cortex-a76") >= 1.0  # each waits for the one before


def test_without_llvm_mca_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(modelled.Path, "glob", lambda self, pattern: iter(()))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(modelled.BenchError, match="apt-get install llvm"):
        modelled._mca()
