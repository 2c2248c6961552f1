# Every target installs what it needs into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_FLAGS ?= --quiet --disable-pip-version-check
CONSTRAINTS ?= constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow lint format benchmark clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "Python 3.11, 3.12 or 3.13 is needed ($(PYTHON) is another): make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing the package and what it needs into $(VENV) (several GB with PyTorch, a few minutes)"
	$(BIN)/python -m pip install $(PIP_FLAGS) --constraint $(CONSTRAINTS) --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install $(PIP_FLAGS) --constraint $(CONSTRAINTS) --editable '.[dev]'
	@touch $@

install: $(VENV)/.installed ## Make .venv with the package in it

demo: $(VENV)/.installed ## L1 against Rank-N-Contrast on rotated digits: a table and plots, in minutes
	$(BIN)/python -m rnc_lightning.demo

test: $(VENV)/.installed-dev ## All tests but the slow ones
	$(BIN)/python -m pytest -m 'not slow'

test-slow: $(VENV)/.installed-dev ## The slow tests
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.installed-dev ## Format, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.installed-dev ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

benchmark: $(VENV)/.installed-dev ## Time and memory of the loss, beside the naive loop and the floor
	$(BIN)/python benchmarks/rnc_loss.py

clean: ## Remove the environment and caches, keep the runs
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache build dist
