"""The sensor that reports to Dagster what the books contain and no Dagster run has reported.

`shs run` and `shs demo` ingest and publish without Dagster. What they did is reported as events without a
run, once each, so that the partitions and checks in the UI say what is true.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import dagster as dg
import psycopg

from assets.checks import outcomes_of
from assets.closes import CLOSES_KEY, metadata_of_close
from assets.ingested import UNKNOWN_KEY, reference_key, source_key
from assets.marts import LOGINS_KEY
from assets.metadata import check_result, metadata_of
from assets.warehouse import Warehouse
from sensors.failures import failures_of
from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.months import month_text
from shs_pipeline.base.wording import count_of
from shs_pipeline.closing.closes import Close, closes_since
from shs_pipeline.ingest.books_report import Ingested, folder_report, ingested_folders, lines_before
from shs_pipeline.ingest.changes import UNKNOWN_FOLDER, Folder, folder_from_key
from shs_pipeline.ingest.ingestion import Ingestion
from shs_pipeline.marts.due import Publication, last_publication

# A look at a sensor may take a minute, and the other sensors wait for it: the next look goes on.
_REPORTING_SECONDS = 20.0
_LEAST_PAUSE = 10

Event = dg.AssetMaterialization | dg.AssetCheckEvaluation


@dataclass
class _Memory:
    """What Dagster knows already, in the sensor's cursor.

    Attributes:
        books: digest of the books of which everything is known.
        folders: mark by key of each folder that is known.
        publication: the last one that is known.
        close: the number of the last close that is known.
    """

    books: str = ""
    folders: dict[str, str] = field(default_factory=dict)
    publication: int = 0
    close: int = 0

    @classmethod
    def load(cls, cursor: str | None) -> "_Memory":
        """Read a cursor; an unreadable one is as good as none."""
        try:
            stored = json.loads(cursor or "{}")
            folders = {str(key): str(mark) for key, mark in stored["folders"].items()}
            close = int(stored.get("close", 0))
            return cls(str(stored["books"]), folders, int(stored["publication"]), close)
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls()

    def dump(self) -> str:
        return json.dumps(vars(self))


class _Runs:
    """Whether Dagster's own runs have told it what they did."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._seen: dict[str, dg.DagsterRunStatus | None] = {}

    def is_under_way(self, run_id: str) -> bool:
        """Whether the run may still tell what it did."""
        status = self._status(run_id)
        return status is not None and status not in _ENDED

    def has_told(self, run_id: str) -> bool:
        """Whether the run did all it had to do: one that failed may have told nothing of what it loaded."""
        status = self._status(run_id)
        if status == dg.DagsterRunStatus.FAILURE:
            return failures_of(self._instance, run_id).is_of_rejections_alone
        return status == dg.DagsterRunStatus.SUCCESS

    def _status(self, run_id: str) -> dg.DagsterRunStatus | None:
        if run_id not in self._seen:
            run = self._instance.get_run_by_id(run_id)
            self._seen[run_id] = run.status if run else None
        return self._seen[run_id]


_ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


def reported_sensor(every_seconds: int, due_day: int, models: dg.AssetsDefinition) -> dg.SensorDefinition:
    """Return the sensor that reports what was ingested and published without Dagster; it requests no runs.

    Args:
        due_day: day of the next month on which a month's files are due.
        models: the assets of the marts, with their checks.
    """

    @dg.sensor(
        name="books",
        minimum_interval_seconds=max(every_seconds, _LEAST_PAUSE),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Reports to Dagster what shs run and shs demo did without it, and what was closed.",
    )
    def look(context: dg.SensorEvaluationContext, warehouse: Warehouse) -> dg.SensorResult | dg.SkipReason:
        memory = _Memory.load(context.cursor)
        try:
            job = warehouse.looking()
        except ShsError as error:
            return dg.SkipReason(str(error))
        with job:
            try:
                folders = job.query(ingested_folders)
                publication = job.query(last_publication)
                closes = [close for close in job.query(closes_since) if close.folder is not None]
            except ShsError as error:
                return dg.SkipReason(str(error))
            books = _digest(folders, publication, closes)
            if books == memory.books:
                return dg.SkipReason("Dagster already knows everything in the books.")
            report = _Report(context.instance, job, memory, due_day)
            is_whole = report.folders(folders) and report.publication(publication, models)
            is_whole = report.closes(closes) and is_whole
        memory.books = books if is_whole else ""
        return dg.SensorResult(skip_reason=report.said(is_whole), cursor=memory.dump())

    return look


def _digest(folders: Mapping[str, Ingested], publication: Publication | None, closes: Sequence[Close]) -> str:
    marks = sorted((key, found.mark) for key, found in folders.items())
    text = json.dumps([marks, _number(publication), len(closes)])
    return sha256(text.encode()).hexdigest()[:16]


def _number(publication: Publication | None) -> int:
    return publication.publication_id if publication else 0


class _Report:
    """One look: reports what is new, as far as the time allows."""

    def __init__(self, instance: dg.DagsterInstance, job: Ingestion, memory: _Memory, due_day: int) -> None:
        self._instance, self._job, self._memory, self._due_day = instance, job, memory, due_day
        self._runs = _Runs(instance)
        self._deadline = time.monotonic() + _REPORTING_SECONDS
        self._count = 0

    def folders(self, folders: Mapping[str, Ingested]) -> bool:
        """Report the folders that no run has told of; return whether all are known now."""
        # Tables first: what stands behind them in the graph is then newer than they are.
        order = sorted(folders, key=lambda key: (not key.startswith("reference/"), key))
        is_whole, touched = True, set[dg.AssetKey]()
        self._memory.folders = {key: mark for key, mark in self._memory.folders.items() if key in folders}
        for key in order:
            found, folder = folders[key], folder_from_key(key)
            if self._memory.folders.get(key) == found.mark or folder is None:
                continue
            if self._runs.is_under_way(found.run_id) or time.monotonic() > self._deadline:
                is_whole = False
                continue
            if not self._runs.has_told(found.run_id):
                touched.add(_asset_of(folder))
                self._tell(self._of_folder(folder, found.run_id))
            self._memory.folders[key] = found.mark
        if touched:
            touched.add(UNKNOWN_KEY)
        for key_of_asset in sorted(touched):
            self._tell_all(self._of_checks(key_of_asset))
        return is_whole

    def publication(self, publication: Publication | None, models: dg.AssetsDefinition) -> bool:
        """Report the marts of the last publication; return whether they are known now."""
        number = _number(publication)
        if publication is None or number == self._memory.publication:
            return True
        run_id = self._job.query(lambda connection: _run_of(connection, number))
        if self._runs.is_under_way(run_id):
            return False
        if not self._runs.has_told(run_id):
            self._tell_all(_of_publication(publication, run_id, models))
        self._memory.publication = number
        return True

    def closes(self, closes: Sequence[Close]) -> bool:
        """Report the months that were closed or opened again, by whatever run; return whether all are known.

        Only those that are handed out: the others are about to be.
        """
        new = [close for close in closes if close.close_no > self._memory.close]
        if not new:
            return True
        if time.monotonic() > self._deadline:
            return False
        for close in new:
            month = month_text(close.pay_period)
            self._tell(
                dg.AssetMaterialization(CLOSES_KEY, partition=month, metadata=metadata_of_close(close))
            )
        self._tell_all(self._of_checks(CLOSES_KEY))
        self._memory.close = new[-1].close_no
        return True

    def said(self, is_whole: bool) -> str:
        """Return what this look did, for its tick."""
        rest = "" if is_whole else " The rest will be reported at the next tick, or by the runs in progress."
        return f"Reported {count_of(self._count, 'event')} that no Dagster run had reported.{rest}"

    def _of_folder(self, folder: Folder, run_id: str) -> Event:
        report = self._job.query(lambda connection: folder_report(connection, folder))
        before = self._job.query(lambda connection: lines_before(connection, folder))
        metadata = dict(metadata_of(report))
        # How long it took is not in the books.
        metadata.pop("seconds", None)
        metadata["lines_before"] = dg.MetadataValue.int(before)
        metadata["ingested_by"] = dg.MetadataValue.text(run_id)
        month = month_text(folder.month) if folder.month else None
        return dg.AssetMaterialization(_asset_of(folder), partition=month, metadata=metadata)

    def _of_checks(self, key: dg.AssetKey) -> Iterator[Event]:
        for outcome in outcomes_of(self._job, key, self._due_day):
            result = check_result(outcome, key)
            yield dg.AssetCheckEvaluation(
                asset_key=key,
                check_name=outcome.name,
                passed=result.passed,
                severity=result.severity,
                description=result.description,
                metadata=result.metadata,
            )

    def _tell_all(self, events: Iterator[Event]) -> None:
        for event in events:
            self._tell(event)

    def _tell(self, event: Event) -> None:
        self._instance.report_runless_asset_event(event)
        self._count += 1


def _asset_of(folder: Folder) -> dg.AssetKey:
    if folder.key == UNKNOWN_FOLDER or folder.name is None:
        return UNKNOWN_KEY
    return reference_key(folder.name) if folder.is_reference else source_key(folder.name)


def _run_of(connection: psycopg.Connection, publication: int) -> str:
    row = connection.execute(
        "select run_id from marts.publications where publication_id = %s", [publication]
    ).fetchone()
    return str(row[0]) if row else ""


def _of_publication(publication: Publication, run_id: str, models: dg.AssetsDefinition) -> Iterator[Event]:
    """Yield every mart as built, and every test as passed: otherwise nothing had been published."""
    metadata = {
        "publication": dg.MetadataValue.int(publication.publication_id),
        "published_at": dg.MetadataValue.timestamp(publication.published_at),
        "published_by": dg.MetadataValue.text(run_id),
    }
    for key in models.keys:
        yield dg.AssetMaterialization(key, metadata=metadata)
    said = f"Passed, since publication {publication.publication_id} could not exist otherwise."
    for spec in models.check_specs:
        yield dg.AssetCheckEvaluation(
            asset_key=spec.asset_key, check_name=spec.name, passed=True, description=said
        )
    yield dg.AssetMaterialization(LOGINS_KEY, metadata=metadata)
