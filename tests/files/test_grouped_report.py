"""Grouped reports: what is a total, what is inherited from above, and what a total covers."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd
import pandera.pandas as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shs_pipeline.casting.cells import ExcelError
from shs_pipeline.files import contract
from shs_pipeline.files.grouped_report import filled_lines, is_total_of_group, is_total_row, reading_of
from shs_pipeline.files.printed_totals import printed_totals
from shs_pipeline.files.reading import ROW, SHEET, Reading
from shs_pipeline.files.total_words import names_in, says_total
from shs_pipeline.files.workbook.table import Table


class Rows(pa.DataFrameModel):
    """A made-up report."""

    label: contract.Text = contract.text("Label", "Label.")
    day: contract.Text = contract.text("Day", "Day.", blank=True)
    item: contract.Text = contract.text("Item", "Item.", blank=True)
    amount: contract.Amount = contract.amount("Amount", "USD.")


def rows_of(
    *cells: tuple[Any, ...], names: tuple[str, ...] = ("Label", "Day", "Item", "Amount")
) -> pd.DataFrame:
    table = pd.DataFrame({name: pd.Series(column, dtype=object) for name, column in zip(names, zip(*cells))})  # noqa: B905
    table.insert(0, SHEET, "Report")
    table.insert(1, ROW, range(5, 5 + len(table)))
    return table


@pytest.mark.parametrize(
    ("row", "is_total"),
    [
        (("Grand Total", None, None, 5.0), True),
        ((None, None, "TOTAL:", 5.0), True),
        ((None, None, "subtotal", None), True),
        (("Total Care", "1/1/2025", "kit", 5.0), False),
        (("C-1", "1/1/2025", "Total knee kit", 5.0), False),
        ((None, "1/1/2025", "Total knee kit", 5.0), False),
        (("C-1", None, "Total knee kit", 5.0), False),
        ((None, None, "kit", 5.0), False),
        ((None, None, ExcelError("#N/A"), 5.0), False),
    ],
)
def test_a_total_says_so_and_has_no_key(row: tuple[Any, ...], is_total: bool) -> None:
    rows = rows_of(row, ("C-2", "1/1/2025", "kit", 1.0))

    assert is_total_row(rows, "Label", "Day").tolist() == [is_total, False]


def test_what_says_total() -> None:
    cells = pd.Series(["SHS 01 Total", "grand TOTALS", "tot", None, 7.0, ExcelError("#N/A")], dtype=object)

    assert says_total(cells).tolist() == [True, True, False, False, False, False]


def test_blanks_take_the_value_above_and_its_row() -> None:
    error = ExcelError("#N/A")
    rows = rows_of(
        (None, 1), ("A", None), (None, 0.0), (None, None), (error, None), (None, 2), names=("L", "N")
    )

    every = pd.Series(True, index=rows.index)
    filled, printed_in = filled_lines(rows, every, every, ["L", "N"])

    assert filled["L"].tolist() == [None, "A", "A", "A", error, error]
    assert filled["N"].tolist() == [1, 1, 0.0, 0.0, 0.0, 2]
    places = {name: found.tolist() for name, found in printed_in.items()}
    assert places == {"L": [5, 6, 6, 6, 9, 9], "N": [5, 5, 7, 7, 7, 10]}
    assert rows["L"].tolist()[0] is None
    assert rows["L"].tolist()[5] is None


def totals(*cells: tuple[str, float | str | None]) -> list[tuple[str, Decimal, Decimal]]:
    rows = rows_of(*cells, names=("Label", "Amount"))
    is_total = says_total(rows["Label"])
    return [(t.label, t.printed, t.computed) for t in printed_totals(rows, ~is_total, is_total, ("Amount",))]


def agree(found: list[tuple[str, Decimal, Decimal]]) -> list[bool]:
    return [printed == computed for _, printed, computed in found]


def test_nested_totals_cover_their_own_lines() -> None:
    found = totals(
        ("line a", 1.0), ("line b", "$2.00"), ("A Total", 3.0), ("line c", "(4.00)"), ("B Total", -4.0),
        ("North Total", "(1.00)"), ("line d", 8.0), ("D Total", 8.0), ("South Total", 8.0),
        ("Grand Total", 7.0),
    )  # fmt: skip

    assert agree(found) == [True] * 6


def test_totals_above_their_lines_cover_those_below() -> None:
    found = totals(
        ("Grand Total", 7.0),
        ("A Total", 3.0),
        ("line a", 1.0),
        ("line b", 2.0),
        ("B Total", 4.0),
        ("line c", 4.0),
    )

    assert agree(found) == [True] * 3


@pytest.mark.parametrize(
    ("wrong", "computed"),
    [("A Total", "3"), ("B Total", "4"), ("Grand Total", "7")],
)
def test_a_wrong_total_shows_the_sum_of_the_lines_it_covers(wrong: str, computed: str) -> None:
    lines = [
        ("line a", 1.0),
        ("line b", 2.0),
        ("A Total", 3.0),
        ("line c", 4.0),
        ("B Total", 4.0),
        ("Grand Total", 7.0),
    ]

    found = totals(*((label, amount + 0.5 if label == wrong else amount) for label, amount in lines))

    differing = [total for total in found if total[1] != total[2]]
    assert differing == [(wrong, Decimal(computed) + Decimal("0.5"), Decimal(computed))]


def test_a_total_of_zero_over_lines_is_wrong() -> None:
    assert agree(totals(("line a", 1.0), ("A Total", 0.0), ("Grand Total", 1.0))) == [False, True]


def test_a_total_without_an_amount_is_held_against_nothing() -> None:
    assert totals(("line a", 1.0), ("A Total", None), ("Total", "see below")) == []


def test_the_lines_inherit_and_remember_where_a_cell_is_printed() -> None:
    rows = rows_of(
        ("A", None, None, None), (None, "d", "x", 1.0), (None, "e", "y", 2.0), ("A Total", None, None, 3.0)
    )
    is_total = says_total(rows["Label"])
    is_line = rows["Day"].notna()

    reading = reading_of(
        Table("Report", 4, rows),
        Rows,
        is_line,
        is_total=is_total,
        amounts=("Amount",),
        written_once=["Label"],
        is_fed_by=~is_total,
    )

    assert reading.lines["Label"].tolist() == ["A", "A"]
    assert reading.lines[ROW].tolist() == [6, 7]
    assert list(reading.cells_at["Label"].rows) == [5, 5]
    assert [(total.row, total.agrees) for total in reading.totals] == [(8, True)]


# --- totals that name what they add up -----------------------------------------------------------

GROUPED = ("Rep", "Customer", "Invoice", "Amount")


def named(*cells: tuple[Any, ...]) -> dict[int, tuple[Decimal, Decimal, str]]:
    """The totals of a report by rep and customer, by row: printed, computed, and what they cover."""
    rows = rows_of(*cells, names=GROUPED)
    is_total = is_total_of_group(rows, ["Rep", "Customer"], ["Invoice"], ["Amount"])
    found = printed_totals(rows, ~is_total, is_total, ("Amount",), written_once=["Rep", "Customer"])
    return {total.row: (total.printed, total.computed, total.covers) for total in found}


def differing(found: dict[int, tuple[Decimal, Decimal, str]]) -> dict[int, tuple[Decimal, Decimal, str]]:
    return {row: total for row, total in found.items() if total[0] != total[1]}


def report(kept: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """Two reps with the customers C1 and C2 each, of whose totals only some are printed."""
    rows = [
        ("R1", "C1", "1", 1.0), (None, None, "2", 2.0), (None, "C1 Total", None, 3.0),
        (None, "C2", "3", 4.0), (None, "C2 Total", None, 4.0), ("R1 Total", None, None, 7.0),
        ("R2", "C1", "4", 8.0), (None, "Total for C1", None, 8.0),
        (None, "C2", "5", 16.0), (None, None, "6", 32.0), (None, "C2 Total:", None, 48.0),
        ("Total R2", None, None, 56.0), ("Grand Total", None, None, 63.0),
    ]  # fmt: skip
    labels = [str(row[0]) + str(row[1]) for row in rows]
    return [row for row, label in zip(rows, labels, strict=True) if "otal" not in label or row[3] in kept]


@settings(max_examples=40)
@given(st.sets(st.sampled_from([3.0, 4.0, 7.0, 8.0, 48.0, 56.0, 63.0])))
def test_a_report_that_prints_only_some_of_its_totals_raises_no_alarm(kept: set[float]) -> None:
    found = named(*report(tuple(kept)))  # type: ignore[arg-type]

    assert len(found) == len(kept)
    assert differing(found) == {}


@settings(max_examples=40)
@given(
    st.sets(st.sampled_from([3.0, 4.0, 7.0, 8.0, 48.0, 56.0]), min_size=1),
    st.data(),
)
def test_a_wrong_total_is_told_whichever_others_are_printed(kept: set[float], data: st.DataObject) -> None:
    wrong = data.draw(st.sampled_from(sorted(kept)))
    rows = report(tuple(kept))  # type: ignore[arg-type]
    changed = [
        (*row[:3], row[3] + 0.5 if "otal" in str(row[:2]) and row[3] == wrong else row[3]) for row in rows
    ]

    told = list(differing(named(*changed)).values())

    assert [(printed, computed) for printed, computed, _ in told] == [
        (Decimal(str(wrong + 0.5)), Decimal(str(wrong)))
    ]
    assert all(covers for _, _, covers in told)


def test_a_wrong_total_says_which_lines_it_covers() -> None:
    found = named(("R1", "C1", "1", 1.0), (None, "C2", "2", 2.0), (None, "C2 Total", None, 3.0))

    assert differing(found) == {7: (Decimal(3), Decimal(2), "1 of c2")}


def test_named_totals_above_their_lines_cover_those_below() -> None:
    found = named(
        ("R1 Total", None, None, 7.0), (None, "C1 Total", None, 3.0), ("R1", "C1", "1", 1.0),
        (None, None, "2", 2.0), (None, "C2", "3", 4.0), (None, "C3 Total", None, 8.0), (None, "C3", "4", 8.0),
    )  # fmt: skip

    assert sorted(differing(found)) == [5]  # R1 has 15 of lines; C1 and C3 agree


def test_a_group_may_itself_be_called_total() -> None:
    found = named(
        ("R1", "Total Ortho LLC", "1", 1.0),
        (None, "Elm", "2", 2.0),
        (None, "Total Ortho LLC Total", None, 1.0),
    )

    assert differing(found) == {}
    assert found[7] == (Decimal(1), Decimal(1), "1 of total ortho llc")


@pytest.mark.parametrize(
    ("label", "names"),
    [
        ("C103 Total", ["c103"]), ("Total for Mercy", ["mercy"]), ("Total: Mercy", ["mercy"]),
        ("Mercy \u2013 Total", ["mercy"]), ("Dana Whitfield Subtotal", ["dana whitfield"]),
        ("Grand Total", []), ("TOTAL:", []), ("Report Totals", []), ("Sub-total", []), ("Total of all", []),
        ("Total Ortho LLC Total", ["total ortho llc"]), ("Total Ortho", ["ortho"]), ("Oak Clinic",
        ["oak clinic"]),
    ],
)  # fmt: skip
def test_what_a_total_is_named_after(label: str, names: list[str]) -> None:
    assert names_in(label)[: len(names) or None] == names


def test_an_unnamed_subtotal_may_cover_one_group_though_the_one_before_has_none() -> None:
    rows = rows_of(
        ("A", None, "x", 1.0), ("B", None, "y", 2.0), (None, None, "z", 4.0), ("Subtotal", None, None, 6.0)
    )
    is_total = says_total(rows["Label"])

    (total,) = printed_totals(rows, ~is_total, is_total, ("Amount",), written_once=["Label"])

    assert total.agrees


# --- a group without its first cells -----------------------------------------------------


class GroupedRows(pa.DataFrameModel):
    """A report in which only the amount stands in each row."""

    customer: contract.Text = contract.text("Customer", "Customer.")
    invoice: contract.Text = contract.identifier("Invoice", "Invoice.")
    day: contract.Day = contract.day("Day", "Day.")
    units: contract.Number = contract.quantity("Units", "Pieces.", blank=True)
    amount: contract.Amount = contract.amount("Amount", "USD.")
    commission: contract.Amount = contract.amount("Commission", "USD.")


MARCH = date(2025, 3, 3)
GROUPS: list[tuple[Any, ...]] = [
    ("Elm Clinic", "701", MARCH, 1, 100.25, 7.0),
    (None, None, None, 1, 50.25, 3.5),
    (None, "702", MARCH, 2, 80.0, 5.6),
    ("Oak Hospital", "703", MARCH, 1, 40.0, 2.8),
    (None, None, None, 3, 60.0, 4.2),
]


def grouped(*cells: tuple[Any, ...]) -> Reading:
    rows = rows_of(*cells, names=("Customer", "Invoice", "Day", "Units", "Amount", "Commission"))
    amounts = ["Amount", "Commission"]
    is_total = is_total_of_group(rows, ["Customer"], ["Invoice", "Day"], amounts)
    once = ["Customer", "Invoice", "Day"]
    return reading_of(
        Table("Report", 4, rows),
        GroupedRows,
        ~is_total,
        is_total=is_total,
        amounts=amounts,
        written_once=once,
    )


@pytest.mark.parametrize("units", [None, 8])
@pytest.mark.parametrize("label", ["Gesamtsumme", "Overall", "Elm Clinic and Oak Hospital"])
def test_a_total_is_no_line_although_it_could_inherit_all_that_it_lacks(
    label: str, units: int | None
) -> None:
    reading = grouped(*GROUPS, (label, None, None, units, 330.5, 23.1))

    assert reading.problems == []
    assert len(reading.lines) == len(GROUPS)
    assert [(total.printed, total.computed) for total in reading.totals] == [
        (Decimal("330.5"), Decimal("330.5")),
        (Decimal("23.1"), Decimal("23.1")),
    ]


def test_a_subtotal_of_each_group_is_no_line_either() -> None:
    elm, oak = ("Summe Elm", None, None, None, 230.5, 16.1), ("Summe Oak", None, None, None, 100.0, 7.0)
    every = ("Summe", None, None, None, 330.5, 23.1)

    reading = grouped(*GROUPS[:3], elm, *GROUPS[3:], oak, every)

    assert reading.problems == []
    assert len(reading.lines) == len(GROUPS)
    assert len(reading.totals) == 6
    assert all(total.agrees for total in reading.totals)


def test_a_customer_without_an_invoice_does_not_take_that_of_another() -> None:
    (problem,) = grouped(*GROUPS, ("Ash Center", None, None, 1, 70.0, 4.9)).problems

    assert (problem.row, problem.column) == (10, "Day")
    assert problem.problem.startswith("Day is empty, so this is no sale line; and it is no total")
    assert "330.50 and not to 70.00" in problem.problem


@pytest.mark.parametrize(
    "row",
    [
        ("Oak Hospital", None, None, 1, 70.0, 4.9),
        ("oak  hospital", None, None, 1, 70.0, 4.9),
        ("Ash Center", "704", MARCH, 1, 70.0, 4.9),
        (None, "704", MARCH, 1, 70.0, 4.9),
    ],
)
def test_a_line_inherits_within_its_group(row: tuple[Any, ...]) -> None:
    reading = grouped(*GROUPS, row)

    assert reading.problems == []
    assert len(reading.lines) == len(GROUPS) + 1
    assert reading.lines["Invoice"].tolist()[-1] == (row[1] or "703")
