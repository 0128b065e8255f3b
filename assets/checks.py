"""The asset checks: what a person would want to see of each asset, asked of the books."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import dagster as dg
import psycopg

from assets.ingested import UNKNOWN_KEY, reference_key, source_key
from assets.metadata import check_result
from assets.warehouse import Warehouse, said_in_a_sentence
from shs_pipeline import checks
from shs_pipeline.months import today
from shs_pipeline.reference import NAMES as REFERENCE_NAMES
from shs_pipeline.sources import NAMES as SOURCE_NAMES

# Takes a connection, the day it is and the day of the month on which files are due.
Question = Callable[[psycopg.Connection, int], Sequence[checks.CheckOutcome]]


def all_checks() -> list[dg.AssetChecksDefinition]:
    """Return the checks of every asset; they run behind it, and alone once a day."""
    return [
        *(_checks(source_key(name), checks.SOURCE_CHECKS, _of_source(name)) for name in SOURCE_NAMES),
        *(_checks(reference_key(name), checks.REFERENCE_CHECKS, _of_table(name)) for name in REFERENCE_NAMES),
        _checks(
            UNKNOWN_KEY, checks.UNKNOWN_CHECKS, lambda connection, _: checks.check_unknown_places(connection)
        ),
    ]


def outcomes_of(
    connection: psycopg.Connection, key: dg.AssetKey, due_day: int
) -> Sequence[checks.CheckOutcome]:
    """Return the answer to each check of a source, a reference table or the unknown places."""
    if key == UNKNOWN_KEY:
        return checks.check_unknown_places(connection)
    question = _of_table if key.path[0] == "reference" else _of_source
    return question(key.path[-1])(connection, due_day)


def _of_source(name: str) -> Question:
    return lambda connection, due_day: checks.check_source(connection, name, today(), due_day)


def _of_table(name: str) -> Question:
    return lambda connection, _: checks.check_reference(connection, name)


def _checks(key: dg.AssetKey, texts: Mapping[str, str], question: Question) -> dg.AssetChecksDefinition:
    specs = [dg.AssetCheckSpec(name, asset=key, description=text) for name, text in texts.items()]

    @dg.multi_asset_check(name=f"{'_'.join(key.path)}_checks", specs=specs)
    def ask(context: dg.AssetCheckExecutionContext, warehouse: Warehouse) -> Iterator[dg.AssetCheckResult]:
        with said_in_a_sentence():
            due_day = warehouse.settings().due_day
            job = warehouse.ingestion(context.run.run_id)
            outcomes = job.query(lambda connection: question(connection, due_day))
        for outcome in outcomes:
            yield check_result(outcome, key)

    return ask
