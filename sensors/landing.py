"""The sensor over the bucket: few runs for however many files, and cheap when nothing happened."""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import dagster as dg
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
)

from assets.ingested import UNKNOWN_KEY, reference_key, source_key
from assets.warehouse import Warehouse
from shs_pipeline.changes import (
    UNKNOWN_FOLDER,
    Folder,
    PlannedRun,
    changed_folders,
    folder_of,
    plan_runs,
    read_books,
)
from shs_pipeline.errors import ShsError
from shs_pipeline.landing import Drop, Landing
from shs_pipeline.marts import pending_state
from shs_pipeline.months import month_text, parse_month
from shs_pipeline.reference import NAMES as REFERENCE_NAMES

_IN_FLIGHT = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
# Listing a large bucket takes seconds and money: it gets a twentieth of the time, never more.
_SHARE_OF_TIME = 20
# A file in a folder appears while it is still being copied; it is looked at when it has been quiet.
_QUIET_SECONDS = 2.0
_FIRST_RETRY, _LAST_RETRY = 30.0, 1800.0
_MARTS = "marts"


@dataclass
class Memory:
    """What the sensor remembers between looks, in its cursor.

    Attributes:
        not_before: when to look again, seconds since 1970.
        tries: by folder, or `marts`: the state that was requested, how often, and when to request it again.
    """

    not_before: float = 0.0
    tries: dict[str, tuple[str, int, float]] = field(default_factory=dict)

    @classmethod
    def load(cls, cursor: str | None) -> "Memory":
        """Read a cursor; an unreadable one is as good as none."""
        try:
            stored = json.loads(cursor or "{}")
            tries = {
                key: (str(state), int(count), float(at))
                for key, (state, count, at) in stored["tries"].items()
            }
            return cls(float(stored["not_before"]), tries)
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls()

    def dump(self) -> str:
        """Return the cursor."""
        return json.dumps({"not_before": self.not_before, "tries": self.tries})

    def forget_all_but(self, keys: set[str]) -> None:
        """Forget the requests of what is up to date."""
        self.tries = {key: known for key, known in self.tries.items() if key in keys}

    def is_due(self, key: str, state: str, now: float) -> bool:
        """Whether what changed may be requested: at once when new, later after a failed run."""
        known = self.tries.get(key)
        return known is None or known[0] != state or now >= known[2]

    def note(self, key: str, state: str, now: float) -> None:
        """Remember a request, and when to repeat it should nothing have come of it by then."""
        known = self.tries.get(key)
        count = known[1] + 1 if known and known[0] == state else 1
        delay = min(_FIRST_RETRY * 2 ** (count - 1), _LAST_RETRY)
        self.tries[key] = (state, count, now + delay)


def landing_sensor(
    every_seconds: int, due_day: int, marts: Sequence[dg.AssetKey] = ()
) -> dg.SensorDefinition:
    """Return the sensor that requests runs for what was added, changed or deleted in the bucket.

    Args:
        due_day: day of the next month on which a month's files are due.
        marts: what is built behind the files.
    """

    @dg.sensor(
        name="landing",
        target=dg.AssetSelection.all(),
        minimum_interval_seconds=every_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Looks at the landing zone and requests runs for the folders that changed.",
    )
    def look(context: dg.SensorEvaluationContext, warehouse: Warehouse) -> dg.SensorResult | dg.SkipReason:
        memory = Memory.load(context.cursor)
        now = time.time()
        if now < memory.not_before:
            return dg.SkipReason("The bucket is large: it is listed less often.")
        try:
            job = warehouse.looking()
            books = job.query(read_books)
            pending = job.query(lambda connection: pending_state(connection, due_day))
            started = time.monotonic()
            drops = job.landing.drops()
            memory.not_before = now + (time.monotonic() - started) * _SHARE_OF_TIME
            if _still_written(job.landing, drops, now) & _keys(changed_folders(drops, books)):
                # Shorter than to come again: Dagster's daemon takes five seconds from look to look.
                time.sleep(_QUIET_SECONDS)
                drops, now = job.landing.drops(), time.time()
        except ShsError as error:
            return dg.SkipReason(str(error))
        changed = changed_folders(drops, books)
        memory.forget_all_but(_keys(changed) | {_MARTS})
        in_flight = context.instance.get_runs(filters=dg.RunsFilter(statuses=_IN_FLIGHT))
        being_ingested = {folder.key for run in in_flight for folder in _folders_of(run)}
        busy = being_ingested | _still_written(job.landing, drops, now)
        due = [
            folder
            for folder, state in changed.items()
            if folder.key not in busy and memory.is_due(folder.key, state, now)
        ]
        runs = plan_runs(due)
        for run in runs:
            for folder in run.folders():
                memory.note(folder.key, changed[folder], now)
        # One run builds the marts behind its files; behind several, a run of its own does it once.
        behind = marts if len(runs) == 1 and not in_flight else ()
        requests = [_request(run, behind) for run in runs]
        is_quiet = not runs and not in_flight
        if marts and pending and is_quiet and memory.is_due(_MARTS, pending, now):
            memory.note(_MARTS, pending, now)
            requests.append(dg.RunRequest(asset_selection=list(marts)))
        if not requests:
            return dg.SensorResult(skip_reason=_why_nothing(changed, busy), cursor=memory.dump())
        return dg.SensorResult(run_requests=requests, cursor=memory.dump())

    return look


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


def _still_written(landing: Landing, drops: list[Drop], now: float) -> set[str]:
    """Return the folders with a file that was written to a moment ago; S3 shows only whole files."""
    if not landing.is_folder:
        return set()
    return {
        folder_of(drop.place).key for drop in drops if 0 <= now - drop.modified.timestamp() < _QUIET_SECONDS
    }


def _keys(folders: Iterable[Folder]) -> set[str]:
    return {folder.key for folder in folders}


def _why_nothing(changed: dict[Folder, str], busy: set[str]) -> str:
    waiting = [folder.key for folder in changed if folder.key in busy]
    if waiting:
        return f"Being ingested or still written: {', '.join(waiting[:10])}."
    if changed:
        return (
            f"Waiting to try again after a failed run: {', '.join(folder.key for folder in changed)[:500]}."
        )
    return "Nothing changed in the bucket."
