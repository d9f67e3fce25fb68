# Every target works from a fresh clone with Python 3.11+ and a package registry.
PYTHON ?= python3
BIN := .venv/bin
BENCH ?= benchmarks

.PHONY: setup demo test test-all interop check bench gpu clean

setup: .venv/installed

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

interop: setup
	$(BIN)/python tests/interop/environments.py

demo: setup
	$(BIN)/python examples/quickstart.py

test: setup
	$(BIN)/python -m pytest

test-all: setup
	$(BIN)/python -m pytest -m 'slow or not slow'

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest

bench: setup
	$(BIN)/python -m pytest $(BENCH) --benchmark-only -m 'slow or not slow' --override-ini 'testpaths=benchmarks' --override-ini 'python_files=bench_*.py' -o addopts=

gpu: setup
	$(BIN)/python -m pytest -m gpu
	$(BIN)/python benchmarks/bench_infer_gpu.py $(IMAGES)

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis examples/out
