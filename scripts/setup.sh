#!/usr/bin/env bash
# Makes .venv/ from the lock file: with uv when it is there, otherwise with a uv that pip puts
# into .venv/ first. Nothing outside the checkout is touched but the package caches.
set -euo pipefail
cd "$(dirname "$0")/.."

supported='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
python=""
for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
    if [ -n "$candidate" ] && "$candidate" -c "$supported" 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "Python 3.11, 3.12 or 3.13 is needed; install one, or name it: make setup PYTHON=/path/to/python" >&2
    exit 1
fi

if [ -e .venv ] && ! .venv/bin/python -c "$supported" 2>/dev/null; then
    rm -rf .venv
fi
[ -e .venv ] || "$python" -m venv .venv
if command -v uv >/dev/null; then
    uv=uv
else
    [ -x .venv/bin/uv ] || .venv/bin/python -m pip install --quiet --disable-pip-version-check uv
    uv=.venv/bin/uv
fi
# Compiled here once: otherwise every process does it anew where Python may not write its cache.
"$uv" pip install --quiet --python .venv/bin/python --require-hashes --compile-bytecode \
    --requirements requirements-dev.lock
"$uv" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
# The dbt models are parsed once here, so that no run has to do it.
.venv/bin/python -c "from shs_pipeline.dbt_build import prepare_manifest; prepare_manifest()"
