#!/usr/bin/env bash
# Takes a snapshot of Metabase's database before another version of Metabase migrates it, which is the only way
# back; does nothing while the version stays. The pipeline calls it before each deployment; by hand:
#   deploy/snapshot_before.sh shs-prod v0.58.39
set -euo pipefail

if [ $# -ne 2 ]; then
    echo "Give the system and the next version, such as: deploy/snapshot_before.sh shs-prod v0.58.39" >&2
    exit 2
fi
database=$1-metabase
said=$(mktemp)
trap 'rm -f "$said"' EXIT
if ! image=$(aws ecs describe-task-definition --task-definition "$database" \
    --query 'taskDefinition.containerDefinitions[0].image' --output text 2>"$said"); then
    if grep -q "Unable to describe task definition" "$said"; then
        echo "No Metabase is running yet, so there is nothing to back up."
        exit 0
    fi
    cat "$said" >&2
    exit 1
fi
if [ "${image##*:}" = "$2" ]; then
    echo "Metabase stays at $2: no snapshot is needed."
    exit 0
fi
# Letters, digits and single hyphens are allowed.
snapshot=$database-before-${2//[!a-zA-Z0-9]/-}-$(date -u +%Y%m%d%H%M%S)
echo "Metabase goes from ${image##*:} to $2; snapshot $snapshot"
aws rds create-db-snapshot --db-instance-identifier "$database" --db-snapshot-identifier "$snapshot" >/dev/null
aws rds wait db-snapshot-available --db-snapshot-identifier "$snapshot"
