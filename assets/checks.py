"""The asset checks: each asset's state, answered from the books."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import dagster as dg

from assets.closes import CLOSES_KEY
from assets.ingested import UNKNOWN_KEY, reference_key, source_key
from assets.metadata import check_result, error_workbooks
from assets.warehouse import Warehouse, said_in_a_sentence
from shs_pipeline.base.months import today
from shs_pipeline.base.wording import count_of
from shs_pipeline.closing.checks import CLOSE_CHECKS, check_closes
from shs_pipeline.ingest import checks
from shs_pipeline.ingest.ingestion import Ingestion
from shs_pipeline.landing.names import INCOMING_NAMES, REFERENCE_NAMES

REJECTED = "rejected_files"
"""In the metadata of a step's failure: it failed for these, of which admins have been told already."""
_NAMED = 5
# Takes what looks into the warehouse, and the day of the month on which files are due.
Question = Callable[[Ingestion, int], Sequence[checks.CheckOutcome]]


def all_checks() -> list[dg.AssetChecksDefinition]:
    """Return the checks of every asset; they run after it, and on their own once a day."""
    return [
        *(_checks(source_key(name), checks.checks_of(name), _of_source(name)) for name in INCOMING_NAMES),
        *(_checks(reference_key(name), checks.REFERENCE_CHECKS, _of_table(name)) for name in REFERENCE_NAMES),
        _checks(UNKNOWN_KEY, checks.UNKNOWN_CHECKS, _of_unknown_places),
        _checks(CLOSES_KEY, CLOSE_CHECKS, _of_closes),
    ]


def outcomes_of(job: Ingestion, key: dg.AssetKey, due_day: int) -> Sequence[checks.CheckOutcome]:
    """Return the answer to each check of a source, a reference table, the unknown places or the closes."""
    if key == UNKNOWN_KEY:
        return _of_unknown_places(job, due_day)
    if key == CLOSES_KEY:
        return _of_closes(job, due_day)
    question = _of_table if key.path[0] == "reference" else _of_source
    return question(key.path[-1])(job, due_day)


def _of_source(name: str) -> Question:
    return lambda job, due_day: job.query(
        lambda connection: checks.check_source(connection, name, today(), due_day)
    )


def _of_table(name: str) -> Question:
    return lambda job, _: job.query(lambda connection: checks.check_reference(connection, name))


def _of_unknown_places(job: Ingestion, _: int) -> Sequence[checks.CheckOutcome]:
    return job.query(checks.check_unknown_places)


def _of_closes(job: Ingestion, _: int) -> Sequence[checks.CheckOutcome]:
    return job.query(lambda connection: check_closes(connection, job.landing))


def _checks(key: dg.AssetKey, texts: Mapping[str, str], question: Question) -> dg.AssetChecksDefinition:
    specs = [dg.AssetCheckSpec(name, asset=key, description=text) for name, text in texts.items()]

    @dg.multi_asset_check(name=f"{'_'.join(key.path)}_checks", specs=specs)
    def ask(context: dg.AssetCheckExecutionContext, warehouse: Warehouse) -> Iterator[dg.AssetCheckResult]:
        with said_in_a_sentence():
            due_day = warehouse.settings().due_day
            job = warehouse.ingestion(context.run.run_id)
            outcomes = question(job, due_day)
            rejected = _rejected_by(job, key)
        for outcome in outcomes:
            yield check_result(outcome, key)
        if rejected:
            # Nothing is built behind the step of a check, so this stops nothing.
            raise _failure(rejected)

    return ask


def _rejected_by(job: Ingestion, key: dg.AssetKey) -> Sequence[tuple[str, str]]:
    """Return the files of an asset that the run of a job rejected, each with its error workbook."""
    if key == CLOSES_KEY:
        return ()
    name = None if key == UNKNOWN_KEY else key.path[-1]
    return job.query(lambda connection: checks.rejected_by(connection, name, job.run_id))


def _failure(rejected: Sequence[tuple[str, str]]) -> dg.Failure:
    """Return what lets a run that rejected files end red (ADR 0071)."""
    paths, workbooks = [path for path, _ in rejected], [uri for _, uri in rejected if uri]
    more = " and more" if len(paths) > _NAMED else ""
    return dg.Failure(
        f"{count_of(len(paths), 'file')} rejected: {', '.join(paths[:_NAMED])}{more}. This holds nothing up: "
        "other files are loaded and the marts are built. Correct what the check contract_holds says, and "
        "drop the file again under the same name.",
        metadata={REJECTED: dg.MetadataValue.int(len(paths)), **error_workbooks(workbooks)},
        allow_retries=False,
    )
