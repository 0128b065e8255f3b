"""A number counts only if its format shows it with the sign that it has."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.styles.numbers import BUILTIN_FORMATS

from shs_pipeline.casting.cells import CastError
from shs_pipeline.casting.columns import cast_cells
from shs_pipeline.casting.kinds import cast_amount
from shs_pipeline.files.reading import SourceFile
from shs_pipeline.files.workbook.number_format import is_date, may_mislead, misleading
from shs_pipeline.files.workbook.table import read_table

CREDIT, NO_MINUS = "shows it as a credit", "shows it without a minus"
TWO_SIGNS, HIDDEN = "shows it with two signs", "hides its value"
MISLEADING = [
    (12.5, '0.00" CR"', CREDIT), (12.5, "0.00-", CREDIT), (12.5, "(0.00)", CREDIT), (12.5, "-0.00", CREDIT),
    (12, '"\u2013"0', CREDIT), (12.5, "$(0.00)", CREDIT), (12.5, '0.00" Credit"', CREDIT),
    (-12.5, "0.00;0.00", NO_MINUS), (-12.5, "[Red]0.00;[Red]0.00", NO_MINUS), (-12, "0;[White]0", NO_MINUS),
    (-12.5, '0.00;0.00" DR"', NO_MINUS), (-12.5, "-0.00", TWO_SIGNS), (-12.5, '0.00" CR"', TWO_SIGNS),
    (-12.5, "0.00;-(0.00)", TWO_SIGNS), (12.5, ";;;", HIDDEN), (-12.5, "0.00;", HIDDEN),
    (-12.5, '0.00;"see note"', HIDDEN),
]  # fmt: skip
TRUE_TO_SIGN = [
    (-12.5, "0.00;[Red]0.00"), (-12.5, "#,##0.00_);(#,##0.00)"), (12.5, "#,##0.00_);(#,##0.00)"),
    (-12.5, '0.00" DR";0.00" CR"'), (12.5, "0.00_-"), (12, '0"-pack"'), (-12.5, "General;-General"),
    (-12.5, "[$USD] 0.00;-[$USD] 0.00"), (0, "(0.00)"), (0, ";;;"), (-12.5, "[<0](0.00);0.00"),
    (-12.5, "[>=1000]0.00;0.00"), (12.5, "[>1000](0.00);0.00"), (12.5, "@"), (-12, "0;-0;;@"),
]  # fmt: skip


def amounts_of(number: float, code: str) -> list[Any]:
    """The cells of a sheet that holds a number twice, first in a format."""
    book = openpyxl.Workbook()
    sheet: Any = book.active
    for row in (["Item", "Amount"], ["A", number], ["B", number]):
        sheet.append(row)
    sheet["B2"].number_format = code
    stream = io.BytesIO()
    book.save(stream)
    table = read_table(SourceFile("july.xlsx", stream.getvalue()), ["Item", "Amount"])
    return table.lines["Amount"].tolist()


@pytest.mark.parametrize(("number", "code", "how"), MISLEADING)
def test_a_number_whose_format_shows_another_sign_is_refused_at_its_cell(
    number: float, code: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for large in (0, 1 << 30):  # the reader of plain sheets, and the careful one
        monkeypatch.setattr("shs_pipeline.files.workbook.table.LARGE", large)
        found = amounts_of(number, code)
        for kind in ("amount", "quantity"):
            values, errors = cast_cells(found, kind)  # type: ignore[arg-type]

            assert values == [None, Decimal(str(number))], "the other cell shows the same number as it is"
            assert how in errors[0].problem
            assert "General" in errors[0].remedy


@pytest.mark.parametrize(("number", "code"), TRUE_TO_SIGN)
def test_a_number_whose_format_shows_its_sign_in_any_way_is_read(number: float, code: str) -> None:
    assert cast_cells(amounts_of(number, code), "amount") == ([Decimal(str(number))] * 2, {})


# What stands before and behind the digits: in a format, and as a person sees it.
AROUND = [
    ("", "", "", ""), ("$", "", "$", ""), ("_(", "_)", "", ""), ("_($* ", "_)", "$", ""),
    ("(", ")", "(", ")"), ("$(", ")", "$(", ")"), ("\\(", "\\)", "(", ")"), ("-", "", "-", ""),
    ("\\-", "_-", "-", ""), ("-$", "", "-$", ""), ("", "-", "", "-"), ("", '" CR"', "", " CR"),
    ('"USD "', "", "USD ", ""),
    ("", '" CR."', "", " CR."), ("-(", ")", "-(", ")"), ("[$-409]$", "", "$", ""),
    ("-[$USD]", "", "-USD", ""),
]  # fmt: skip
SECTION = st.tuples(st.sampled_from(AROUND), st.sampled_from(["0.00", "#,##0.00", "0", "?.0", "General"]))


@settings(max_examples=300)
@given(st.lists(SECTION, min_size=1, max_size=3), st.sampled_from([12.5, -12.5]))
def test_a_number_counts_only_if_what_its_format_shows_is_that_number(
    sections: list[tuple[tuple[str, str, str, str], str]], number: float
) -> None:
    code = ";".join(f"{before}{digits}{behind}" for (before, behind, *_), digits in sections)
    has_own_sign = number < 0 and len(sections) > 1
    *_, before, behind = sections[has_own_sign][0]
    minus = "-" if number < 0 and not has_own_sign else ""
    try:
        seen = cast_amount(f"{minus}{before}12.5{behind}")
    except CastError:
        seen = None

    assert bool(misleading(number, code)) == (seen != Decimal(str(number))), code
    assert may_mislead(code) or not misleading(number, code)


def test_usual_formats_never_mislead_so_that_their_columns_stay_plain() -> None:
    assert [code for code in BUILTIN_FORMATS.values() if may_mislead(code) and not is_date(code)] == []
