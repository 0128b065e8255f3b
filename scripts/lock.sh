#!/usr/bin/env bash
# Resolves pyproject.toml into two lock files that hold for Python 3.11 to 3.13: requirements.lock
# (what runs) and requirements-dev.lock (the same versions and the tools of the developers).
set -euo pipefail
cd "$(dirname "$0")/.."

uv=$(command -v uv || echo .venv/bin/uv)
options=(--quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url
         --no-annotate --no-header --upgrade pyproject.toml)
"$uv" pip compile "${options[@]}" --output-file requirements.lock
"$uv" pip compile "${options[@]}" --group dev --constraints requirements.lock --output-file requirements-dev.lock
