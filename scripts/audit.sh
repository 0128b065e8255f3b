#!/usr/bin/env bash
# Holds every package of the lock files against the vulnerabilities that are known (pip-audit, which asks PyPI).
# What is accepted, until when and why stands in deploy/accepted-vulnerabilities.txt.
set -euo pipefail
cd "$(dirname "$0")/.."

bash scripts/deploy_check.sh --only-install
audit=${PIP_AUDIT:-deploy/.venv/bin/pip-audit}
accepted=${ACCEPTED:-deploy/accepted-vulnerabilities.txt}
today=$(date -u +%F)
ignored=()
while read -r name until reason; do
    case $name in '' | '#'*) continue ;; esac
    if ! [[ $until =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}$ ]] || [ -z "$reason" ]; then
        echo "$accepted: $name needs a day (YYYY-MM-DD) until which it is accepted, and a reason." >&2
        exit 1
    fi
    if [[ $until < $today ]]; then
        echo "$accepted: $name was accepted until $until. Update the package, or decide again." >&2
        exit 1
    fi
    ignored+=(--ignore-vuln "$name")
done <"$accepted"

failed=0
for lock in requirements-local.lock requirements-dev.lock deploy/requirements.lock deploy/image-tools.lock; do
    echo "$lock"
    # Strict: a package that could not be looked up is not one without vulnerabilities.
    "$audit" --strict --disable-pip --require-hashes --progress-spinner off --requirement "$lock" \
        ${ignored[@]+"${ignored[@]}"} || failed=1
done
if [ "$failed" != 0 ]; then
    echo "A locked package is vulnerable or could not be looked up. Update it (make lock), or accept it for a time" \
        "in $accepted." >&2
    exit 1
fi
