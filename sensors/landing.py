"""The sensor on the bucket: few runs for any number of files, and cheap when nothing happened."""

import time
from collections.abc import Sequence

import dagster as dg
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
)

from assets.ingested import UNKNOWN_KEY, reference_key, source_key
from assets.warehouse import Warehouse
from sensors.memory import Memory
from sensors.sight import Sight, hear, see_all, see_named
from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.months import month_text, parse_month
from shs_pipeline.base.wording import count_of
from shs_pipeline.ingest.changes import UNKNOWN_FOLDER, Folder, PlannedRun, plan_runs
from shs_pipeline.landing.arrivals import ArrivalsQueue
from shs_pipeline.landing.names import REFERENCE_NAMES
from shs_pipeline.marts.due import pending_state
from shs_pipeline.marts.guard import held_build
from shs_pipeline.settings.settings import Settings

_IN_FLIGHT = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_MARTS = "marts"


def landing_sensor(
    every_seconds: int, due_day: int, marts: Sequence[dg.AssetKey] = ()
) -> dg.SensorDefinition:
    """Return the sensor that requests runs for what was added, changed or deleted in the bucket.

    Args:
        due_day: day of the next month on which a month's files are due.
        marts: what is built behind the files.
    """
    hearing = _Hearing()

    @dg.sensor(
        name="landing",
        target=dg.AssetSelection.all(),
        minimum_interval_seconds=every_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Watches the landing zone and requests runs for the folders that changed.",
    )
    def look(context: dg.SensorEvaluationContext, warehouse: Warehouse) -> dg.SensorResult | dg.SkipReason:
        memory = Memory.load(context.cursor)
        now = time.time()
        try:
            settings = warehouse.settings()
            queue = hearing.queue(settings)
            if queue is None and now < memory.not_before:
                return dg.SkipReason("The bucket is large: it is listed less often.")
            job = warehouse.looking()
        except ShsError as error:
            return dg.SkipReason(str(error))
        try:
            with job:
                # The database has answered: messages that nobody could heed are better left in the queue.
                unheard = hear(queue, job, memory, now) if queue else ""
                pending = job.query(lambda connection: pending_state(connection, due_day))
                held = job.query(held_build)
                if queue:
                    sight = see_named(job, memory, now, at_latest=settings.listing_minutes * 60)
                else:
                    sight = see_all(job, memory, now)
        except ShsError as error:
            # What was heard is kept; its messages would come again a few times only.
            return _nothing(memory, str(error)) if queue else dg.SkipReason(str(error))
        in_flight = context.instance.get_runs(filters=dg.RunsFilter(statuses=_IN_FLIGHT))
        requests = _requests(memory, sight, in_flight, marts)
        is_quiet = not requests and not in_flight
        now = time.time()
        # What is held is not built again before something changes.
        is_held = held is not None and held.made_from == pending
        if marts and pending and not is_held and is_quiet and memory.is_due(_MARTS, pending, now):
            memory.note(_MARTS, pending, now)
            requests.append(dg.RunRequest(asset_selection=list(marts)))
        if queue:
            memory.settle(sight.looked_at, sight.changed_keys, now)
        if not requests:
            why = _why_nothing(sight, in_flight)
            if held is not None:
                why = f"{held.problem} {held.remedy} {why}"
            return _nothing(memory, why, unheard, settings.listing_minutes)
        return dg.SensorResult(run_requests=requests, cursor=memory.dump())

    return look


class _Hearing:
    """The queue of arrivals that the settings name, the same one as long as they say the same.

    It knows what was received and is to be acknowledged at the next look.
    """

    def __init__(self) -> None:
        self._queue: ArrivalsQueue | None = None

    def queue(self, settings: Settings) -> ArrivalsQueue | None:
        """Return the queue; None where there is none."""
        named = (settings.arrivals_queue, settings.landing)
        if not settings.arrivals_queue:
            self._queue = None
        elif self._queue is None or (self._queue.url, self._queue.landing_url) != named:
            self._queue = ArrivalsQueue(*named)
        return self._queue


def _requests(
    memory: Memory, sight: Sight, in_flight: Sequence[dg.DagsterRun], marts: Sequence[dg.AssetKey]
) -> list[dg.RunRequest]:
    """Return the runs for the folders that changed, and remember them."""
    now = time.time()
    memory.forget_all_but(sight.changed_keys | {_MARTS} | sight.unseen(memory.tries))
    busy = _busy(sight, in_flight)
    due = [
        folder
        for folder, state in sight.changed.items()
        if folder.key not in busy and memory.is_due(folder.key, state, now)
    ]
    runs = plan_runs(due)
    for run in runs:
        for folder in run.folders():
            memory.note(folder.key, sight.changed[folder], now)
    # One run builds the marts behind its files; behind several, a run of its own does it once.
    behind = marts if len(runs) == 1 and not in_flight else ()
    return [_request(run, behind) for run in runs]


def _busy(sight: Sight, in_flight: Sequence[dg.DagsterRun]) -> set[str]:
    """Return the folders that are left alone for now."""
    return {folder.key for run in in_flight for folder in _folders_of(run)} | sight.still_written | sight.held


def _request(run: PlannedRun, behind: Sequence[dg.AssetKey]) -> dg.RunRequest:
    if run.first is None or run.last is None:
        keys = [UNKNOWN_KEY if name == UNKNOWN_FOLDER else reference_key(name) for name in run.names]
        return dg.RunRequest(asset_selection=[*keys, *behind])
    keys = [*(source_key(name) for name in run.names), *behind]
    first, last = month_text(run.first), month_text(run.last)
    if first == last:
        return dg.RunRequest(asset_selection=keys, partition_key=first)
    span = {ASSET_PARTITION_RANGE_START_TAG: first, ASSET_PARTITION_RANGE_END_TAG: last}
    return dg.RunRequest(asset_selection=keys, tags=span)


def _folders_of(run: dg.DagsterRun) -> list[Folder]:
    folders = []
    for key in run.asset_selection or ():
        if key == UNKNOWN_KEY:
            folders.append(Folder(UNKNOWN_FOLDER))
        elif key.path[0] == "reference" and key.path[-1] in REFERENCE_NAMES:
            folders.append(Folder("/".join(key.path)))
        elif key.path[0] == "raw":
            folders += _months_of(run, key.path[-1])
    return folders


def _months_of(run: dg.DagsterRun, source: str) -> list[Folder]:
    only = run.tags.get("dagster/partition")
    first = parse_month(run.tags.get(ASSET_PARTITION_RANGE_START_TAG, only or ""))
    last = parse_month(run.tags.get(ASSET_PARTITION_RANGE_END_TAG, only or ""))
    if first is None or last is None:
        return []
    return PlannedRun((source,), first, last).folders()


def _nothing(memory: Memory, why: str, unheard: str = "", minutes: int = 0) -> dg.SensorResult:
    if unheard:
        why = f"{unheard} Until then the bucket is only listed every {count_of(minutes, 'minute')}. {why}"
    return dg.SensorResult(skip_reason=why, cursor=memory.dump())


def _why_nothing(sight: Sight, in_flight: Sequence[dg.DagsterRun]) -> str:
    if sight.doubt is not None:
        return f"{sight.doubt.problem} {sight.doubt.remedy}"
    changed, busy = [folder.key for folder in sight.changed], _busy(sight, in_flight)
    if waiting := [key for key in changed if key in busy]:
        return f"Being ingested or still written: {', '.join(waiting[:10])}."
    if changed:
        return f"Waiting to try again after a failed run: {', '.join(changed)[:500]}."
    return "Nothing changed in the bucket."
