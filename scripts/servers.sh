#!/usr/bin/env bash
# Installs what some tests run where that is asked for (CI) and can be done (root on Debian or Ubuntu): the
# oldest PostgreSQL that is promised, and nginx. Elsewhere those tests use what is there, or skip with a reason.
set -euo pipefail

wanted=()
[ -x /usr/lib/postgresql/15/bin/initdb ] || wanted+=(postgresql-15)
command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || wanted+=(nginx-light)
if [ "${#wanted[@]}" = 0 ]; then exit 0; fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "Not installed: ${wanted[*]}. The tests that need them will be skipped." >&2
    exit 0
fi
apt-get update -qq
for package in "${wanted[@]}"; do
    # With this run level the packages start nothing.
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$package" >/dev/null ||
        echo "$package is not available here. The tests that need it will be skipped." >&2
done
