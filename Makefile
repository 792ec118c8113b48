# av2a: what can be done here. `make` alone prints this list.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(abspath $(VENV))/bin
READY  := $(VENV)/.ready
LAION  := .venv-laion
SED    := .venv-sed
# a worker for each core, files whole; more than 4 would only take memory
SIDE_BY_SIDE := --numprocesses auto --maxprocesses 4 --dist loadfile

# clip_laion_clap, then what stands in for the rest of av2a under numpy 1 and the zarr that still takes it: the cache,
# the golden scoring sets, extraction
LAION_TESTS := tests/extract/test_laion_clap.py tests/extract/test_clap_from_laion.py tests/feature_cache/test_feature_cache.py \
	tests/feature_cache/test_verify.py tests/score/test_golden_scoring.py tests/extract/test_backbones.py

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow test-laion test-sed lint lint-platforms bench vendor pictures dist clean

help:  ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

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
	@echo "now move thresholds and see events move: $(VENV)/bin/av2a tune demo/features.zarr --annotations demo/annotations --dataset llp"

test: lint  ## lint, types and the tests: 5 minutes at most on 2 cores
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

test-slow: lint-platforms  ## what takes longest: other systems and processors, many processes, 2,000 broken files
	$(BIN)/python -m pytest -m slow $(SIDE_BY_SIDE)

test-laion: $(LAION)/.ready  ## what concerns laion_clap, in an environment of its own: it holds numpy below 2
	$(LAION)/bin/python -m pytest $(LAION_TESTS)

$(LAION)/.ready: pyproject.toml
	@test -x $(LAION)/bin/python || $(PYTHON) -m venv $(LAION)
	@echo "setting up $(LAION), with a PyTorch of its own: minutes the first time"
	$(LAION)/bin/python -m pip install --quiet --editable '.[laion]' 'pytest>=8' 'hypothesis>=6.100'
	@touch $@

test-sed: $(SED)/.ready  ## PSDS by sed_scores_eval, in an environment of its own: it holds pandas below 3
	$(SED)/bin/python -m pytest -k "psds or sed_scores_eval" tests/cli/test_lists.py tests/score/test_score_files.py

$(SED)/.ready: pyproject.toml
	@test -x $(SED)/bin/python || $(PYTHON) -m venv $(SED)
	@echo "setting up $(SED): sed_scores_eval is built from source"
	$(SED)/bin/python -m pip install --quiet --editable '.[sed]' 'pytest>=8' 'hypothesis>=6.100'
	@touch $@

lint: setup  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lint-platforms: setup  ## mypy as on macOS and Windows, and for the newest Python
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32
	$(BIN)/mypy --python-version 3.13

bench: setup  ## every benchmark, printed; figures and machines are in docs/benchmarks.md
	$(BIN)/python -m benchmarks.score
	$(BIN)/python -m benchmarks.search
	$(BIN)/python -m benchmarks.rules
	$(BIN)/python -m benchmarks.tune
	$(BIN)/python -m benchmarks.report
	$(BIN)/python -m benchmarks.extract
	$(BIN)/python -m benchmarks.scale
	$(BIN)/python -m benchmarks.resume
	$(BIN)/python -m benchmarks.average_precision

vendor: setup  ## what the pages take from others, fetched again with npm and compared with its hashes
	$(BIN)/python -m score.view.vendored

pictures: setup  ## the pictures of pages in docs/, from the tests (needs a Chromium)
	AV2A_PICTURES=docs AV2A_BROWSER=required $(BIN)/python -m pytest tests/view/test_tune_page.py -k "widths or report"

dist: setup  ## an sdist and a wheel in ./dist, looked into and installed without PyTorch
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	AV2A_DIST=$(abspath dist) $(BIN)/python -m pytest -m slow tests/cli/test_dist.py

clean:  ## remove what the commands above made, the environments included
	rm -rf $(VENV) $(LAION) $(SED) demo build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
