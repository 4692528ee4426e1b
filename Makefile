# make run: train a digit classifier on real digits.   make test: run the tests.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: install run test test-slow test-all test-versions lint benchmark clean
.DEFAULT_GOAL := run

install: $(VENV)/installed

$(VENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "deepapps needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

run: install
	$(BIN)/deepapps train mnist

test: install lint
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

test-slow: install
	$(BIN)/python -m pytest -m slow

# everything, and the coverage of each file
test-all: install lint
	$(BIN)/python -m pytest -m '' --numprocesses auto --dist loadfile --cov deepapps --cov-report term:skip-covered

# the tests of layers and loop on the oldest, the newest and the nightly versions; SETS=nightly is one of them alone
test-versions:
	$(PYTHON) tests/versions.py $(SETS)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# what needs no data of yours; the other benchmarks say what they need
benchmark: install
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[benchmark]'
	$(BIN)/python benchmarks/mnist.py
	$(BIN)/python benchmarks/images.py
	$(BIN)/python benchmarks/layers.py
	$(BIN)/python benchmarks/cluster.py
	$(BIN)/python benchmarks/sequence.py
	$(BIN)/python benchmarks/translator.py
	$(BIN)/python benchmarks/tuning.py

clean:
	rm -rf $(VENV) .venv-versions build dist *.egg-info
