#!/usr/bin/env bash
# Installs Chromium for the browser tests where that is asked for (CI) and can be done (root on Debian
# or Ubuntu). Elsewhere those tests use a Chromium that is there, or skip with a reason.
set -euo pipefail

for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then exit 0; fi
done
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "No Chromium here: the browser tests will be skipped." >&2
    exit 0
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
