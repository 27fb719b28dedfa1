# `make repro` and `make test` are all that a fresh clone needs; `make help` lists the rest.
# An environment of one's own: make test VENV=/somewhere/venv

VENV   ?= .venv
PYTHON ?= python3
# Test processes; each of them runs torch on one thread.
JOBS   ?= $(shell n=$$(nproc 2>/dev/null || echo 2); [ $$n -gt 4 ] && echo 4 || echo $$n)

BIN := $(abspath $(VENV))/bin
# The stages' commands say `python`: that of the environment, activated or not.
export PATH := $(BIN):$(PATH)
unexport PYTHONHOME

PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --no-input --quiet
LINTED := dancestyle stages tests benchmarks .ci

.DEFAULT_GOAL := help
.PHONY: help repro test test-quick lint types format bench bench-nets bench-seeds readme ci clean-venv

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*##/  make \1:/p' $(firstword $(MAKEFILE_LIST))

repro: $(VENV)/.runtime  ## install what is missing, run what is out of date, sum up the results
	@$(BIN)/python -m dancestyle.params
	$(BIN)/dvc repro
	@echo
	@$(BIN)/python -m dancestyle.evaluation.summary
	@$(BIN)/python -m dancestyle.evaluation.run_facts

test: lint types  ## all tests, format, lint and types
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --durations 10

test-quick: lint types  ## the same without the slow tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not slow"

lint: $(VENV)/.dev  ## format and lint, changing nothing
	$(BIN)/ruff format --check $(LINTED)
	$(BIN)/ruff check $(LINTED)
	$(BIN)/python -m dancestyle.evaluation.readme --check

types: $(VENV)/.dev  ## type checks
	$(BIN)/mypy
	$(BIN)/mypy .ci/compare_metrics.py

format: $(VENV)/.dev  ## put format and lint right where a tool can
	$(BIN)/ruff check --fix $(LINTED)
	$(BIN)/ruff format $(LINTED)

bench: $(VENV)/.dev  ## speed of reading and of flow, in a few minutes
	$(BIN)/python -m benchmarks.read_video
	$(BIN)/python -m benchmarks.flow

bench-nets: $(VENV)/.dev  ## speed of the nets, forward and in training, in some minutes
	$(BIN)/python -m benchmarks.nets_speed
	$(BIN)/python -m benchmarks.nets_speed --mode training
	$(BIN)/python -m benchmarks.conv
	$(BIN)/python -m benchmarks.training

bench-seeds: $(VENV)/.runtime  ## accuracy over three seeds of the sample, in a clone; takes an hour
	$(BIN)/python -m benchmarks.seeds

readme: $(VENV)/.runtime  ## fill the results of README.md in from metrics/
	$(BIN)/python -m dancestyle.evaluation.readme

ci:  ## what is run before a change is accepted
	.ci/run

clean-venv:  ## remove the environment, to have it made anew
	rm -rf $(VENV)

# The stamps are younger than the lists that they stand for: nothing is installed twice.
$(VENV)/.runtime: requirements.txt constraints.txt | $(BIN)/python
	$(PIP_INSTALL) -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt requirements.txt constraints.txt | $(BIN)/python
	$(PIP_INSTALL) -r requirements-dev.txt
	@touch $@ $(VENV)/.runtime

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is older than Python 3.11; name a newer one: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
