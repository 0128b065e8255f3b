#!/usr/bin/env bash
# Resolves pyproject.toml into lock files that hold for Python 3.11 to 3.13, each with the versions of the one
# before: requirements.lock (what runs in the cloud), requirements-local.lock (with the database server and the
# charts), requirements-dev.lock (with the tools of the developers too).
set -euo pipefail
cd "$(dirname "$0")/.."

uv=$(command -v uv || echo .venv/bin/uv)
options=(--quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url
         --no-annotate --no-header --upgrade pyproject.toml)
"$uv" pip compile "${options[@]}" --output-file requirements.lock
"$uv" pip compile "${options[@]}" --extra local --constraints requirements.lock \
    --output-file requirements-local.lock
"$uv" pip compile "${options[@]}" --extra local --group dev --constraints requirements-local.lock \
    --output-file requirements-dev.lock
