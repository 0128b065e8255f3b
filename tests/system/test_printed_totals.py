"""Files whose printed totals differ from their lines are told until a close has answered for them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal

import psycopg

from shs_pipeline.ingest.overview import nothing_yet
from shs_pipeline.ingest.warehouse import ensure_tables
from shs_pipeline.system.printed_totals import DifferingTotal, differing_totals
from shs_pipeline.system.state import State, concerns

PATH = "incoming/cygnus/2026-10/oct.xlsx"


def differing(row: int, computed: str, label: str = "Grand Total") -> dict[str, object]:
    return {"sheet": "Report", "row": row, "column": "Invoice Total", "label": label,
            "printed": "990.37", "computed": computed}  # fmt: skip


def load(connection: psycopg.Connection, sha256: str, *totals: dict[str, object]) -> None:
    """Let a version of the file be the one that is loaded."""
    connection.execute("update ops.files set status = 'superseded' where path = %s", [PATH])
    connection.execute(
        "insert into ops.files (source, commission_month, path, uri, etag, sha256, bytes, status, totals,"
        " run_id) values ('cygnus', '2026-10-01', %s, '', '', %s, 1, 'loaded', %s, 'a run')",
        [PATH, sha256, json.dumps(totals)],
    )


def close(connection: psycopg.Connection, number: int, month: date, sha256: str) -> None:
    connection.execute(
        "insert into ledger.closes (close_no, kind, pay_period, publication_id, inputs)"
        " values (%s, 'closed', %s, 1, %s)",
        [number, month, json.dumps({PATH: sha256})],
    )


def test_the_first_total_of_a_file_is_told_with_where_and_how_many(database: str) -> None:
    with psycopg.connect(database) as connection:
        ensure_tables(connection)
        load(connection, "a", differing(82, "1990.37"), differing(10, "1000.00", "10400 Total"))

        (found,) = differing_totals(connection)

    assert (found.path, found.row, found.printed, found.computed, found.number_of) == (
        PATH, 10, Decimal("990.37"), Decimal("1000.00"), 2,
    )  # fmt: skip
    assert found.words == (
        "Report, row 10: Invoice Total prints 990.37 as 10400 Total, but its lines add up to 1,000.00. "
        "1 more total in it."
    )


def test_a_close_answers_for_the_very_file_that_it_was_told_of(database: str) -> None:
    with psycopg.connect(database) as connection:
        ensure_tables(connection)
        load(connection, "a", differing(82, "1990.37"))
        close(connection, 1, date(2026, 9, 1), "a")
        assert differing_totals(connection), "September's close says nothing about October"
        close(connection, 2, date(2026, 10, 1), "a")
        assert not differing_totals(connection)

        load(connection, "b", differing(82, "1990.38"))
        assert differing_totals(connection), "the file that came afterwards nobody has answered for"

        load(connection, "c")
        assert not differing_totals(connection)


def test_tables_of_an_older_version_have_none(database: str) -> None:
    with psycopg.connect(database) as connection:
        assert differing_totals(connection) == []


def test_the_status_names_the_files() -> None:
    found = DifferingTotal(PATH, "Report", 9, "Total Rep Due", "", Decimal(1), Decimal(2), 1)
    day = date(2026, 11, 1)
    state = State(None, "somewhere", "shs", True, nothing_yet(day), [], differing=[found])

    assert f"1 file whose printed totals differ from the lines: {PATH}" in {
        concern.what for concern in concerns(state)
    }
    assert not any("printed totals" in one.what for one in concerns(replace(state, differing=())))
