# `make bench` and `make test` work on a bare clone: they make the virtual environment first.
PYTHON ?= python3
VENV ?= .venv
DEVICE ?= auto
SUITE ?= suites/default.yaml
SEARCH ?= suites/search.yaml
RESULTS ?= results
CONSTRAINTS ?= constraints.txt

BIN := $(VENV)/bin
.DELETE_ON_ERROR:
.PHONY: bench test check data microbench sweepbench calibrate test-cuda report search dashboard tensorboard reference clean help

bench: $(VENV)/.installed ## run the default suite (SUITE=... another) and print the comparison
	$(BIN)/mtmm-bench run $(SUITE) --results $(RESULTS) --device $(DEVICE)

test: $(VENV)/.installed-dev ## run the tests
	$(BIN)/python -m pytest -q

check: $(VENV)/.installed-dev ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

data: $(VENV)/.installed ## fetch mfeat (2 MB), which no package brings; DATA=multi_fashion fetches that (30 MB)
	$(BIN)/python -m mtmm.data.fetch $(DATA)

microbench: $(VENV)/.installed-dev ## every component, the loop against a bare one, weightings against TorchJD, fusions against concat
	$(BIN)/python -m pytest -q tests/benchmarks/bench_components.py -W default::pytest_benchmark.logger.PytestBenchmarkWarning \
	  --benchmark-autosave --benchmark-compare \
	--benchmark-columns=median,iqr,min,rounds \
	  --benchmark-group-by=func --benchmark-sort=name
	$(BIN)/python tests/benchmarks/bench_loop.py
	$(BIN)/python tests/benchmarks/bench_weightings.py
	$(BIN)/python tests/benchmarks/bench_fusions.py

calibrate: $(VENV)/.installed-dev ## the timing harness measures itself (about a quarter of an hour)
	$(BIN)/python tests/benchmarks/calibrate.py

sweepbench: $(VENV)/.installed-dev ## what planning and a process for each cell cost
	$(BIN)/python tests/benchmarks/bench_plan.py
	$(BIN)/python tests/benchmarks/bench_cells.py

test-cuda: $(VENV)/.installed-dev ## the tests that need a GPU
	$(BIN)/python -m pytest -q -m cuda

report: $(VENV)/.installed ## write and print the reports of all finished suites anew
	@$(if $(wildcard $(RESULTS)/*/manifest.json),,echo "no results in $(RESULTS) yet: make bench makes some"; exit 2)
	$(BIN)/mtmm-bench report $(dir $(wildcard $(RESULTS)/*/manifest.json))

search: $(VENV)/.installed ## tune the arms of suites/search.yaml (SEARCH=... another), then compare them
	$(BIN)/mtmm-bench search $(SEARCH) --results $(RESULTS) --device $(DEVICE)

# Without studies there is nothing to install for.
STUDIES := $(wildcard $(or $(STUDY),$(RESULTS)/*-tuned/study.journal))
dashboard: $(if $(STUDIES),$(VENV)/.installed-dashboard) ## show the latest search (STUDY=... another journal) until Ctrl-C (DASHBOARD_ARGS="--port 8081")
	@$(if $(STUDIES),,echo "no studies yet: make search makes some"; exit 2)
	$(BIN)/optuna-dashboard $$(ls -t $(STUDIES) | head -n 1) $(DASHBOARD_ARGS)

# Without traces there is nothing to install for.
TRACES := $(wildcard $(RESULTS)/*/traces/*/*.pt.trace.json*)
tensorboard: $(if $(TRACES),$(VENV)/.installed-tensorboard) ## show the traces in TensorBoard until Ctrl-C (TB_ARGS="--port 6007")
	@$(if $(TRACES),,echo "no traces in $(RESULTS) yet: mtmm-bench profile makes some"; exit 2)
	$(BIN)/tensorboard --logdir $(RESULTS) $(TB_ARGS)

reference: $(VENV)/.installed ## make docs/reference.md and the JSON Schema of suites anew
	$(BIN)/python -m bench.reference > docs/reference.md
	$(BIN)/mtmm-bench schema > suites/suite.schema.json

clean: ## remove what can be made again, results apart
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# A new pyproject.toml or constraints.txt installs again.
$(VENV)/.installed: pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "$(PYTHON) is " + sys.version.split()[0] + ": Python 3.11 or newer is needed; name one with PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e '.[dev]'
	@touch $@

$(VENV)/.installed-dashboard: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e '.[dashboard]'
	@touch $@

$(VENV)/.installed-tensorboard: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e '.[tensorboard]'
	@touch $@
