# The two commands of the README. Everything is installed into .venv, once, and again when pyproject.toml changes.
.PHONY: bench test lint

bench: .venv/.bench
	.venv/bin/bench --device qemu --model solar_cells

test: lint
	.venv/bin/pytest -n 2

lint: .venv/.test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

.venv/.bench: pyproject.toml scripts/setup.sh
	scripts/setup.sh graphdef,solar
	touch $@

.venv/.test: pyproject.toml scripts/setup.sh
	scripts/setup.sh graphdef,onnx,report,solar,view,test
	touch $@ .venv/.bench
