# Two commands are enough: `make run` and `make test`. Both build .venv first when it is missing or stale.
SHELL := /bin/bash
ROOT := $(dir $(abspath $(lastword $(MAKEFILE_LIST))))
PYTHON ?= python3
VENV := $(ROOT).venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
VENV_MIN ?= $(ROOT).venv-min

.PHONY: run test test-wheel test-minimum test-all fuzz lint bench docs links clean install

run: install
	cd $(ROOT) && $(BIN)/lossdsl search --model biasedmf --data demo --budget 60s

test: install
	cd $(ROOT) && $(BIN)/ruff check . && $(BIN)/python -m pytest -n 2 -m "not slow"

test-all: install lint
	cd $(ROOT) && $(BIN)/python -m pytest -n 2 --hypothesis-profile=random

# The released thing: `make test-wheel PYTHON=python3.13`; VENV_WHEEL=FOLDER keeps the environment for the next time.
test-wheel:
	VENV=$(VENV_WHEEL) $(ROOT).ci/test-wheel $(PYTHON) $(ARGS)

# The oldest releases that pyproject.toml admits, which uv finds; on Python 3.10, the oldest of all.
test-minimum:
	test -x $(VENV_MIN)/bin/python || $(PYTHON) -m venv $(VENV_MIN)
	$(VENV_MIN)/bin/python -m pip install -q --disable-pip-version-check uv
	cd $(ROOT) && $(VENV_MIN)/bin/uv pip install -q --python $(VENV_MIN) --resolution lowest-direct -e '.[dev]'
	cd $(ROOT) && $(VENV_MIN)/bin/python -m pytest -m "not slow" $(ARGS)

fuzz: install
	cd $(ROOT) && $(BIN)/python benchmarks/fuzz.py && $(BIN)/python benchmarks/soundness.py

lint: install
	cd $(ROOT) && $(BIN)/ruff check . && rm -rf build && \
	$(BIN)/pip install -q --no-deps --target build/typed . && cd build/typed && $(BIN)/mypy --config-file $(ROOT)pyproject.toml -p lossdsl

bench: install
	cd $(ROOT) && $(BIN)/python benchmarks/run.py check

docs: install
	cd $(ROOT) && $(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e ".[docs]" && \
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html && echo "docs/_build/html/index.html"

# Asks every external link of the documentation, so it needs the network.
links: install
	cd $(ROOT) && $(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e ".[docs]" && \
	$(BIN)/sphinx-build -q --keep-going -b linkcheck docs docs/_build/links

install: $(STAMP)

# The stamp is touched last, so a cut-off installation starts again.
$(STAMP): $(ROOT)pyproject.toml $(ROOT)constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -c $(ROOT)constraints.txt torch
	$(BIN)/pip install -q --disable-pip-version-check -c $(ROOT)constraints.txt -e "$(ROOT)[dev]"
	touch $(STAMP)

clean:
	rm -rf $(VENV) $(VENV_MIN) $(ROOT)build $(ROOT)docs/_build $(ROOT)docs/tables
