# The commands of this project; `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help setup demo up down test check bench docs lock browser clean

help: ## List the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

setup: .venv/.ready ## Make .venv/ from the lock file

.venv/.ready: requirements-dev.lock pyproject.toml scripts/setup.sh
	@bash scripts/setup.sh
	@touch $@

lock: setup ## Resolve the dependencies anew into the lock files
	@bash scripts/lock.sh
