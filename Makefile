# The commands of this project; `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help setup demo up down test soak fast pythons check infra audit bench smoke docs lock browser servers clean

SHS := .venv/bin/shs
PYTHON_IN_VENV := .venv/bin/python
# Tests wait for servers some of the time, so two cores have work for a third worker; each more imports all anew.
# And what pytest and their commands compile is kept, whatever the environment says of Python's cache.
PYTEST := PYTHONDONTWRITEBYTECODE= $(PYTHON_IN_VENV) -m pytest -n 3 --dist loadfile --no-loadscope-reorder

help: ## List the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

setup: .venv/.ready ## Make .venv/ from the lock file

.venv/.ready: requirements-dev.lock pyproject.toml scripts/setup.sh
	@bash scripts/setup.sh
	@touch $@

demo: setup ## Make two years of sample files, ingest them, and show what was loaded
	@$(SHS) demo

up: setup ## Run the system: database, Dagster's UI and daemon; Ctrl-C stops it
	@$(SHS) up

down: setup ## Stop what runs in the background
	@$(SHS) down

test: setup browser servers ## Run all tests: each promise is proven once
	@$(PYTEST) -m "not soak"

soak: setup browser servers ## Try at length: every kill point, every PostgreSQL found here, all documented operations
	@$(PYTEST) -m soak

fast: setup ## Run the tests that take no more than a moment each
	@$(PYTEST) -m "not slow and not soak"

pythons: setup ## Publish a company with the oldest and the newest promised Python that are found here
	@bash scripts/pythons.sh

check: setup ## Run the linters
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports
	@$(PYTHON_IN_VENV) scripts/docs.py --check

infra: setup ## Check the infrastructure: templates, their assertions, cdk-nag, cfn-lint
	@bash scripts/deploy_check.sh

audit: ## Hold the locked packages against known vulnerabilities; asks PyPI
	@bash scripts/audit.sh

bench: setup ## Measure the speed; prints ratios
	@$(PYTHON_IN_VENV) scripts/bench.py
	@$(PYTHON_IN_VENV) scripts/bench_marts.py

smoke: setup ## Try the Metabase that SHS_METABASE_URL names: its calls, two reps, a second apply
	@$(PYTHON_IN_VENV) scripts/smoke_metabase.py

docs: setup ## Write docs/sources from the contracts
	@$(PYTHON_IN_VENV) scripts/docs.py

lock: setup ## Resolve the dependencies anew into the lock files
	@bash scripts/lock.sh

browser:
	@if [ -n "$$CI" ]; then bash scripts/browser.sh; fi

servers:
	@if [ -n "$$CI" ]; then bash scripts/servers.sh; fi

clean: ## Stop everything and delete all state and the environment
	@if [ -x $(SHS) ]; then $(SHS) down; fi
	@rm -rf .venv var dbt_project/target deploy/.venv
