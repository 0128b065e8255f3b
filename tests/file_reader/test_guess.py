"""Guessing the source of a file from its columns."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import date

import openpyxl
import pytest

from shs_pipeline.base.errors import ShsError, UnreadableFileError
from shs_pipeline.file_reader.guess import candidates, guess
from shs_pipeline.files.contract import headers_of
from shs_pipeline.files.reading import SourceFile
from shs_pipeline.landing.names import REFERENCE_NAMES
from shs_pipeline.reference.registry import all_tables, table_named
from shs_pipeline.samples.reference import reference_workbooks
from shs_pipeline.samples.tree import SAMPLES, make_sample
from shs_pipeline.sources.registry import all_sources, source_named

MAX_BYTES = 50 * 2**20
MONTHS = [date(2025, month, 1) for month in range(1, 13)]
DECLARATIONS = [*all_sources(), *all_tables()]


def guessed(content: bytes, name: str = "file.xlsx") -> str:
    return guess(SourceFile(name, content), MAX_BYTES).declaration.name


def workbook(*rows: Sequence[str | None], hidden: Sequence[str] = ()) -> bytes:
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in rows:
        book.active.append(list(row))
    if hidden:
        sheet = book.create_sheet("Hidden")
        sheet.append(list(hidden))
        sheet.sheet_state = "hidden"
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


@pytest.mark.parametrize("source", SAMPLES)
def test_every_sample_of_a_source_is_known_by_its_columns(source: str) -> None:
    for month in MONTHS:
        sample = make_sample(source, month, lines=6, seed=3)
        assert guessed(sample.content, sample.path) == source, month


@pytest.mark.parametrize("table", REFERENCE_NAMES)
def test_every_reference_workbook_is_known_by_its_columns(table: str) -> None:
    content = reference_workbooks(MONTHS[0], MONTHS[-1], lines=6)[f"reference/{table}.xlsx"]

    assert guessed(content) == table


@pytest.mark.parametrize("declared", DECLARATIONS, ids=lambda declared: declared.name)
def test_one_column_less_does_not_change_the_guess(declared) -> None:
    headers = list(headers_of(declared.rows))
    for left_out in headers if len(headers) > 2 else []:
        content = workbook(["A title"], [header for header in headers if header != left_out])
        assert guessed(content) == declared.name, left_out


def test_case_spaces_and_other_columns_do_not_matter() -> None:
    header = [f"  {name.upper()} " for name in headers_of(source_named("novo").rows)]

    assert guessed(workbook([], ["Novo Inc."], [None, "Page", *header, "Remarks"])) == "novo"


def test_a_header_on_a_hidden_sheet_does_not_count() -> None:
    hidden = headers_of(source_named("novo").rows)

    assert guessed(workbook(headers_of(table_named("sales_reps").rows), hidden=hidden)) == "sales_reps"
    with pytest.raises(ShsError, match="any source"):
        guess(SourceFile("a.xlsx", workbook(["nothing"], hidden=hidden)), MAX_BYTES)


def test_a_pdf_is_the_one_source_that_sends_them() -> None:
    assert guessed(b"%PDF-1.7 whatever", "Statement.PDF") == "summit_medical"


def test_a_file_like_nothing_names_all_there_is() -> None:
    with pytest.raises(
        ShsError,
        match=r"a\.xlsx does not match the columns of any source.* --source; choose "
        "one of cygnus, .*",
    ):
        guess(SourceFile("a.xlsx", workbook(["Mass", "Charge", "Date"])), MAX_BYTES)


def test_a_file_like_two_things_names_both() -> None:
    both = [*headers_of(source_named("novo").rows), *headers_of(source_named("chemence").rows)]

    with pytest.raises(ShsError, match="could be any of") as raised:
        guess(SourceFile("a.xlsx", workbook(both)), MAX_BYTES)

    assert "novo (24 of 24 columns)" in raised.value.problem
    assert "chemence (19 of 19 columns)" in raised.value.problem
    assert "--source novo or --source chemence" in raised.value.remedy


def test_the_likeliest_comes_first() -> None:
    found = candidates(
        SourceFile("a.xlsx", workbook(headers_of(table_named("business_objectives").rows))), 10**7
    )

    names = [candidate.declaration.name for candidate in found]
    assert names == ["business_objectives", "tier_thresholds", "opening_balances"]
    assert found[0].likeness == 1.0


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.xlsx", b"no workbook", "not an Excel workbook"),
        ("a.xlsx", b"PK\x03\x04 damaged", "not an Excel workbook"),
        ("a.xlsx", b"", "empty"),
        ("a.csv", b"a,b", r"not a \.pdf or \.xlsx file"),
        ("a", b"a,b", r"not a \.pdf or \.xlsx file"),
    ],
)
def test_what_cannot_be_opened_is_said(name: str, content: bytes, problem: str) -> None:
    with pytest.raises(UnreadableFileError, match=problem):
        guess(SourceFile(name, content), MAX_BYTES)


def test_a_file_over_the_limit_is_not_opened() -> None:
    with pytest.raises(UnreadableFileError, match="more than the limit"):
        guess(SourceFile("a.xlsx", workbook(["Name"])), 100)
