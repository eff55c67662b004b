# The two commands of the README. Everything is installed into .venv, once, and again when pyproject.toml changes.
.PHONY: bench test lint results figures kernels

bench: .venv/.bench
	.venv/bin/bench --device qemu --model solar_cells

test: lint
	.venv/bin/pytest -n 2

lint: .venv/.test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

# The tables of the README and of docs/tables.md, 20 minutes on a machine with nothing else to do.
results: .venv/.bench
	.venv/bin/python scripts/results.py

# Speed beside other runtimes (docs/speed.md), an hour on a machine with nothing else to do; QUICK=--quick: a rehearsal.
figures: .venv-peers/.done
	.venv-peers/bin/python -m benchmarks.arm
	.venv-peers/bin/python -m benchmarks.peers $(QUICK)
	.venv-peers/bin/python -m benchmarks.modelled

kernels: .venv-peers/.done
	.venv-peers/bin/pytest benchmarks/test_kernels.py --benchmark-columns min,median,ops

.venv/.bench: pyproject.toml scripts/setup.sh
	scripts/setup.sh graphdef,solar
	touch $@

.venv/.test: pyproject.toml scripts/setup.sh
	scripts/setup.sh graphdef,onnx,report,solar,train,view,test
	touch $@ .venv/.bench

.venv-peers/.done: pyproject.toml
	python3 -m venv .venv-peers
	.venv-peers/bin/pip install --editable .[peers]
	touch $@
