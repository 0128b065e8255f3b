"""The daily job that keeps Dagster's books from growing for ever."""

import dagster as dg

from assets.warehouse import Warehouse
from sensors.old_runs import remove_old_runs
from shs_pipeline.system.dagster_books import REMOVAL


def housekeeping_schedule() -> dg.ScheduleDefinition:
    """Return the schedule, with its job, that removes what is older than `SHS_KEEP_RUNS` says."""
    return dg.ScheduleDefinition(
        name="daily_housekeeping",
        job=_job(),
        cron_schedule="30 4 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Removes runs that ended more than SHS_KEEP_RUNS days ago, but keeps what statuses "
        "depend on.",
    )


def _job() -> dg.JobDefinition:
    @dg.op(name="old_runs", description="Runs, events, checks and printed output that no status depends on.")
    def remove(context: dg.OpExecutionContext, warehouse: Warehouse) -> None:
        days = warehouse.settings().keep_runs
        removed = remove_old_runs(context.instance, days)
        context.log.info(
            "Of everything that ended more than %d days ago, %d runs, %d events and %d check evaluations "
            "were removed; %d runs stay without their log.%s",
            days, removed.runs, removed.events, removed.checks, removed.shortened,
            "" if removed.is_whole else " The rest follows tomorrow.",
        )  # fmt: skip

    @dg.job(name=REMOVAL, description="Removes old runs from Dagster's books.")
    def remove_runs() -> None:
        remove()

    return remove_runs
