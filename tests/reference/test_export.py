"""Exported reference workbooks: what Excel shows of them, and that they read back to the same rows."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.worksheet.worksheet import Worksheet

from shs_pipeline.files.contract import columns_of
from shs_pipeline.files.reading import ROW, SHEET, SourceFile
from shs_pipeline.files.source import read_file
from shs_pipeline.landing.names import REFERENCE_NAMES
from shs_pipeline.reference.export import LISTS, choices_of, export_workbook
from shs_pipeline.reference.registry import table_named
from shs_pipeline.samples.reference import reference_workbooks
from shs_pipeline.samples.workbook import write_workbook

Rows = list[dict[str, Any]]
REP = {
    "sales_rep_name": "Dana Whitfield",
    "rep_category": None,
    "email": "dana@example.com",
    "permission": "user",
    "active": True,
}
TIER = {
    "sales_rep_name": "Dana Whitfield",
    "product_line": None,
    "valid_from": date(2024, 1, 1),
    "valid_until": None,
    "commission_tier_1_rate": Decimal("0.3"),
    "commission_tier_2_rate": Decimal("0.3875"),
    "note": None,
}
THRESHOLD = {
    "sales_rep_name": "Dana Whitfield",
    "product_line": "Cygnus",
    "year": 2025,
    "commission_tier_threshold": Decimal("1234567.89"),
    "note": None,
}


def read(table: str, content: bytes) -> Rows:
    result = read_file(table_named(table), SourceFile(f"{table}.xlsx", content), 50_000_000)
    assert not result.problems
    assert result.lines is not None
    return result.lines.drop(columns=[SHEET, ROW]).to_dict("records")


def export(table: str, rows: Sequence[Mapping[str, Any]]) -> bytes:
    declared = table_named(table)
    return export_workbook(declared, rows, choices_of(declared, {table: rows}))


def exported(table: str, rows: Sequence[Mapping[str, Any]]) -> Worksheet:
    sheet = openpyxl.load_workbook(io.BytesIO(export(table, rows))).active
    assert isinstance(sheet, Worksheet)
    return sheet


@pytest.fixture(scope="module")
def samples() -> dict[str, Rows]:
    books = reference_workbooks(date(2025, 1, 1), date(2025, 12, 1), 40)
    return {name: read(name, books[f"reference/{name}.xlsx"]) for name in REFERENCE_NAMES}


@pytest.mark.parametrize("table", REFERENCE_NAMES)
def test_what_is_exported_reads_back_to_the_same_rows(table: str, samples: dict[str, Rows]) -> None:
    declared = table_named(table)

    content = export_workbook(declared, samples[table], choices_of(declared, samples))

    assert read(table, content) == samples[table]
    sheet = openpyxl.load_workbook(io.BytesIO(content)).active
    assert isinstance(sheet, Worksheet)
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == sheet.dimensions
    for column, cell in zip(columns_of(declared.rows), sheet[1], strict=True):
        assert cell.value == column.header
        assert cell.comment is not None
        assert column.description in cell.comment.text
        assert ("May be blank." in cell.comment.text) is not column.is_required
        assert sheet.column_dimensions[cell.column_letter].width >= len(column.header)


@pytest.mark.parametrize("table", REFERENCE_NAMES)
def test_an_empty_table_is_exported_as_a_form_to_fill_in(table: str) -> None:
    sheet = exported(table, [])

    assert [cell.value for cell in sheet[1]] == [
        column.header for column in columns_of(table_named(table).rows)
    ]
    assert sheet.max_row == 1


def test_cells_have_the_type_and_format_of_their_column() -> None:
    tiers, threshold, rep = (
        {sheet.cell(1, cell.column).value: cell for cell in sheet[2]}
        for sheet in (
            exported("commission_tiers", [TIER]),
            exported("tier_thresholds", [THRESHOLD]),
            exported("sales_reps", [REP]),
        )
    )

    assert tiers["Valid from"].value == datetime(2024, 1, 1)  # noqa: DTZ001
    assert tiers["Valid from"].number_format == "mm/dd/yyyy"
    assert tiers["Valid until"].value is None
    assert (tiers["Commission tier 1 rate"].value, tiers["Commission tier 1 rate"].number_format) == (
        0.3,
        "0.00%",
    )
    assert tiers["Sales Rep Name"].number_format == "@"
    assert threshold["Commission tier threshold"].value == 1234567.89
    assert threshold["Commission tier threshold"].number_format == '"$"#,##0.00'
    assert (threshold["Year"].value, threshold["Year"].number_format) == (2025, "0")
    assert rep["Active"].value == "Yes"


def test_new_rows_have_the_format_of_their_column() -> None:
    sheet = exported("commission_tiers", [TIER])

    formats = [sheet.column_dimensions[letter].number_format for letter in "ABCDEF"]

    assert formats == ["@", "@", "mm/dd/yyyy", "mm/dd/yyyy", "0.00%", "0.00%"]


def test_a_percentage_shows_all_its_decimals() -> None:
    sheet = exported("commission_tiers", [TIER | {"commission_tier_1_rate": Decimal("0.123456")}])

    assert sheet["E2"].number_format == "0.0000%"
    assert sheet["F2"].number_format == "0.00%"


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        '=HYPERLINK("x")',
        "+1",
        "-1",
        "@SUM(A1)",
        "#N/A",
        "0042",
        "1E5",
        "TRUE",
        "1/2/2025",
        "50%",
        "_x0041_",
    ],
)
def test_text_stays_text(text: str) -> None:
    optional = {"valid_from": None, "valid_until": None, "note": text}
    rows = [{"service_lines": text, "product_lines": "Consulting", **optional}]

    content = export("service_to_product", rows)

    cell = openpyxl.load_workbook(io.BytesIO(content)).worksheets[0]["A2"]
    assert cell.data_type == "s"
    assert cell.number_format == "@"
    assert read("service_to_product", content) == rows


def test_leading_zeros_stay() -> None:
    rows = [
        {
            "source": "novo",
            "customer_field": "Customer Number",
            "data_field_value": "0000210",
            "sales_rep_name": "Dana Whitfield",
            "valid_from": date(2020, 1, 1),
            "valid_until": None,
            "share": None,
            "note": None,
        }
    ]

    assert read("territories", export("territories", rows)) == rows


def test_an_amount_that_excel_would_round_stays_exact() -> None:
    rows = [THRESHOLD | {"commission_tier_threshold": Decimal("1234567890.1234567")}]

    assert read("tier_thresholds", export("tier_thresholds", rows)) == rows


def test_fixed_lists_refuse_other_values_and_the_others_only_ask(samples: dict[str, Rows]) -> None:
    table = table_named("territories")
    choices = choices_of(table, samples)

    book = openpyxl.load_workbook(io.BytesIO(export_workbook(table, samples["territories"], choices)))

    rules = {str(rule.sqref): rule for rule in book.worksheets[0].data_validations.dataValidation}
    assert {place: rule.errorStyle or "stop" for place, rule in rules.items()} == {
        "A2:A1048576": "stop",
        "B2:B1048576": "stop",
        "D2:D1048576": "warning",
    }
    assert book[LISTS].sheet_state == "hidden"
    for rule, name in zip(rules.values(), ("source", "customer_field", "sales_rep_name"), strict=True):
        assert rule.type == "list"
        assert rule.showErrorMessage
        assert [
            cell.value for (cell,) in book[LISTS][rule.formula1.partition("!")[2].replace("$", "")]
        ] == choices[name]


def test_the_lists_offer_what_the_rules_allow(samples: dict[str, Rows]) -> None:
    reps = choices_of(table_named("sales_reps"), samples)
    tiers = choices_of(table_named("commission_tiers"), samples)
    territories = choices_of(table_named("territories"), samples)

    assert reps == {
        "permission": ["admin", "user"],
        "active": ["Yes", "No"],
        "paid_as": ["W-2", "1099", "none"],
        "pays_after_leaving": ["Yes", "No"],
    }
    assert "Dana Whitfield" in tiers["sales_rep_name"]
    assert {"Cygnus", "Consulting", "Chemence"} <= set(tiers["product_line"])
    assert len(tiers["product_line"]) == len({name.casefold() for name in tiers["product_line"]})
    assert {"cygnus", "novo"} <= set(territories["source"])
    assert "quickbooks" not in territories["source"]
    assert {"SteppingStone", "ZIP Code", "Account Number"} <= set(territories["customer_field"])


def test_a_column_without_values_has_no_list() -> None:
    table = table_named("commission_tiers")

    book = openpyxl.load_workbook(io.BytesIO(export_workbook(table, [TIER], choices_of(table, {}))))

    assert not book.worksheets[0].data_validations.dataValidation


TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn", "Co")), max_size=20).map(
    lambda text: f"x{text}"
)
ANY_TEXT = TEXT | st.sampled_from(
    ["=A1", "+4", "-4", "@x", "'x", "007", "1.0", "TRUE", "#REF!", "2025-01-01"]
)
DAYS = st.dates(date(2000, 1, 1), date(2098, 1, 1))
ZIPS = st.integers(100, 99999) | st.integers(0, 99999).map(lambda number: f"{number:05d}")
TERRITORY_KEYS = st.one_of(
    st.tuples(st.just("Cygnus"), st.just("name"), ANY_TEXT),
    st.tuples(st.just("LogiQuip"), st.just("SteppingStone"), st.builds("{};{}".format, ZIPS, ANY_TEXT)),
    st.tuples(st.just("summit_medical"), st.just("ZIP Code"), ZIPS),
    st.tuples(
        st.just("NOVO DIRECT"),
        st.just("Customer Number"),
        st.integers(0, 10**9) | st.from_regex(r"\A0*[1-9]\d{0,8}\Z"),
    ),
)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(TERRITORY_KEYS, ANY_TEXT, DAYS, st.none() | st.integers(1, 300)),
        min_size=1,
        max_size=8,
        # By the value alone, which leaves no two rows that could overlap.
        unique_by=lambda row: str(row[0][2]).lstrip("0").casefold().split(";")[-1],
    )
)
def test_any_accepted_territories_read_back_to_the_same_rows(rows: list[Any]) -> None:
    header = [column.header for column in columns_of(table_named("territories").rows)]
    cells = [
        [*key, rep, begin, None if days is None else begin + timedelta(days)]
        for key, rep, begin, days in rows
    ]
    result = read_file(
        table_named("territories"), SourceFile("t.xlsx", write_workbook({"T": [header, *cells]})), 10**7
    )
    if result.lines is None:  # two values that differ but for case or spaces
        assert all("overlap" in problem.problem for problem in result.errors)
        return
    once = result.lines.drop(columns=[SHEET, ROW]).to_dict("records")

    assert read("territories", export("territories", once)) == once


SHARES = st.decimals(0, 1, places=12) | st.decimals(0, 1, places=4)


@settings(max_examples=60)
@given(st.lists(st.tuples(SHARES, st.none() | SHARES, DAYS), min_size=1, max_size=8))
def test_any_rates_read_back_exactly(rows: list[tuple[Decimal, Decimal | None, date]]) -> None:
    tiers = [
        TIER
        | {
            "sales_rep_name": f"Rep {number}",
            "commission_tier_1_rate": first,
            "commission_tier_2_rate": second,
            "valid_from": begin,
        }
        for number, (first, second, begin) in enumerate(rows)
    ]

    assert read("commission_tiers", export("commission_tiers", tiers)) == tiers


@settings(max_examples=60)
@given(st.lists(st.decimals(0, 10**10 - 1, places=2), min_size=1, max_size=8))
def test_any_amounts_read_back_exactly(amounts: list[Decimal]) -> None:
    rows = [
        THRESHOLD | {"year": 2000 + place, "commission_tier_threshold": value}
        for place, value in enumerate(amounts)
    ]

    assert read("tier_thresholds", export("tier_thresholds", rows)) == rows
