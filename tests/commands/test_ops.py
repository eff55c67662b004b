from harness.cli import main
from harness.formats import runtime_ops
from harness.ops import OPS


def test_every_op_is_listed_with_what_it_runs_in(capsys):
    assert main(["ops"]) == 0
    table, rest = capsys.readouterr().out.split("\n\n")
    rows = {line.split()[0]: line.count("yes") for line in table.splitlines()[2:]}
    assert rows == {name: len(op.arithmetics) for name, op in runtime_ops().items()}
    assert set(rest.split(": ")[1].strip().split(", ")) == OPS.keys() - rows.keys()
