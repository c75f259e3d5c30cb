# Each target sets up .venv by itself from the pinned requirements, then works.
PYTHON ?= python3
CORES ?= $(shell nproc 2>/dev/null || echo 2)
INPUTS ?= 100000
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup study test test-faults fuzz test-slurm lint format audit licences

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## make .venv from envs/requirements.txt

$(READY): Makefile pyproject.toml envs/requirements.txt envs/lock.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "patchbench needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12 setup"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r envs/requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

study: $(READY) ## run the default study; its report is results/studies/scenes/report.html
	$(BIN)/snakemake --cores $(CORES)

test: $(READY) ## run all tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-faults: $(READY) ## kill runs, fill disks, damage files; a quarter of an hour
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/faults tests/unit/test_download.py

fuzz: $(READY) ## read 100,000 spoiled files (INPUTS=...), count what crashes; some minutes
	PYTHONPATH=src:tests OMP_NUM_THREADS=1 $(BIN)/python -m fuzz --inputs $(INPUTS) --jobs $(CORES)

test-slurm: $(READY) ## run the workflow on a SLURM that is installed for it: root on Debian only
	@# purged also if the tests are killed: a cluster that does not answer delays each start of Snakemake
	trap 'tests/workflow/slurm-local.sh purge' EXIT; trap 'exit 1' HUP INT TERM; \
	  PATCHBENCH_SLURM=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/workflow/test_slurm.py

lint: $(READY) ## check style, types, rules and spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint
	$(BIN)/codespell

format: $(READY) ## format code and rules
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

licences: $(READY) ## list the licence of every locked package in envs/LICENCES.md
	$(BIN)/python envs/licences.py

audit: ## look the locked packages up in the database of known vulnerabilities (needs the internet)
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	.venv-audit/bin/pip-audit --strict --requirement envs/lock.txt \
	  --no-deps --disable-pip --progress-spinner off
