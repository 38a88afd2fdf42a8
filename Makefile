# People and CI use the same targets. `make` alone lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check

# Tests run in this many processes; tests that share a server stay in one (tests/load_groups.py). A worker computes with
# one thread, so more workers than cores bring nothing. ARGS goes to pytest: make test ARGS='-k swap'.
WORKERS ?= 2
PYTEST  := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadgroup --no-loadscope-reorder
ARGS    ?=

.DEFAULT_GOAL := help
.PHONY: help up loop cases test faults test-fast check format bench bench-models bench-gate lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(VENV)/all.stamp ## Install, start everything, run each case once through the loop, serve until Ctrl-C
	@exec $(BIN)/okawari up

loop: $(VENV)/all.stamp ## Prove that the loop closes on real drift (a few minutes, no browser needed)
	@exec $(BIN)/okawari loop

cases: export OKAWARI_CASES = aapl,blobs,cpi,diabetes,digits
cases: $(VENV)/all.stamp ## Run all bundled cases through the loop, print their leaderboards, stop
	@exec $(BIN)/okawari up --once

test: $(VENV)/dev.stamp ## Run all tests but the slowest faults (under 15 minutes on two cores)
	@exec $(PYTEST) -m 'not heavy' $(ARGS)

faults: $(VENV)/dev.stamp ## Cause every fault and attack that the software has to bear (under 15 minutes on two cores)
	@exec $(PYTEST) -m fault $(ARGS)

test-fast: $(VENV)/dev.stamp ## Run the tests without servers (under 3 minutes on two cores)
	@exec $(PYTEST) -m 'not slow and not heavy' tests/unit tests/wiring tests/contract $(ARGS)

check: $(VENV)/dev.stamp ## Format, lint, types (strict) and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/dev.stamp ## Format, and fix what can be fixed automatically
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/dev.stamp ## Measure serving, hostile bodies, batch scoring, false alarms, the luck of trees, records and intervals again
	$(BIN)/python -m benchmarks.serving
	$(BIN)/python -m benchmarks.hostile
	$(BIN)/python -m benchmarks.batch
	$(BIN)/python -m benchmarks.false_alarms
	$(BIN)/python -m benchmarks.rolling_origins
	$(BIN)/python -m benchmarks.records
	$(BIN)/python -m benchmarks.intervals --storm --cases --drawn

bench-models: $(VENV)/bench.stamp ## Compare what serves on public tables with models that a user might pick instead (hours)
	@exec env OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.models $(ARGS)

bench-gate: $(VENV)/bench.stamp ## Measure what the gate costs, its false promotions and its power again (an hour)
	@exec env OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.gate $(ARGS)

lock: ## Resolve all dependencies anew into requirements.lock
	$(PYTHON) -m venv .venv.lock
	.venv.lock/bin/python -m pip install --quiet --editable '.[dev,bench]'
	.venv.lock/bin/python -m pip freeze --exclude-editable | sed 's/+[a-z0-9.]*$$//' > requirements.lock
	rm -rf .venv.lock

clean: ## Remove the environment and all caches; state in .okawari/ stays
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

# The versions of requirements.lock bind every install; pyproject.toml says why bounds are there at all.
$(VENV)/all.stamp: pyproject.toml requirements.lock
	@$(MAKE) --no-print-directory install EXTRA=all STAMP=$@

$(VENV)/dev.stamp: pyproject.toml requirements.lock
	@$(MAKE) --no-print-directory install EXTRA=dev STAMP=$@

$(VENV)/bench.stamp: pyproject.toml requirements.lock
	@$(MAKE) --no-print-directory install EXTRA=dev,bench STAMP=$@

.PHONY: install
install:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Okawari needs Python 3.11 or newer; set PYTHON=/path/to/python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing what requirements.lock names into $(VENV) (some minutes the first time)"
	@$(PIP) install --constraint requirements.lock --editable '.[$(EXTRA)]'
	@touch $(STAMP)
