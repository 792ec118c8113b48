# av2a: what can be done here. `make` alone prints this list.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(abspath $(VENV))/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench clean

help:  ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## a virtual environment in .venv with everything (used again while up to date)

$(READY): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV): PyTorch comes along, so the first time takes minutes"
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: setup  ## make clips with sound, extract, score and evaluate them, in ./demo
	@rm -rf demo && mkdir demo
	cd demo && $(BIN)/av2a demo
	cd demo && $(BIN)/av2a extract
	cd demo && $(BIN)/av2a score --alpha 0.5
	cd demo && $(BIN)/av2a evaluate events.json --annotations annotations --dataset llp --split test
	@echo "left in demo/: videos/ annotations/ features.zarr events.json"

test: lint  ## lint, types and every test
	$(BIN)/python -m pytest

lint: setup  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup  ## every benchmark, printed; figures and machines are in docs/benchmarks.md
	$(BIN)/python -m benchmarks.score
	$(BIN)/python -m benchmarks.search

clean:  ## remove what the commands above made, the environment included
	rm -rf $(VENV) demo build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
