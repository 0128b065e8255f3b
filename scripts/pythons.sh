#!/usr/bin/env bash
# Proves the promise about Python: with the oldest and the newest promised one, as far as they are found here,
# the lock file is installed into var/pythons/ and a company is published, read and built on.
# PYTHONS names others: PYTHONS="/usr/bin/python3.12 /opt/python3.13" scripts/pythons.sh
set -euo pipefail
cd "$(dirname "$0")/.."

uv=.venv/bin/uv
command -v uv >/dev/null && uv=uv
# Where several are kept side by side.
kept="${PYENV_ROOT:-$HOME/.pyenv}/versions"

found() { # VERSION
    for candidate in "python$1" "$kept/$1".*/bin/python; do
        if "$candidate" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "No Python $1 here: not tried." >&2
}

pythons="${PYTHONS:-$(found 3.11) $(found 3.13)}"
for python in $pythons; do
    version=$("$python" -c "import sys; print('%d.%d' % sys.version_info[:2])")
    if [ "$(.venv/bin/python -c "import sys; print('%d.%d' % sys.version_info[:2])")" = "$version" ]; then
        echo "Python $version is that of .venv/, which all tests use."
        continue
    fi
    place=var/pythons/$version
    echo "Python $version: installing the lock file into $place"
    [ -x "$place/bin/python" ] || "$python" -m venv --without-pip "$place"
    "$uv" pip install --quiet --python "$place/bin/python" --require-hashes --requirements requirements-dev.lock
    "$uv" pip install --quiet --python "$place/bin/python" --no-deps --no-build-isolation --editable .
    "$place/bin/python" -m pytest -q -p no:cacheprovider tests/database/test_postgres_versions.py -k 18
done
