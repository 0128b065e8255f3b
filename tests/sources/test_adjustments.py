"""Files of adjustments: what is read of them, and what is refused with its cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from shs_pipeline.files.reading import SourceFile
from shs_pipeline.files.source import FileOutcome, read_file
from shs_pipeline.samples.workbook import write_workbook
from shs_pipeline.sources.adjustments import (
    ADJUSTMENT_FILES,
    ADMINS,
    CLOSED_UNTIL,
    FORMER_REPS,
    HOUSES,
    PRODUCT_LINES,
    REPS,
)

MARCH = date(2025, 3, 1)
HEADER = ("Sales Rep Name", "Product Line", "Amount", "Kind", "Reason", "Approved By", "Reference")
GOOD = {
    "Sales Rep Name": "Ann Gray",
    "Amount": 250,
    "Kind": "bonus",
    "Reason": "Trade fair",
    "Approved By": "Ada Head",
}
KNOWN = {
    REPS: frozenset({"Ann Gray", "Bo Marsh", "Ada Head"}),
    FORMER_REPS: frozenset({"ann moss"}),
    HOUSES: frozenset({"The House"}),
    ADMINS: frozenset({"Ada Head", "Cy Head"}),
    PRODUCT_LINES: frozenset({"Cygnus", "Consulting"}),
    CLOSED_UNTIL: frozenset({"2025-02-01"}),
}


def read(
    *rows: dict[str, Any], month: date = MARCH, header: Sequence[str] = HEADER, **more: Any
) -> FileOutcome:
    cells = [[{**GOOD, **row}.get(name) for name in header] for row in rows]
    content = write_workbook({"March": [list(header), *cells]})
    file = SourceFile("march.xlsx", content, known=KNOWN, commission_month=month)
    return read_file(ADJUSTMENT_FILES, replace(file, **more), 1 << 20)


def refusal(outcome: FileOutcome) -> str:
    (problem,) = outcome.errors
    return f"{problem.sentence} {problem.remedy}"


def test_every_cell_is_read_and_the_kind_in_any_case() -> None:
    outcome = read(
        {"Kind": " DRAW ", "Amount": "$1,250.50", "Product Line": "Cygnus", "Reference": 42},
        {"Kind": "Clawback", "Amount": "(10)", "Sales Rep Name": "ann MOSS"},
    )

    assert outcome.lines is not None, outcome.errors
    names = [
        "sales_rep_name",
        "product_line",
        "amount",
        "kind",
        "reason",
        "approved_by",
        "reference",
        "source_row",
    ]
    assert outcome.lines[names].to_numpy(dtype=object).tolist() == [
        ["Ann Gray", "Cygnus", Decimal("1250.5"), "draw", "Trade fair", "Ada Head", "42", 2],
        ["ann MOSS", None, Decimal(-10), "clawback", "Trade fair", "Ada Head", None, 3],
    ]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            {"Sales Rep Name": "Ann Grey"},
            "Sales Rep Name (Ann Grey): Nobody in sales_reps is called Ann Grey. Did you mean Ann Gray?",
        ),
        (
            {"Sales Rep Name": "the house"},
            "the house is a house account, which is paid nothing. Name the rep whom it pays.",
        ),
        (
            {"Approved By": "Bo Marsh"},
            "Approved By (Bo Marsh): Bo Marsh is not the name of an active admin, so nobody has approved",
        ),
        ({"Approved By": "Bo Marsh"}, "Type the name of an active admin: Ada Head, Cy Head."),
        ({"Reason": " "}, "row 2, Reason: Reason is empty. Type why it is paid or taken back"),
        ({"Approved By": None}, "Approved By is empty. Type the name of an admin who is active"),
        ({"Kind": "gift"}, "Type one of bonus, correction, draw, clawback, expense, other."),
        ({"Amount": 10.005}, "The amount has more than two digits after the decimal point. Type dollars and"),
        ({"Amount": 0}, "The amount is 0, so there is nothing to pay or to take back."),
        ({"Amount": -5}, "A bonus is paid, but this amount is negative."),
        ({"Amount": -5, "Kind": "draw"}, "A draw is paid, but this amount is negative."),
        (
            {"Amount": 5, "Kind": "clawback"},
            "A clawback is taken back, but this amount is positive. Type it as",
        ),
    ],
)
def test_what_is_refused_has_its_cell_and_a_remedy(row: dict[str, Any], said: str) -> None:
    outcome = read(row)

    assert outcome.lines is None
    assert said in refusal(outcome)


def test_an_unknown_product_line_is_paid_with_a_warning() -> None:
    outcome = read({"Product Line": " cygnus"}, {"Product Line": "Consultng"}, {})

    assert outcome.lines is not None
    (problem,) = outcome.problems
    assert (problem.severity, problem.row, problem.column) == ("warning", 3, "Product Line")
    assert "No product line is called Consultng; the adjustment is paid" in problem.problem
    assert problem.remedy == "Did you mean Consulting? Correct the name, or leave the cell blank."


def test_the_columns_that_need_not_be_filled_need_not_be_there() -> None:
    outcome = read({}, header=tuple(GOOD))

    assert outcome.problems == []
    assert outcome.lines is not None
    assert len(outcome.lines) == 1


def test_all_that_is_wrong_is_said_at_once() -> None:
    outcome = read(
        {"Sales Rep Name": "Zoe", "Reason": None, "Kind": "gift", "Approved By": "Zoe"}, {"Amount": 0}
    )

    assert [(problem.row, problem.column) for problem in outcome.errors] == [
        (2, "Sales Rep Name"),
        (2, "Approved By"),
        (2, "Kind"),
        (2, "Reason"),
        (3, "Amount"),
    ]


def test_a_file_in_a_closed_month_names_the_first_open_one() -> None:
    assert refusal(read({}, month=date(2025, 1, 1))) == (
        "march.xlsx is in the folder of 2025-01, which is closed: its statements never change. Move it to "
        "incoming/adjustments/2025-03/, the first month that is open."
    )


def test_a_revenue_month_is_refused() -> None:
    assert "adjustments have no revenue month" in refusal(read({}, revenue_month=MARCH))


def test_what_was_checked_when_it_came_is_not_checked_again() -> None:
    """Its month may be closed by now, its approver gone."""
    from hashlib import sha256

    from shs_pipeline.sources.adjustments import IN_FORCE

    content = write_workbook({"March": [list(HEADER), [GOOD.get(name) for name in HEADER]]})
    known = {ADMINS: frozenset[str](), CLOSED_UNTIL: frozenset({"2025-03-01"})}
    file = SourceFile("march.xlsx", content, known=known, commission_month=MARCH)
    assert len(read_file(ADJUSTMENT_FILES, file, 1 << 20).errors) == 2

    known[IN_FORCE] = frozenset({sha256(content).hexdigest()})
    assert read_file(ADJUSTMENT_FILES, replace(file, known=known), 1 << 20).errors == []
