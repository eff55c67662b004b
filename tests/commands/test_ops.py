from harness.cli import main
from harness.formats import runtime_ops
from harness.ops import OPS
from tests.conftest import ROOT


def test_every_op_is_listed_with_what_it_runs_in(capsys):
    assert main(["ops"]) == 0
    table, rest = capsys.readouterr().out.split("\n\n")
    rows = {line.split()[0]: line.count("yes") for line in table.splitlines()[2:]}
    assert rows == {name: len(op.arithmetics) for name, op in runtime_ops().items()}
    assert set(rest.split(": ")[1].strip().split(", ")) == OPS.keys() - rows.keys()


def test_the_documentation_has_the_table(capsys):
    assert main(["ops", "--markdown"]) == 0
    table = capsys.readouterr().out
    page = (ROOT / "docs" / "ops.md").read_text(encoding="utf-8")
    assert table in page, "make docs/ops.md's table anew: bench ops --markdown"
