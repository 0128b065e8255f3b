#!/usr/bin/env bash
# Makes deploy/.venv from deploy/requirements.lock and checks the infrastructure: the templates are written
# in memory, held against assertions, cdk-nag and cfn-lint. Needs no AWS account.
#   scripts/deploy_check.sh [--only-install]
set -euo pipefail
cd "$(dirname "$0")/.."

supported='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
python=""
for candidate in "${PYTHON:-}" .venv/bin/python python3 python3.13 python3.12 python3.11; do
    if [ -n "$candidate" ] && "$candidate" -c "$supported" 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "Python 3.11, 3.12 or 3.13 is needed; install one, or name it: PYTHON=/path/to/python" >&2
    exit 1
fi

venv=deploy/.venv
if [ -e "$venv" ] && ! "$venv/bin/python" -c "$supported" 2>/dev/null; then
    rm -rf "$venv"
fi
[ -e "$venv" ] || "$python" -m venv "$venv"
if ! cmp -s deploy/requirements.lock "$venv/.installed"; then
    if command -v uv >/dev/null; then
        uv=uv
    elif [ -x .venv/bin/uv ]; then
        uv=.venv/bin/uv
    else
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check uv
        uv=$venv/bin/uv
    fi
    "$uv" pip install --quiet --python "$venv/bin/python" --require-hashes --requirements deploy/requirements.lock
    cp deploy/requirements.lock "$venv/.installed"
fi
[ "${1:-}" = --only-install ] || "$venv/bin/python" -m pytest deploy/tests --quiet
