"""The reference tables: every column, every rule of rules.md, the bad case beside the good one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from shs_pipeline.files.contract import columns_of
from shs_pipeline.files.reading import ROW, SHEET, Problem, SourceFile
from shs_pipeline.files.source import FileOutcome, read_file
from shs_pipeline.landing.names import REFERENCE_NAMES
from shs_pipeline.reference.cross_checks import overlaps
from shs_pipeline.reference.registry import all_tables, table_named
from shs_pipeline.samples.broken import edited
from shs_pipeline.samples.reference import reference_workbooks
from shs_pipeline.samples.workbook import Percent, write_workbook
from shs_pipeline.sources.registry import all_sources

MONTHS = [date(2000, month, 1).strftime("%B") for month in range(1, 13)]
HEADERS = {
    "sales_reps": ["Sales Rep Name", "Rep Category", "Email", "Permission", "Active"],
    "commission_tiers": [
        "Sales Rep Name",
        "Product Line",
        "Valid from",
        "Valid until",
        "Commission tier 1 rate",
        "Commission tier 2 rate",
    ],
    "tier_thresholds": ["Sales Rep Name", "Product Line", "Year", "Commission tier threshold"],
    "business_objectives": ["Sales Rep Name", "Product Line", "Year", *MONTHS],
    "territories": [
        "Source",
        "Customer field",
        "Data field value",
        "Sales Rep Name",
        "Valid from",
        "Valid until",
    ],
    "service_to_product": ["Service Lines", "Product Lines"],
    "aliases": ["Kind", "Source", "Name in File", "Means"],
    "pay_periods": ["Commission Month", "State", "Approved By", "Pay Date"],
    "opening_balances": ["Sales Rep Name", "Product Line", "Commission Month", "Paid"],
}
MAY_BE_MISSING = {name: ["Note"] for name in REFERENCE_NAMES} | {
    "sales_reps": ["Payee ID", "Payroll Code", "Paid As", "Left On", "Pays After Leaving", "Note"],
    "business_objectives": ["Valid from", "Valid until", "Note"],
    "service_to_product": ["Valid from", "Valid until", "Note"],
    "territories": ["Share", "Note"],
    "aliases": ["Share", "Valid from", "Valid until", "Note"],
    "opening_balances": ["Cumulative Sales", "Held Back", "Note"],
}
"""What a workbook may have or not."""
DANA, LENA = "Dana Whitfield", "Lena Hofstra"
D20, D24, D25, D26 = (date(year, 1, 1) for year in (2020, 2024, 2025, 2026))
GOOD: dict[str, list[Any]] = {
    "sales_reps": [DANA, "Field", "dana@example.com", "user", "Yes"],
    "commission_tiers": [DANA, "Cygnus", D20, D25, 0.3, 0.4],
    "tier_thresholds": [DANA, "Cygnus", 2025, 250000],
    "business_objectives": [DANA, "Cygnus", 2025, *range(100, 1300, 100)],
    "territories": ["cygnus", "Name", "Foxglove Clinic", DANA, D20, D25],
    "service_to_product": ["Scope Repair", "Service & Repair"],
    "aliases": ["rep", "quickbooks", "D. Whitfield", DANA],
    "pay_periods": [D25, "open", DANA, date(2025, 2, 15)],
    "opening_balances": [DANA, "Cygnus", D24, 1250.5],
}


def outcome(table: str, *rows: Sequence[Any], header: Sequence[str] | None = None) -> FileOutcome:
    """Read a workbook of one sheet; the first row stands in row 2."""
    content = write_workbook({"Data": [header or HEADERS[table], *rows]})
    return read_file(table_named(table), SourceFile(f"{table}.xlsx", content), 10_000_000)


def accepted(table: str, *rows: Sequence[Any]) -> list[dict[str, Any]]:
    result = outcome(table, *rows)
    assert not result.problems
    assert result.lines is not None
    missing = [name_of(table, header) for header in MAY_BE_MISSING.get(table, [])]
    return result.lines.drop(columns=[SHEET, ROW, *missing]).to_dict("records")


def errors(table: str, *rows: Sequence[Any]) -> list[Problem]:
    result = outcome(table, *rows)
    assert result.lines is None
    return result.errors


def the_error(table: str, *rows: Sequence[Any]) -> Problem:
    (problem,) = errors(table, *rows)
    return problem


def with_cell(table: str, header: str, cell: Any) -> list[Any]:
    row = list(GOOD[table])
    row[HEADERS[table].index(header)] = cell
    return row


def name_of(table: str, header: str) -> str:
    return next(column.name for column in columns_of(table_named(table).rows) if column.header == header)


# Every table and column


def test_the_tables_are_those_of_the_rules() -> None:
    assert tuple(HEADERS) == REFERENCE_NAMES
    assert [table.name for table in all_tables()] == list(REFERENCE_NAMES)
    with pytest.raises(KeyError):
        table_named("customers")


@pytest.mark.parametrize("table", REFERENCE_NAMES)
def test_the_columns_are_those_of_the_rules(table: str) -> None:
    columns = columns_of(table_named(table).rows)

    headers = HEADERS[table] + MAY_BE_MISSING.get(table, [])
    assert [column.header for column in columns] == headers
    assert [column.name for column in columns] == [h.lower().replace(" ", "_") for h in headers]
    assert [column.header for column in columns if column.is_in_header] == HEADERS[table]


@pytest.mark.parametrize("table", REFERENCE_NAMES)
def test_lists_belong_to_columns_that_exist(table: str) -> None:
    declared = table_named(table)
    names = {column.name for column in columns_of(declared.rows)}
    places = {place for found in declared.suggestions.values() for place in found}

    assert {*declared.choices, *declared.suggestions} <= names
    for other, _, column in (place.partition(".") for place in places):
        assert column in {c.name for c in columns_of(table_named(other).rows)}


def test_every_cell_is_read_as_its_column_says() -> None:
    assert accepted("sales_reps", GOOD["sales_reps"]) == [
        {
            "sales_rep_name": DANA,
            "rep_category": "Field",
            "email": "dana@example.com",
            "permission": "user",
            "active": True,
        }
    ]
    assert accepted("commission_tiers", GOOD["commission_tiers"]) == [
        {
            "sales_rep_name": DANA,
            "product_line": "Cygnus",
            "valid_from": D20,
            "valid_until": D25,
            "commission_tier_1_rate": Decimal("0.3"),
            "commission_tier_2_rate": Decimal("0.4"),
        }
    ]
    assert accepted("tier_thresholds", GOOD["tier_thresholds"]) == [
        {
            "sales_rep_name": DANA,
            "product_line": "Cygnus",
            "year": 2025,
            "commission_tier_threshold": Decimal(250000),
        }
    ]
    assert accepted("business_objectives", GOOD["business_objectives"]) == [
        {
            "sales_rep_name": DANA,
            "product_line": "Cygnus",
            "year": 2025,
            **{name.lower(): Decimal(100 * month) for month, name in enumerate(MONTHS, start=1)},
        }
    ]
    assert accepted("territories", GOOD["territories"]) == [
        {
            "source": "cygnus",
            "customer_field": "Name",
            "data_field_value": "Foxglove Clinic",
            "sales_rep_name": DANA,
            "valid_from": D20,
            "valid_until": D25,
        }
    ]
    assert accepted("service_to_product", GOOD["service_to_product"]) == [
        {"service_lines": "Scope Repair", "product_lines": "Service & Repair"}
    ]


OPTIONAL = {
    ("sales_reps", "Rep Category"),
    ("commission_tiers", "Product Line"),
    ("commission_tiers", "Valid until"),
    ("commission_tiers", "Commission tier 2 rate"),
    ("territories", "Valid until"),
    ("aliases", "Source"),
    *(("pay_periods", header) for header in ("Approved By", "Pay Date")),
    *(("business_objectives", month) for month in MONTHS),
}
CELLS = [(table, header) for table in REFERENCE_NAMES for header in HEADERS[table]]


@pytest.mark.parametrize(("table", "header"), CELLS)
def test_a_blank_cell_is_null_where_it_may_be_and_an_error_elsewhere(table: str, header: str) -> None:
    row = with_cell(table, header, None)
    if (table, header) in OPTIONAL:
        assert accepted(table, row)[0][name_of(table, header)] is None
    else:
        problem = the_error(table, row)
        assert (problem.sheet, problem.row, problem.column) == ("Data", 2, header)


@pytest.mark.parametrize(("table", "header"), CELLS)
def test_a_missing_column_is_named(table: str, header: str) -> None:
    place = HEADERS[table].index(header)
    shorter = [name for name in HEADERS[table] if name != header]
    row = [cell for position, cell in enumerate(GOOD[table]) if position != place]

    result = outcome(table, row, header=shorter)

    (problem,) = result.errors
    if table == "service_to_product":  # one of two names is not enough to know a header by
        assert "no row" in problem.problem
        assert header in problem.problem
    else:
        assert problem.column == header
        assert "missing" in problem.problem


@pytest.mark.parametrize("table", REFERENCE_NAMES)
def test_the_header_may_be_dirty_and_lower_down(table: str) -> None:
    header = [f"  {name.upper()} " for name in HEADERS[table]]
    content = write_workbook({"Data": [["A title"], [], header, GOOD[table]], "Notes": [["see above"]]})

    result = read_file(table_named(table), SourceFile("x.xlsx", content), 10_000_000)

    assert not result.problems
    assert result.lines is not None
    assert result.lines[ROW].tolist() == [4]


def test_names_are_squeezed() -> None:
    (row,) = accepted("service_to_product", ["  Scope\u00a0  Repair ", "Service  &  Repair"])

    assert row == {"service_lines": "Scope Repair", "product_lines": "Service & Repair"}


@pytest.mark.parametrize("table", REFERENCE_NAMES)
def test_the_sample_workbooks_are_accepted(table: str) -> None:
    content = reference_workbooks(date(2024, 1, 1), date(2025, 12, 1), 40)[f"reference/{table}.xlsx"]

    result = read_file(table_named(table), SourceFile(f"{table}.xlsx", content), 10_000_000)

    assert not result.problems
    assert result.rows_read > 5


# Single cells


@pytest.mark.parametrize(
    ("table", "header", "cell", "value"),
    [
        ("sales_reps", "Permission", " ADMIN ", "admin"),
        ("sales_reps", "Permission", "User", "user"),
        ("sales_reps", "Active", "y", True),
        ("sales_reps", "Active", "NO", False),
        ("sales_reps", "Email", " Dana.W+x@mail.example.com ", "Dana.W+x@mail.example.com"),
        ("commission_tiers", "Valid from", "01/15/2024", date(2024, 1, 15)),
        ("commission_tiers", "Valid until", "2025-07-01", date(2025, 7, 1)),
        ("commission_tiers", "Commission tier 1 rate", Percent("0.2"), Decimal("0.2")),
        ("commission_tiers", "Commission tier 1 rate", Percent(1), Decimal(1)),
        ("commission_tiers", "Commission tier 1 rate", 0.325, Decimal("0.325")),
        ("commission_tiers", "Commission tier 1 rate", 0, Decimal(0)),
        ("tier_thresholds", "Year", "2025", 2025),
        ("tier_thresholds", "Year", 2000, 2000),
        ("tier_thresholds", "Year", 2099, 2099),
        ("tier_thresholds", "Commission tier threshold", 0, Decimal(0)),
        ("tier_thresholds", "Commission tier threshold", "$250,000.50", Decimal("250000.50")),
        ("business_objectives", "March", "$1,000", Decimal(1000)),
        ("business_objectives", "December", 0, Decimal(0)),
    ],
)
def test_a_cell_is_brought_to_its_value(table: str, header: str, cell: Any, value: Any) -> None:
    assert accepted(table, with_cell(table, header, cell))[0][name_of(table, header)] == value


RATES = ("Commission tier 1 rate", "Commission tier 2 rate")


def with_rates(tier_1: Any, tier_2: Any) -> list[Any]:
    return [*GOOD["commission_tiers"][:4], tier_1, tier_2]


@pytest.mark.parametrize(
    ("typed", "factors"),
    [
        (("20%", "30 %"), ("0.2", "0.3")),
        (("32,5%", "100%"), ("0.325", "1")),
        ((20, 22.5), ("0.2", "0.225")),
        ((2, 3), ("0.02", "0.03")),
        ((1.5, "2%"), ("0.015", "0.02")),
        (("20%", 30), ("0.2", "0.3")),
        ((0.2, 0.3), ("0.2", "0.3")),
        (("0.2", 0.3), ("0.2", "0.3")),
        ((0, 30), ("0", "0.3")),
        ((Percent("0.01"), Percent("0.02")), ("0.01", "0.02")),
        ((Percent("0.2"), Percent(1)), ("0.2", "1")),
        ((Percent("0.2"), 0.3), ("0.2", "0.3")),
        ((Percent("0.2"), 30), ("0.2", "0.3")),
        ((Percent("0.2"), "30%"), ("0.2", "0.3")),
        ((20, None), ("0.2", None)),
        ((Percent("0.2"), None), ("0.2", None)),
    ],
)
def test_both_rates_of_a_row_are_read_alike(typed: tuple[Any, Any], factors: tuple[str, str | None]) -> None:
    (row,) = accepted("commission_tiers", with_rates(*typed))

    found = row["commission_tier_1_rate"], row["commission_tier_2_rate"]
    assert found == tuple(None if factor is None else Decimal(factor) for factor in factors)


@pytest.mark.parametrize(
    ("typed", "column", "value", "says"),
    [
        ((1, 2), RATES[0], "1", "100 % or 1 %"),
        ((1, None), RATES[0], "1", "100 % or 1 %"),
        ((0.5, 1), RATES[1], "1", "100 % or 1 %"),
        ((Percent("0.3"), 1), RATES[1], "1", "100 % or 1 %"),
        (("1", "40%"), RATES[0], "1", "100 % or 1 %"),
        ((0.3, 40), RATES[0], "0.3", "30 % or 0.3 %"),
        ((40, 0.3), RATES[1], "0.3", "30 % or 0.3 %"),
        (("40%", 0.325), RATES[1], "0.325", "32.5 % or 0.325 %"),
        (("0.3", "40%"), RATES[0], "0.3", "30 % or 0.3 %"),
    ],
)
def test_a_rate_that_can_mean_two_things_is_refused_with_both_ways_to_type_it(
    typed: tuple[Any, Any], column: str, value: str, says: str
) -> None:
    problem = the_error("commission_tiers", with_rates(*typed))

    assert (problem.row, problem.column, problem.value) == (2, column, value)
    assert says in problem.problem
    first, second = (way.replace(" %", "%") for way in says.split(" or "))
    assert first in problem.remedy
    assert second in problem.remedy


@pytest.mark.parametrize(
    ("typed", "shown"), [("n/a", "n/a"), ("150%", "150%"), (Percent("1.5"), "150%"), (Percent(20), "2000%")]
)
def test_what_is_no_rate_is_told_once_as_the_sheet_shows_it(typed: Any, shown: str) -> None:
    assert the_error("commission_tiers", with_rates(typed, 40)).value == shown


@pytest.mark.parametrize("table", REFERENCE_NAMES)
def test_every_workbook_may_have_notes(table: str) -> None:
    result = outcome(table, [*GOOD[table], " agreed with  Dana "], header=[*HEADERS[table], "Note"])

    assert not result.problems
    assert result.lines is not None
    assert result.lines["note"].tolist() == ["agreed with Dana"]


@pytest.mark.parametrize(
    ("table", "header", "cell"),
    [
        ("sales_reps", "Permission", "owner"),
        ("sales_reps", "Active", "maybe"),
        ("sales_reps", "Email", "dana at example.com"),
        ("sales_reps", "Email", "dana@example"),
        ("sales_reps", "Email", "dana@example.com; lena@example.com"),
        ("commission_tiers", "Valid from", "soon"),
        ("commission_tiers", "Valid until", 7),
        ("commission_tiers", "Commission tier 1 rate", "150%"),
        ("commission_tiers", "Commission tier 1 rate", -0.1),
        ("commission_tiers", "Commission tier 2 rate", 250),
        ("commission_tiers", "Commission tier 2 rate", "n/a"),
        ("tier_thresholds", "Year", 1999),
        ("tier_thresholds", "Year", 2100),
        ("tier_thresholds", "Year", 2025.5),
        ("tier_thresholds", "Year", "FY25"),
        ("tier_thresholds", "Commission tier threshold", -1),
        ("tier_thresholds", "Commission tier threshold", "(5)"),
        ("tier_thresholds", "Commission tier threshold", "never"),
        ("business_objectives", "Year", 25),
        ("business_objectives", "March", -1),
        ("business_objectives", "October", "tbd"),
        ("territories", "Valid from", "13/01/2024"),
        ("territories", "Valid until", "open"),
    ],
)
def test_a_cell_that_cannot_be_is_an_error_with_a_remedy(table: str, header: str, cell: Any) -> None:
    # The two rows are one entry twice, which is told in the same round.
    found = errors(table, GOOD[table], with_cell(table, header, cell))

    (problem,) = (problem for problem in found if problem.column == header)
    assert (problem.sheet, problem.row) == ("Data", 3)
    assert problem.value == str(cell)
    assert problem.remedy.startswith("Type ")


def test_all_bad_cells_of_a_workbook_are_found_at_once() -> None:
    found = errors(
        "territories",
        ["acme", "Name", "X", DANA, D20, None],
        ["cygnus", "Nickname", "X", DANA, "soon", None],
        ["logiquip", "SteppingStone", "X", None, D20, None],
    )

    assert {(problem.row, problem.column) for problem in found} == {
        (2, "Source"),
        (3, "Customer field"),
        (3, "Valid from"),
        (4, "Data field value"),
        (4, "Sales Rep Name"),
    }


# sales_reps


def test_a_sales_rep_stands_once() -> None:
    other = ["Dana Whitford", "Field", "dw@example.com", "user", "Yes"]
    accepted("sales_reps", GOOD["sales_reps"], other)

    problem = the_error(
        "sales_reps", GOOD["sales_reps"], other, [" dana  WHITFIELD", None, None, "user", "No"]
    )

    assert (problem.row, problem.column) == (4, "Sales Rep Name")
    assert "row 2" in problem.problem


def test_two_active_people_share_no_email() -> None:
    def lena(active: str) -> list[Any]:
        return [LENA, None, "DANA@example.com", "admin", active]

    accepted("sales_reps", GOOD["sales_reps"], lena("No"))

    problem = the_error("sales_reps", GOOD["sales_reps"], lena("Yes"))

    assert (problem.row, problem.column) == (3, "Email")
    assert DANA in problem.problem
    assert LENA in problem.problem
    assert "row 2" in problem.problem


def test_only_an_active_person_needs_an_email() -> None:
    accepted("sales_reps", [DANA, None, None, "user", "No"])

    problem = the_error("sales_reps", [DANA, None, None, "user", "Yes"])

    assert (problem.row, problem.column, problem.value) == (2, "Email", None)


# commission_tiers


def tier(rep: str, product: str | None, begin: date, until: date | None) -> list[Any]:
    return [rep, product, begin, until, 0.3, None]


@pytest.mark.parametrize(
    "rows",
    [
        [tier(DANA, None, D20, D24), tier(DANA, None, D24, None)],
        [tier(DANA, None, D24, None), tier(DANA, None, D20, D24)],
        [tier(DANA, None, D20, None), tier(DANA, "Cygnus", D20, None)],
        [tier(DANA, "Cygnus", D20, None), tier(DANA, "Novo", D20, None)],
        [tier(DANA, None, D20, None), tier(LENA, None, D20, None)],
    ],
    ids=["one after the other", "in any order", "general and special", "two product lines", "two reps"],
)
def test_tiers_that_do_not_overlap_are_accepted(rows: list[list[Any]]) -> None:
    accepted("commission_tiers", *rows)


@pytest.mark.parametrize(
    ("product", "other", "said"),
    [(None, "  ", "all product lines"), ("Cygnus", "  cygnus", "cygnus")],
)
def test_overlapping_tiers_name_both_rows(product: str | None, other: str, said: str) -> None:
    problem = the_error(
        "commission_tiers",
        tier(DANA, product, D20, None),
        tier(LENA, product, D20, None),
        tier("dana  whitfield", other, D24, D25),
    )

    assert (problem.row, problem.column) == (4, "Valid from")
    assert "Rows 2 and 4" in problem.problem
    assert said in problem.problem
    assert "from 01/01/2020 on" in problem.problem
    assert "from 01/01/2024 until 01/01/2025" in problem.problem
    assert "set Valid until of row 2 to 01/01/2024" in problem.remedy


@pytest.mark.parametrize("table", ["commission_tiers", "territories"])
@pytest.mark.parametrize("until", [D24, D20])
def test_a_period_ends_after_it_begins(table: str, until: date) -> None:
    row = GOOD[table].copy()
    row[HEADERS[table].index("Valid from")] = D24
    row[HEADERS[table].index("Valid until")] = date(2024, 1, 2)
    accepted(table, row)
    row[HEADERS[table].index("Valid until")] = until

    problem = the_error(table, row)

    assert (problem.row, problem.column) == (2, "Valid until")


# tier_thresholds and business_objectives


@pytest.mark.parametrize("table", ["tier_thresholds", "business_objectives"])
def test_a_year_is_set_once_for_rep_and_product_line(table: str) -> None:
    first = GOOD[table]
    accepted(
        table,
        first,
        with_cell(table, "Year", 2026),
        with_cell(table, "Product Line", "Novo"),
        with_cell(table, "Sales Rep Name", LENA),
    )

    problem = the_error(
        table, first, with_cell(table, "Year", 2026), [DANA.upper(), " cygnus ", "2025", *first[3:]]
    )

    assert (problem.row, problem.column) == (4, "Year")
    assert "Rows 2 and 4" in problem.problem
    assert "2025" in problem.problem


# service_to_product


def test_a_service_line_stands_once() -> None:
    first = GOOD["service_to_product"]
    accepted("service_to_product", first, ["Scope Rental", "Service & Repair"])

    problem = the_error("service_to_product", first, ["scope  repair", "Consulting"])

    assert (problem.row, problem.column) == (3, "Service Lines")
    assert "row 2" in problem.problem
    assert "Consulting" in problem.problem


# territories


def territory(
    value: Any, rep: str = DANA, begin: date = D20, until: date | None = None, *, key: tuple[str, str]
) -> list[Any]:
    return [*key, value, rep, begin, until]


CYGNUS, SUMMIT_ZIP = ("cygnus", "Name"), ("summit_medical", "ZIP Code")


@pytest.mark.parametrize(
    ("spelling", "name", "field"),
    [
        *(
            (source.name, source.name, source.customer_fields[0])
            for source in all_sources()
            if source.customer_fields
        ),
        ("Summit  MEDICAL", "summit_medical", "client name"),
        ("Sunoptics", "sunoptic", "customer id"),
        ("novo direct", "novo", " Customer  Number"),
        ("LOGIQUIP", "logiquip", "steppingstone"),
    ],
)
def test_a_source_goes_by_name_title_and_alias(spelling: str, name: str, field: str) -> None:
    (row,) = accepted("territories", territory("75201; Foxglove", key=(spelling, field)))

    assert row["source"] == name
    source = next(source for source in all_sources() if source.name == name)
    assert row["customer_field"] in source.customer_fields


def test_an_unknown_source_is_an_error_that_lists_the_known_ones() -> None:
    problem = the_error("territories", territory("X", key=("Acme", "Name")))

    assert (problem.row, problem.column, problem.value) == (2, "Source", "Acme")
    for word in ("cygnus", "sunoptic or Sunoptics", "novo or NOVO DIRECT", "summit_medical"):
        assert word in problem.remedy
    assert "quickbooks" not in problem.remedy


@pytest.mark.parametrize("source", ["quickbooks", "InspeKtor"])
def test_a_source_that_names_its_reps_has_no_territories(source: str) -> None:
    problem = the_error("territories", territory("X", key=(source, "Name")))

    assert problem.column == "Source"
    assert f"{source.lower()} names the rep in its own files" in problem.problem


def test_a_customer_field_is_one_of_the_source() -> None:
    for field in ("Client Name", "ZIP Code", "State"):
        accepted("territories", territory("75201", key=("summit_medical", field)))

    problem = the_error("territories", territory("75201", key=("summit_medical", "Name")))

    assert (problem.row, problem.column, problem.value) == (2, "Customer field", "Name")
    assert problem.remedy == "Type Client Name or ZIP Code or State."


@pytest.mark.parametrize(
    ("key", "cell", "value"),
    [
        (("logiquip", "SteppingStone"), "75201; Baylor Medical Center", "75201; Baylor Medical Center"),
        (("logiquip", "SteppingStone"), " 2138 ;Baylor   Medical ", "02138; Baylor Medical"),
        (("logiquip", "SteppingStone"), "02138-1234;  X; Y", "02138; X; Y"),
        (("logiquip", "SteppingStone"), "75201.0; X", "75201; X"),
        (SUMMIT_ZIP, 2138, "02138"),
        (SUMMIT_ZIP, 2138.0, "02138"),
        (SUMMIT_ZIP, "02138", "02138"),
        (SUMMIT_ZIP, "021381234", "02138-1234"),
        (("summit_medical", "State"), " TX ", "TX"),
        (("summit_medical", "Client Name"), "Foxglove\u00a0 Clinic", "Foxglove Clinic"),
        (("sunoptic", "Customer ID"), 10482.0, "10482"),
        (("sunoptic", "Customer ID"), "10482.0", "10482"),
        (("sunoptic", "Customer ID"), "C-1007", "C-1007"),
        (("novo", "Customer Number"), "0000210", "0000210"),
        (("novo", "Customer Number"), 210, "210"),
        (("chemence", "Account Number"), 70017, "70017"),
        (("ternio", "Client Name"), "4.0 Clinic", "4.0 Clinic"),
        (CYGNUS, 7, "7"),
    ],
)
def test_a_customer_is_written_as_the_source_has_it(key: tuple[str, str], cell: Any, value: str) -> None:
    assert accepted("territories", territory(cell, key=key))[0]["data_field_value"] == value


@pytest.mark.parametrize(
    ("key", "cell"),
    [
        (("logiquip", "SteppingStone"), "Baylor Medical Center"),
        (("logiquip", "SteppingStone"), "75201;  "),
        (("logiquip", "SteppingStone"), "; Baylor"),
        (("logiquip", "SteppingStone"), "7520100; Baylor"),
        (SUMMIT_ZIP, 752010),
        (("sunoptic", "Customer ID"), date(2025, 3, 1)),
    ],
)
def test_a_customer_that_no_file_can_hold_is_an_error(key: tuple[str, str], cell: Any) -> None:
    problem = the_error("territories", territory(cell, key=key))

    assert (problem.row, problem.column, problem.value) == (2, "Data field value", str(cell))


def test_one_owner_may_follow_another() -> None:
    accepted(
        "territories",
        territory("Foxglove", LENA, D24, None, key=CYGNUS),
        territory("foxglove", DANA, D20, D24, key=CYGNUS),
        territory("Foxglove", LENA, D20, None, key=("ternio", "Client Name")),
        territory("Foxglove", LENA, D20, None, key=("summit_medical", "Client Name")),
        territory("Foxglove", LENA, D20, None, key=("summit_medical", "State")),
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (territory("Foxglove", key=CYGNUS), territory(" FOXGLOVE", LENA, D24, key=("Cygnus", "name"))),
        (territory(2138, key=SUMMIT_ZIP), territory("02138", LENA, D24, key=("Summit Medical", "zip code"))),
        (
            territory("2138;X", key=("logiquip", "SteppingStone")),
            territory("02138; x", LENA, D24, key=("Logiquip", "SteppingStone")),
        ),
        (
            territory(10482, key=("sunoptic", "Customer ID")),
            territory("10482.0", LENA, D24, key=("Sunoptics", "Customer ID")),
        ),
    ],
)
def test_overlapping_territories_name_both_rows_and_both_reps(first: list[Any], second: list[Any]) -> None:
    problem = the_error("territories", first, GOOD["territories"], second)

    assert (problem.row, problem.column) == (4, "Valid from")
    assert "Rows 2 and 4" in problem.problem
    assert f"{DANA} owns it from 01/01/2020 on" in problem.problem
    assert f"{LENA} from 01/01/2024 on" in problem.problem
    assert "set Valid until of row 2 to 01/01/2024" in problem.remedy


def test_two_owners_from_the_same_day_on_are_told_so() -> None:
    problem = the_error("territories", territory("X", key=CYGNUS), territory("X", LENA, key=CYGNUS))

    assert "Rows 2 and 3" in problem.problem
    assert "so that one follows the other" in problem.remedy


def test_each_row_that_overlaps_is_named_with_the_one_that_lasts_longest() -> None:
    rows = [(D24, D25), (D20, None), (D25, D26), (D20, date(2020, 2, 1))]
    lines = pd.DataFrame(rows, columns=["valid_from", "valid_until"], dtype=object)

    assert list(overlaps(lines, ["a"] * 4)) == [(1, 3), (1, 0), (1, 2)]
    assert list(overlaps(lines, ["a", "b", "a", "c"])) == []


def test_the_wanted_rows_of_ten_thousand_are_found() -> None:
    rows = [territory(f"Clinic {number}", key=CYGNUS) for number in range(10_000)]
    rows[9_000] = territory("clinic 17", LENA, D24, key=CYGNUS)

    problem = the_error("territories", *rows)

    assert "Rows 19 and 9002" in problem.problem


# --- all errors in one round ---------------------------------------------------------------------


def test_a_bad_permission_and_a_doubled_name_take_one_round() -> None:
    found = errors(
        "sales_reps",
        [DANA, None, "dana@example.com", "boss", "Yes"],
        [f"{DANA.upper()}\u200e", None, "DANA@example.com", "user", "perhaps"],
        ["Lena Hofstra", None, None, "usr", "Yes"],
        ["Ann Lee", None, "dana@example.com", "user", "Yes"],
    )

    assert [(problem.row, problem.column) for problem in found] == [
        (2, "Permission"), (3, "Active"), (4, "Permission"), (3, "Sales Rep Name"), (5, "Email"), (4,
        "Email"),
    ]  # fmt: skip


@pytest.mark.parametrize("table", ["commission_tiers", "territories"])
def test_an_overlap_is_found_though_another_cell_of_its_rows_is_bad(table: str) -> None:
    header = HEADERS[table]
    first, second = list(GOOD[table]), list(GOOD[table])
    first[header.index("Valid until")] = None
    bad = "Commission tier 1 rate" if table == "commission_tiers" else "Sales Rep Name"
    second[header.index(bad)] = 70 if table == "commission_tiers" else None
    second[header.index("Valid from")], second[header.index("Valid until")] = D24, D20
    third = with_cell(table, "Valid from", D26)
    third[header.index("Valid until")] = None
    if table == "commission_tiers":
        second[header.index(bad)] = 700

    found = {(problem.row, problem.column) for problem in errors(table, first, second, third)}

    assert {(3, bad), (3, "Valid until"), (4, "Valid from")} <= found


@pytest.mark.parametrize("table", ["commission_tiers", "territories"])
def test_nothing_is_concluded_from_a_bad_cell(table: str) -> None:
    header = HEADERS[table]
    first, second = with_cell(table, "Valid until", "31/12/2024"), with_cell(table, "Valid from", D25)
    second[header.index("Valid until")] = D26

    assert [(problem.row, problem.column) for problem in errors(table, first, second)] == [(2, "Valid until")]


@pytest.mark.parametrize("table", ["tier_thresholds", "business_objectives"])
def test_a_doubled_year_is_found_beside_a_bad_amount(table: str) -> None:
    bad = list(GOOD[table])
    bad[3] = "€5"

    found = errors(table, GOOD[table], bad)

    assert [(problem.row, problem.column) for problem in found] == [(3, HEADERS[table][3]), (3, "Year")]


def test_a_missing_column_hides_no_other_error() -> None:
    header = [name for name in HEADERS["sales_reps"] if name != "Email"]
    row = [DANA, None, "user", "Yes"]

    found = outcome("sales_reps", row, row, header=header).errors

    assert [(problem.row, problem.column) for problem in found] == [(1, "Email"), (3, "Sales Rep Name")]


@pytest.mark.parametrize("table", ["commission_tiers", "territories"])
@pytest.mark.parametrize(
    "until",
    ["12/31/9999", date(9999, 12, 31), "9999-12-31", 2958465.0, "31-Dec-9999", "12/31/2999", date(2199, 1,
    1)],
)  # fmt: skip
def test_a_day_after_this_century_is_no_end(table: str, until: object) -> None:
    (row,) = accepted(table, with_cell(table, "Valid until", until))

    assert row["valid_until"] is None


@pytest.mark.parametrize("until", ["12/31/99", "soon", "31/12/9999", True])
def test_what_may_be_no_day_is_no_end_either(until: object) -> None:
    problem = the_error("territories", with_cell("territories", "Valid until", until))

    assert (problem.row, problem.column) == (2, "Valid until")


def test_a_day_after_this_century_is_no_beginning() -> None:
    assert (
        the_error("territories", with_cell("territories", "Valid from", "12/31/9999")).column == "Valid from"
    )


@pytest.mark.parametrize("table", REFERENCE_NAMES)
@pytest.mark.parametrize(
    "note", ["* as agreed in March", "Page 1 of 1", "Note: house accounts are not listed",
    "Ask Dana before you change any of these."]
)  # fmt: skip
def test_a_footnote_below_the_table_is_left_out_and_counted(table: str, note: str) -> None:
    result = outcome(table, GOOD[table], [], [note])

    assert result.errors == []
    assert result.left_out == {"remark or footer": 1}


@pytest.mark.parametrize("table", REFERENCE_NAMES)
@pytest.mark.parametrize("position", [0, 1])
def test_an_entry_that_is_not_finished_is_an_error_and_no_footnote(table: str, position: int) -> None:
    rest: list[Any] = [None, None]
    rest[position] = "Scope Repair, level two" if table == "service_to_product" else "Lena Hofstra"

    assert {problem.row for problem in errors(table, GOOD[table], rest)} == {3}


def test_an_email_alone_is_an_unfinished_entry() -> None:
    assert errors("sales_reps", GOOD["sales_reps"], [None, None, "lena@example.com"])


@pytest.mark.parametrize("header", HEADERS["territories"])
def test_an_excel_error_in_a_territory_is_told_as_such(header: str) -> None:
    content = write_workbook({"Data": [HEADERS["territories"], GOOD["territories"]]})
    place = f"{'ABCDEF'[HEADERS['territories'].index(header)]}2"

    result = read_file(
        table_named("territories"),
        SourceFile("territories.xlsx", edited(content, {place: "#N/A"}), None),
        10_000_000,
    )

    assert [(problem.row, problem.column) for problem in result.errors] == [(2, header)]
    assert "#N/A" in result.errors[0].problem
    assert "Excel error" in result.errors[0].problem


# What is optional: a workbook of before has none of it


FULL = {table: HEADERS[table] + columns for table, columns in MAY_BE_MISSING.items()}


def full(table: str, *rows: Sequence[Any]) -> FileOutcome:
    """Read a workbook with every column."""
    return outcome(table, *rows, header=FULL[table])


def said(result: FileOutcome) -> str:
    assert result.lines is None
    return " ".join(f"{error.column}: {error.problem}" for error in result.errors)


def alias(*cells: Any) -> list[Any]:
    """An alias of a rep for all sources: name, what it means, share, from, until."""
    return ["rep", None, *cells, *[None] * (5 - len(cells))]


def test_a_person_may_have_an_id_a_payroll_code_and_a_last_day() -> None:
    result = full("sales_reps", [*GOOD["sales_reps"], "P-1", 17, 1099, "3/31/2025", "no"])

    assert result.lines is not None
    row = result.lines.iloc[0]
    assert (row["payee_id"], row["payroll_code"], row["paid_as"]) == ("P-1", "17", "1099")
    assert (row["left_on"], bool(row["pays_after_leaving"])) == (date(2025, 3, 31), False)


def test_a_house_account_needs_no_address() -> None:
    house = ["Office", "HOUSE", None, "user", "Yes"]
    assert full("sales_reps", house).lines is not None
    assert "no email address" in said(full("sales_reps", ["Office", "Field", *house[2:]]))


def test_an_id_is_one_persons() -> None:
    lena = [LENA, "Field", "lena@example.com", "user", "Yes", "p-1"]
    assert "same Payee ID as Dana Whitfield in row 2" in said(
        full("sales_reps", [*GOOD["sales_reps"], "P-1"], lena)
    )
    assert full("sales_reps", [*GOOD["sales_reps"], "P-1"], [*lena[:5], "P-2"]).lines is not None


@pytest.mark.parametrize(("column", "value"), [(5, "P 1"), (7, "cash"), (9, "perhaps")])
def test_an_optional_cell_is_checked_too(column: int, value: str) -> None:
    row = [*GOOD["sales_reps"], None, None, None, None, None]
    row[column] = value
    assert FULL["sales_reps"][column] in said(full("sales_reps", row))


def test_parts_of_a_line_add_up_on_every_day() -> None:
    halves = [alias("Team", DANA, "60%"), alias("Team", LENA, 0.4)]
    assert full("aliases", *halves).lines is not None
    assert "add up to 60 % on 01/01/2025 (row 2)" in said(
        full("aliases", halves[0], alias("Team", LENA, 0.4, None, D25))
    )
    later = [alias("Team", DANA, "60%", None, D25), alias("Team", LENA, "40%", None, D25)]
    assert full("aliases", *later, alias("Team", LENA, None, D25)).lines is not None
    assert "99.9 %" in said(full("aliases", alias("Team", DANA, 0.599), alias("Team", LENA, 0.4)))
    assert "add up to 200 %" in said(full("aliases", alias("Team", DANA), alias("Team", LENA)))
    assert "twice for one" in said(full("aliases", alias("Team", DANA, 0.5), alias("team", DANA, 0.5)))


def shared(rep: str, share: Any, begin: date = D20, until: date | None = None) -> list[Any]:
    return [*CYGNUS, "Foxglove Clinic", rep, begin, until, share]


def test_shares_of_a_customer_add_up_on_every_day() -> None:
    halves = [shared(DANA, "60%"), shared(LENA, 0.4)]
    assert full("territories", *halves).lines is not None
    result = full("territories", *halves)
    assert result.lines is not None
    assert result.lines["share"].tolist() == [Decimal("0.6"), Decimal("0.4")]
    said_of = said(full("territories", shared(DANA, 0.599), shared(LENA, 0.4)))
    assert (
        "The shares of cygnus customer 'Foxglove Clinic' add up to 99.9 % on 01/01/2020 (row 2, 3)" in said_of
    )
    assert "add up to 60 % on 01/01/2025 (row 2)" in said(
        full("territories", halves[0], shared(LENA, 0.4, D20, D25))
    )
    assert "add up to 160 % on 01/01/2025" in said(full("territories", *halves, shared("Cy Dorn", 0.6, D25)))


def test_a_shared_customer_may_be_one_reps_before_and_after() -> None:
    rows = [
        shared(DANA, None, D20, D24), shared(DANA, "50%", D24, D25), shared(LENA, "50%", D24, D25),
        shared(LENA, "100%", D25),
    ]  # fmt: skip
    assert full("territories", *rows).lines is not None


def test_a_rep_has_one_share_of_a_customer() -> None:
    rows = [shared(DANA, 0.5), shared("dana  whitfield", 0.5)]
    assert "has two shares of 'Foxglove Clinic' on 01/01/2020 (row 2, 3)" in said(full("territories", *rows))


def test_two_owners_without_shares_still_overlap() -> None:
    assert "overlap for cygnus, Name" in said(full("territories", shared(DANA, None), shared(LENA, None)))


def test_a_row_for_a_source_stands_beside_one_for_all() -> None:
    own = alias("Team", DANA)
    own[1] = "QuickBooks"
    assert full("aliases", own, alias("Team", LENA)).lines is not None


def test_what_a_name_means_is_no_alias() -> None:
    assert "row 3 says means Lena Hofstra" in said(
        full("aliases", alias("D. W.", "D. Whitfield"), alias("D. Whitfield", LENA))
    )
    assert "stands for itself" in said(full("aliases", alias("Dana", "DANA")))


@pytest.mark.parametrize("kind", ["product line", "customer"])
def test_only_a_reps_lines_are_divided(kind: str) -> None:
    halves = [[kind, None, "A", "B", 0.5], [kind, None, "A", "C", 0.5]]
    assert "Only the lines of a rep are divided" in said(full("aliases", *halves))
    begun = [[kind, None, "A", "B", None, None, D25], [kind, None, "A", "C", None, D25]]
    assert full("aliases", *begun).lines is not None


def test_a_service_line_moves_from_a_month_on() -> None:
    rows = [["Trays", "Sterile", None, D25], ["Trays", "Services", D25, None]]
    assert full("service_to_product", *rows).lines is not None
    assert "is already in row 2" in said(full("service_to_product", rows[0], ["Trays", "Services"]))
    assert "never in force" in said(full("service_to_product", ["Trays", "Sterile", D25, D24]))


def test_objectives_of_a_year_may_change_within_it() -> None:
    july, good = date(2025, 7, 1), GOOD["business_objectives"]
    assert full("business_objectives", [*good, None, july], [*good, july, None]).lines is not None
    assert "both set the objectives" in said(full("business_objectives", [*good, None, july], good))


# Pay periods


@pytest.mark.parametrize("typed", ["2025-03", " 2025-03 ", date(2025, 3, 1), date(2025, 3, 31), "3/15/2025"])
def test_a_pay_period_is_named_by_its_month_or_any_day_of_it(typed: Any) -> None:
    (row,) = accepted("pay_periods", [typed, "Closed", DANA, "4/15/2025"])

    assert (row["commission_month"], row["state"]) == (date(2025, 3, 1), "closed")


def test_a_closed_month_names_who_approved_it() -> None:
    problem = the_error("pay_periods", ["2025-03", "closed", None, None])

    assert (problem.row, problem.column) == (2, "Approved By")
    assert "nobody is named" in problem.problem
    assert accepted("pay_periods", ["2025-03", "open", None, None])


def test_a_month_stands_in_one_row() -> None:
    rows = [["2025-03", "closed", DANA, None], [date(2025, 3, 9), "open", None, None]]
    problem = the_error("pay_periods", *rows)

    assert (problem.row, problem.column) == (3, "Commission Month")
    assert "2025-03 is already in row 2" in problem.problem


def test_a_month_is_not_paid_before_it_begins() -> None:
    problem = the_error("pay_periods", ["2025-03", "closed", DANA, "2/28/2025"])

    assert (problem.row, problem.column) == (2, "Pay Date")
    assert "is before the commission month 2025-03" in problem.problem
    assert accepted("pay_periods", ["2025-03", "closed", DANA, "3/31/2025"])


# --- opening balances ------------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["2024-09", date(2024, 9, 30), "9/1/2024"])
def test_what_was_paid_before_is_of_a_month(typed: object) -> None:
    (row,) = accepted("opening_balances", [DANA, "Cygnus", typed, "1,250.50"])
    assert (row["commission_month"], row["paid"]) == (date(2024, 9, 1), Decimal("1250.50"))


def test_what_was_paid_for_a_month_is_said_once() -> None:
    names = ((DANA, "Cygnus"), (LENA, "Cygnus"), (DANA.upper(), "cygnus"))
    problem = the_error("opening_balances", *([*name, "2024-09", 1] for name in names))
    assert (problem.row, problem.column) == (4, "Commission Month")
    assert problem.problem == f"Row 2 already says what {DANA.upper()} was paid for cygnus in 2024-09."


@pytest.mark.parametrize(
    ("sales", "held_back", "note", "words"),
    [
        ("41,000.00", "310.25", None, None),
        ("41,000.00", None, None, None),
        ("-200", "-10.50", "Returns of last year.", None),
        (None, 310.25, None, "Held Back has no Cumulative Sales beside it"),
        (41000, -310.25, None, "would take money away"),
        (41000, "310.255", None, "Held Back is 310.255, which is not in whole cents"),
        ("41000.001", None, None, "Cumulative Sales is 41000.001, which is not in whole cents"),
    ],
)
def test_a_year_goes_on_from_what_was_sold_and_held_back(
    sales: object, held_back: object, note: str | None, words: str | None
) -> None:
    header = [*HEADERS["opening_balances"], "Cumulative Sales", "Held Back", "Note"]
    found = outcome("opening_balances", [DANA, "Cygnus", "2024-09", 1, sales, held_back, note], header=header)
    if words is None:
        assert not found.problems
        return
    (problem,) = found.problems
    assert (problem.row, words in problem.problem) == (2, True)
    assert problem.remedy
