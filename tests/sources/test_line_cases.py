"""Small files that suppliers might send: what is right was written down before they were read."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from shs_pipeline.files.reading import SourceFile
from shs_pipeline.files.source import FileOutcome, read_file
from shs_pipeline.reference.registry import table_named
from shs_pipeline.sources.registry import source_named

CASES = Path(__file__).parents[1] / "cases" / "lines"
PLACE = ["source_sheet", "source_row"]


def read(name: str) -> FileOutcome:
    source = name.partition("-")[0] if "-" in name else name
    source = next(known for known in SOURCES if source.startswith(known))
    known = {"service_to_product": frozenset({"scope repair"})}
    month = date(2025, 1, 1) if source in {"sunoptic", "summit_medical"} else None
    file = SourceFile(f"{name}.xlsx", (CASES / f"{name}.xlsx").read_bytes(), month, known)
    return read_file(source_named(source), file, 1 << 20)


SOURCES = ("cygnus", "sunoptic", "summit_medical", "inspektor", "quickbooks")


@pytest.mark.parametrize(
    ("case", "left_out"),
    [
        ("cygnus-text_dates", 0), ("cygnus-footer", 1), ("cygnus-note_inside", 1), ("cygnus-money_marks", 0),
        ("sunoptic-footer", 1), ("sunoptic-note_inside", 1), ("sunoptic-money_marks", 0),
        ("summit_medical-note_inside", 1),
    ],
)  # fmt: skip
def test_the_lines_are_those_of_the_plain_file(case: str, left_out: int) -> None:
    outcome, plain = read(case), read(case.partition("-")[0])

    assert outcome.lines is not None, outcome.errors
    assert plain.lines is not None
    assert outcome.lines.drop(columns=PLACE).equals(plain.lines.drop(columns=PLACE))
    assert sum(outcome.left_out.values()) == left_out
    assert [total for total in outcome.totals if not total.agrees] == []


@pytest.mark.parametrize(
    ("case", "place", "said"),
    [
        ("cygnus-foreign", (7, "Total Rep Due"), "another currency"),
        ("sunoptic-foreign", (9, "Commission $"), "another currency"),
        ("cygnus-id_mangled", (5, "Invoice"), "shortened"),
        ("sunoptic-id_mangled", (4, "Invoice ID"), "shortened"),
        ("inspektor_amount_15_digits", (5, "Formula"), "10 digits"),
    ],
)
def test_the_file_is_refused_at_the_cell(case: str, place: tuple[int, str], said: str) -> None:
    outcome = read(case)

    assert outcome.lines is None
    assert [(error.row, error.column) for error in outcome.errors] == [place]
    assert said in outcome.errors[0].problem


def test_an_agency_called_total_keeps_its_lines() -> None:
    lines = read("cygnus_agency_called_total").lines

    assert lines is not None
    assert lines["sales_rep"].tolist() == ["Total Ortho LLC"] * 3
    assert lines["invoice_total"].tolist() == [Decimal(100), Decimal(200), Decimal(300)]


def test_direction_marks_are_no_part_of_a_name() -> None:
    lines = read("quickbooks_direction_marks").lines

    assert lines is not None
    assert lines["sales_rep_name"].tolist() == ["Ann Reed"] * 3


def test_the_year_9999_is_no_end() -> None:
    file = SourceFile("territories.xlsx", (CASES / "territories_until_9999.xlsx").read_bytes())
    lines = read_file(table_named("territories"), file, 1 << 20).lines

    assert lines is not None
    assert lines["valid_until"].tolist() == [None]
