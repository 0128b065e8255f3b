"""Grouped reports: what is a total, what is inherited from above, and what a total covers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from shs_pipeline.casting import ExcelError
from shs_pipeline.grouped_report import fill_down, is_total_row, printed_totals, reading_of, says_total
from shs_pipeline.reading import ROW, SHEET
from shs_pipeline.workbook import Table


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
        ((None, " ", "subtotal", None), True),
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
        (None, 1), ("A", None), (" ", 0.0), ("\u00a0", None), (error, None), (None, 2), names=("L", "N")
    )

    filled, printed_in = fill_down(rows, ["L", "N"])

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
        ("a", 1.0), ("b", "$2.00"), ("A Total", 3.0), ("c", "(4.00)"), ("B Total", -4.0),
        ("North Total", "(1.00)"), ("d", 8.0), ("D Total", 8.0), ("South Total", 8.0), ("Grand Total", 7.0),
    )  # fmt: skip

    assert agree(found) == [True] * 6


def test_totals_above_their_lines_cover_those_below() -> None:
    found = totals(
        ("Grand Total", 7.0), ("A Total", 3.0), ("a", 1.0), ("b", 2.0), ("B Total", 4.0), ("c", 4.0)
    )

    assert agree(found) == [True] * 3


@pytest.mark.parametrize(
    ("wrong", "computed"),
    [("A Total", "3"), ("B Total", "4"), ("Grand Total", "7")],
)
def test_a_wrong_total_shows_the_sum_of_the_lines_it_covers(wrong: str, computed: str) -> None:
    lines = [("a", 1.0), ("b", 2.0), ("A Total", 3.0), ("c", 4.0), ("B Total", 4.0), ("Grand Total", 7.0)]

    found = totals(*((label, amount + 0.5 if label == wrong else amount) for label, amount in lines))

    differing = [total for total in found if total[1] != total[2]]
    assert differing == [(wrong, Decimal(computed) + Decimal("0.5"), Decimal(computed))]


def test_a_total_of_zero_over_lines_is_wrong() -> None:
    assert agree(totals(("a", 1.0), ("A Total", 0.0), ("Grand Total", 1.0))) == [False, True]


def test_a_total_without_an_amount_is_held_against_nothing() -> None:
    assert totals(("a", 1.0), ("A Total", None), ("Total", "see below")) == []


def test_the_lines_inherit_and_remember_where_a_cell_is_printed() -> None:
    rows = rows_of(
        ("A", None, None, None), (None, "d", "x", 1.0), (None, "e", "y", 2.0), ("A Total", None, None, 3.0)
    )
    is_total = says_total(rows["Label"])
    is_line = rows["Day"].notna()

    reading = reading_of(
        Table("Report", 4, rows),
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
