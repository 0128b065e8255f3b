#!/usr/bin/env bash
# Makes .venv/ from the lock file: with uv when it is there, otherwise with a uv that pip puts
# into .venv/ first. Nothing outside the checkout is touched but the package caches. An interrupted
# setup is completed by the next one.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$1"; }
step="looking for Python"
trap 'code=$?; if [ "$code" -ne 0 ]; then
    printf "setup: failed while %s. Run the same command again; what is already done is kept.\n" "$step" >&2
fi; exit "$code"' EXIT

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

step="making .venv/"
# One that was interrupted, or belongs to a Python that is gone, is made again.
if [ -e .venv ] && ! { .venv/bin/python -c "$supported" && .venv/bin/python -m pip --version; } >/dev/null 2>&1; then
    say "removing an incomplete .venv/"
    rm -rf .venv
fi
if [ ! -e .venv ]; then
    say "making .venv/ with $("$python" --version)"
    if ! "$python" -m venv .venv; then
        echo "This Python cannot create virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2
        exit 1
    fi
fi
step="installing uv"
if command -v uv >/dev/null; then
    uv=uv
else
    if ! .venv/bin/uv --version >/dev/null 2>&1; then
        say "installing uv, which installs the rest"
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --force-reinstall uv
    fi
    uv=.venv/bin/uv
fi
step="installing the packages"
say "installing $(grep -c '==' requirements-dev.lock) packages from the lock file (slow the first time: they are downloaded)"
# Compiled here once: otherwise every process does it anew where Python may not write its cache.
"$uv" pip install --quiet --python .venv/bin/python --require-hashes --compile-bytecode \
    --requirements requirements-dev.lock
step="installing this project"
"$uv" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
# As the packages: a command would compile some hundred modules before it does anything.
.venv/bin/python -m compileall -q shs_pipeline assets sensors
# The dbt models are parsed once here, so that no run has to do it.
step="reading the dbt models"
say "reading the dbt models"
.venv/bin/python -c "from shs_pipeline.marts.dbt_build import prepare_manifest; prepare_manifest()"
say "done"
