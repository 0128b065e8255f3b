"""The sensor that sends notices, including those of failed runs."""

import dagster as dg
from dagster._core.storage.tags import WILL_RETRY_TAG

from assets.warehouse import Warehouse
from sensors.failures import failures_of
from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.wording import count_of
from shs_pipeline.notices.logs import log_to_stderr
from shs_pipeline.notices.texts import FailedRun

EVERY_SECONDS = 30
# A look at a sensor may take a minute, and the other sensors wait for it.
_SENDING_SECONDS = 25.0
_RUNS_AT_ONCE = 50


def notices_sensor() -> dg.SensorDefinition:
    """Return the sensor that mails, or logs, what happened; it requests no runs.

    Failed runs are looked up rather than announced: while the database is away nothing is lost.
    """

    @dg.sensor(
        name="notices",
        minimum_interval_seconds=EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Notifies admins and reps of what concerns them, by mail or, without a mail server, in "
        "the log.",
    )
    def look(context: dg.SensorEvaluationContext, warehouse: Warehouse) -> dg.SensorResult | dg.SkipReason:
        log_to_stderr()
        after = _after(context)
        changes = context.instance.fetch_run_status_changes(
            dg.RunStatusChangeRecordsFilter(dg.DagsterEventType.RUN_FAILURE, after_storage_id=after),
            limit=_RUNS_AT_ONCE,
            ascending=True,
        ).records
        found = [context.instance.get_run_record_by_id(change.run_id) for change in changes]
        failed = [
            run
            for record in found
            if record and not _is_retried(record) and (run := _failed_run(context.instance, record))
        ]
        try:
            told = warehouse.tell(failed, _SENDING_SECONDS)
        except ShsError as error:
            return dg.SensorResult(skip_reason=str(error), cursor=str(after))
        cursor = str(changes[-1].storage_id if changes else after)
        return dg.SensorResult(skip_reason=_said(told.recorded, told.mailed, told.trouble), cursor=cursor)

    return look


def _after(context: dg.SensorEvaluationContext) -> int:
    """Return the number of the last event that was looked at; a clock that steps back changes no number.

    Past events are not notified: the first look only sets the starting point.
    """
    if context.cursor and context.cursor.isdecimal():
        return int(context.cursor)
    last = context.instance.fetch_run_status_changes(dg.DagsterEventType.RUN_FAILURE, limit=1).records
    return last[0].storage_id if last else 0


def _is_retried(record: dg.RunRecord) -> bool:
    return record.dagster_run.tags.get(WILL_RETRY_TAG) == "true"


def _failed_run(instance: dg.DagsterInstance, record: dg.RunRecord) -> FailedRun | None:
    """Return what to tell of a failed run; None where rejected files made it fail, which are told as such."""
    run = record.dagster_run
    failures = failures_of(instance, run.run_id)
    if failures.is_of_rejections_alone:
        return None
    keys = sorted(key.to_user_string() for key in run.asset_selection or ())
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    what = f"{', '.join(keys[:3])}{more}" if keys else run.job_name
    if month := run.tags.get("dagster/partition"):
        what = f"{what} of {month}"
    why = next(iter(failures.reasons), failures.of_run) or "Dagster does not say why."
    return FailedRun(run.run_id, what, why, record.update_timestamp.date())


def _said(recorded: int, mailed: int, trouble: list[ShsError]) -> str:
    if trouble:
        return f"Some mails are waiting. {trouble[0]}"
    if recorded or mailed:
        return f"{count_of(recorded, 'new notice')}, {count_of(mailed, 'mail')} sent."
    return "No new notices."
