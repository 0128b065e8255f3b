"""Evaluate every check once a day, because a file that does not arrive starts no run."""

import dagster as dg


def due_months_schedule() -> dg.ScheduleDefinition:
    """Return the schedule that asks all checks every morning, with nothing ingested."""
    return dg.ScheduleDefinition(
        name="daily_checks",
        target=dg.AssetSelection.all_asset_checks(),
        cron_schedule="0 6 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Evaluates every asset check at 06:00 UTC, so that missing months are reported.",
    )
