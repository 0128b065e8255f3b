#!/usr/bin/env bash
# Runs a command in a task of its own, with everything a run has, and shows what it prints:
#   deploy/run.sh shs-prod shs status
# With --setup it is the task that knows the first password of Metabase's administrator, which no run does:
#   deploy/run.sh --setup shs-prod shs metabase apply
# The first word then is <name>-<environment>. Needs the aws command, with rights to run the task and read its log.
set -euo pipefail

task_name=run
if [ "${1:-}" = --setup ]; then
    task_name=setup
    shift
fi
if [ $# -lt 2 ]; then
    echo "Give the system and the command, such as: deploy/run.sh shs-prod shs status" >&2
    exit 2
fi
system=$1
shift
network=$(aws cloudformation describe-stacks --stack-name "$system-network" \
    --query "Stacks[0].Outputs[?OutputKey=='RunNetwork'].OutputValue" --output text)
# The command as JSON, whatever is in its words.
overrides=$(python3 -c 'import json, sys
print(json.dumps({"containerOverrides": [{"name": sys.argv[1], "command": sys.argv[2:]}]}))' "$task_name" "$@")
task=$(aws ecs run-task --cluster "$system" --task-definition "$system-$task_name" --launch-type FARGATE \
    --network-configuration "$network" --overrides "$overrides" --query 'tasks[0].taskArn' --output text)
if [ "$task" = None ]; then
    echo "No task was started. See the events of the cluster $system in the ECS console." >&2
    exit 1
fi
echo "Started $task; its output appears here when it ends." >&2
# The waiter of the aws command gives up after ten minutes.
until [ "$(aws ecs describe-tasks --cluster "$system" --tasks "$task" \
    --query 'tasks[0].lastStatus' --output text)" = STOPPED ]; do sleep 10; done
aws logs get-log-events --log-group-name "/$system/$task_name" \
    --log-stream-name "$task_name/$task_name/${task##*/}" --start-from-head \
    --query 'events[].message' --output text | tr '\t' '\n' || true
code=$(aws ecs describe-tasks --cluster "$system" --tasks "$task" \
    --query 'tasks[0].containers[0].exitCode' --output text)
if [ "$code" = None ]; then
    aws ecs describe-tasks --cluster "$system" --tasks "$task" --query 'tasks[0].stoppedReason' --output text >&2
    exit 1
fi
exit "$code"
