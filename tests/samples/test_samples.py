"""The sample landing zone: the same bytes each time, and every quirk of the sources in it."""

from __future__ import annotations

import io
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from python_calamine import CalamineWorkbook

from shs_pipeline.samples.broken import place_of, with_bad_cell
from shs_pipeline.samples.plan import SampleFile
from shs_pipeline.samples.reference import reference_workbooks
from shs_pipeline.samples.tree import SAMPLES, make_sample, sample_files, write_samples
from shs_pipeline.samples.world import (
    ADMINS,
    INACTIVE,
    SELLERS,
    SERVICE_TO_PRODUCT,
    UNLISTED,
    WITHOUT_RATE,
    account,
    customers_of,
    territories,
)

UNTIL = date(2025, 12, 1)
MONTHS, LINES, SEED = 24, 40, 7
HEADER_ROW = {
    "cygnus": 4,
    "logiquip": 2,
    "summit_medical": 1,
    "quickbooks": 5,
    "inspektor": 1,
    "sunoptic": 1,
    "ternio": 5,
    "novo": 3,
    "chemence": 4,
}
SALES = {
    "cygnus": "Invoice Total",
    "logiquip": "Doc Amt",
    "summit_medical": "Sum of Net Sales Amount",
    "quickbooks": "Amount line",
    "inspektor": "Total",
    "sunoptic": "Line Amount",
    "ternio": "Paid",
    "novo": "Extension",
    "chemence": "Sales Total",
}
DAY = {
    "cygnus": "ClosedDate",
    "logiquip": "Date Paid",
    "quickbooks": "Date",
    "inspektor": "Date",
    "sunoptic": "Invoice Date",
    "ternio": "Date",
    "novo": "Invoice Date",
    "chemence": "Invoice Date",
}
NOT_IN_HEADER = {"source_sheet", "source_row", "Client Name", "Statement Date"}


@dataclass
class Seen:
    """A sample as it was read back: rows of the first sheet (None for a PDF), column by heading."""

    source: str
    sample: SampleFile
    sheets: list[str]
    rows: list[list[Any]]

    @property
    def header(self) -> list[Any]:
        return self.rows[HEADER_ROW[self.source] - 1] if self.rows else []

    def place(self, name: str) -> int:
        if name == "Client Name":
            return 0
        return [str(cell).replace("\u00a0", " ").strip().casefold() for cell in self.header].index(
            name.casefold()
        )

    def column(self, name: str) -> list[Any]:
        """Cells of a column below the header."""
        if not self.rows:
            return []
        place = self.place(name)
        return [row[place] for row in self.rows[HEADER_ROW[self.source] :]]

    def body(self) -> list[list[Any]]:
        return self.rows[HEADER_ROW[self.source] :]


def seen(sample: SampleFile) -> Seen:
    source = sample.path.split("/")[1]
    if sample.path.endswith(".pdf"):
        return Seen(source, sample, [], [])
    book = CalamineWorkbook.from_filelike(io.BytesIO(sample.content))
    rows = book.get_sheet_by_index(0).to_python(skip_empty_area=False)
    return Seen(source, sample, book.sheet_names, rows)


@pytest.fixture(scope="module")
def all_seen() -> list[Seen]:
    return [seen(sample) for sample in sample_files(months=MONTHS, lines=LINES, seed=SEED, until=UNTIL)]


def texts(files: list[Seen], source: str, *names: str) -> list[str]:
    return [
        cell
        for file in files
        if file.source == source
        for name in names
        for cell in file.column(name)
        if isinstance(cell, str) and cell
    ]


def cells(files: list[Seen], source: str, name: str) -> list[Any]:
    return [cell for file in files if file.source == source for cell in file.column(name) if cell != ""]


def test_the_same_arguments_write_the_same_bytes(tmp_path: Path) -> None:
    trees = [
        write_samples(tmp_path / name, months=3, lines=12, seed=1, until=UNTIL) for name in ("one", "two")
    ]

    places = [*trees[0].files, *trees[0].reference]
    assert len(places) == 27 + 9
    assert list(trees[0].files) == list(trees[1].files)
    for place in places:
        assert (tmp_path / "one" / place).read_bytes() == (tmp_path / "two" / place).read_bytes(), place


@pytest.mark.parametrize("source", SAMPLES)
def test_another_seed_gives_other_files(source: str) -> None:
    one, two = (make_sample(source, UNTIL, lines=12, seed=seed) for seed in (1, 2))

    assert one.content != two.content
    assert one.lines != two.lines


def test_more_months_leave_the_older_files_as_they_were() -> None:
    few = {
        sample.path: sample.content
        for sample in sample_files(months=2, lines=8, seed=1, until=date(2025, 6, 1))
    }
    many = {
        sample.path: sample.content
        for sample in sample_files(months=5, lines=8, seed=1, until=date(2025, 8, 9))
    }

    assert few.items() <= many.items()


def test_each_source_has_a_file_in_each_month(all_seen: list[Seen]) -> None:
    found = {tuple(file.sample.path.split("/")[1:3]) for file in all_seen}

    months = {f"{year}-{month:02d}" for year in (2024, 2025) for month in range(1, 13)}
    assert found == {(source, month) for source in SAMPLES for month in months}
    assert len({file.sample.content for file in all_seen}) == len(all_seen) == 216


def test_the_header_stands_in_the_documented_row(all_seen: list[Seen]) -> None:
    for file in all_seen:
        for name in set(file.sample.lines[0]) - NOT_IN_HEADER if file.rows else ():
            if not (file.source == "ternio" and name == "Invoice Date"):
                file.place(name)  # raises where the header lacks it


def test_the_truth_has_every_line_in_the_order_of_the_file(all_seen: list[Seen]) -> None:
    for file in all_seen:
        lines = file.sample.lines
        assert len(lines) == LINES
        places = [
            (int(str(line["source_sheet"]).split()[-1].replace("Report", "1")), line["source_row"])
            for line in lines
        ]
        assert places == sorted(set(places))
        for line in lines:
            assert isinstance(line[SALES[file.source]], Decimal)
            for value in line.values():
                assert value is None or isinstance(value, str | int | Decimal | date)
                assert not isinstance(value, str) or value == " ".join(value.split())


@pytest.mark.parametrize(
    ("source", "label_column", "amounts"),
    [
        ("cygnus", "Sales Rep", ["Invoice Total", "Total Rep Due"]),
        ("logiquip", "Doc Num", ["Doc Amt", "Comm Amt"]),
        ("summit_medical", "Row Labels", ["Sum of Net Sales Amount", "Sum of Comm $"]),
        ("quickbooks", "Customer", ["Amount line"]),
        ("inspektor", "Company", ["Total", "Formula"]),
        ("sunoptic", "Invoice ID", ["Line Amount", "Commission $"]),
        ("ternio", "Client Name", ["Paid", "Invoiced"]),
        ("novo", "Salesperson Number", ["Extension", "Commission Amount"]),
        ("chemence", "Source", ["Sales Total", "Commission"]),
    ],
)
def test_the_printed_grand_total_is_the_sum_of_the_lines(
    all_seen: list[Seen], source: str, label_column: str, amounts: list[str]
) -> None:
    checked = 0
    for file in all_seen:
        if file.source != source or not file.rows:
            continue
        labels = [str(cell).casefold() for cell in file.column(label_column)]
        for row in [
            row for row, label in enumerate(labels) if label in {"total", "grand total", "overall total"}
        ]:
            for name in amounts:
                expected = sum((Decimal(str(line[name])) for line in file.sample.lines), Decimal(0))
                assert amount(file.column(name)[row]) == expected
                checked += 1
    assert checked


def amount(cell: Any) -> Decimal:
    text = str(cell).strip().replace("$", "").replace(",", "")
    return -Decimal(text[1:-1]) if text.startswith("(") else Decimal(text)


def test_what_is_printed_once_per_group_is_blank_below(all_seen: list[Seen]) -> None:
    written_once = {"cygnus": "Invoice", "logiquip": "Item Class", "summit_medical": "Row Labels"}
    for source, name in written_once.items():
        blank = sum(
            file.column(name)[line["source_row"] - HEADER_ROW[source] - 1] == ""  # type: ignore[operator]
            for file in all_seen
            if file.source == source and file.rows
            for line in file.sample.lines
        )
        assert blank > 20, source


MONEY_FORMS = {
    "$1,234.50": r"\$\d{1,3},\d{3}\.\d\d",
    "(123.45)": r"\([\d,]+\.\d\d\)",
    "-123.45": r"-[\d,]+\.\d\d",
}
MORE_MONEY = {
    "cygnus": ["Total Rep Due"],
    "logiquip": ["Comm Amt"],
    "summit_medical": ["Sum of Comm $"],
    "inspektor": ["Formula"],
    "sunoptic": ["Commission $", "Unit Price"],
    "ternio": ["Invoiced"],
    "novo": ["Commission Amount", "Unit Price"],
    "chemence": ["Commission", "Sales Price"],
}
RATE_FORMS = {"7%": r"\d+%", "7,0%": r"\d+,\d%"}
RATE_COLUMN = {
    "cygnus": "Rep %",
    "logiquip": "Comm Rate",
    "summit_medical": "CommRate",
    "inspektor": "Commission %",
    "sunoptic": "Commission %",
    "novo": "Commission Percentage",
}


@pytest.mark.parametrize("form", MONEY_FORMS)
@pytest.mark.parametrize("source", SALES)
def test_money_comes_as_text_in_every_form(all_seen: list[Seen], source: str, form: str) -> None:
    found = texts(all_seen, source, SALES[source], *MORE_MONEY.get(source, []))

    assert any(re.fullmatch(MONEY_FORMS[form], cell.strip()) for cell in found)


@pytest.mark.parametrize("source", RATE_COLUMN)
def test_rates_come_in_every_form(all_seen: list[Seen], source: str) -> None:
    found = cells(all_seen, source, RATE_COLUMN[source])

    for form, pattern in RATE_FORMS.items():
        assert any(isinstance(cell, str) and re.fullmatch(pattern, cell) for cell in found), form
    assert any(isinstance(cell, float) and 0 < cell < 1 for cell in found)
    assert any(isinstance(cell, float) and cell >= 1 for cell in found)


@pytest.mark.parametrize("source", SAMPLES)
def test_each_source_shows_the_quirks_of_all_sources(all_seen: list[Seen], source: str) -> None:
    files = [file for file in all_seen if file.source == source and file.rows]
    documented = [name for name in files[0].sample.lines[0] if name not in NOT_IN_HEADER]
    headings = [cell for file in files for cell in file.header if cell]
    orders = {tuple(sorted(documented, key=lambda name, f=file: _order(f, name))) for file in files}  # type: ignore[misc]
    first = 1 if source in {"novo", "ternio"} else 0

    assert any(cell != cell.strip() for cell in headings), "heading with blanks"
    assert any(cell.strip() not in documented for cell in headings), "heading in another case"
    assert len(orders) > 1, "columns in another order"
    assert any("" in file.header[first:] for file in files), "unnamed columns"
    assert any(len(file.sheets) > 1 for file in files), "extra sheet"
    assert any(all(cell == "" for cell in row) for file in files for row in file.body()), "blank rows"
    found = [cell for file in files for row in file.body() for cell in row if isinstance(cell, str)]
    assert any("\u00a0" in cell for cell in found), "non-breaking space"
    assert any("  " in cell.strip() for cell in found), "double space"


def _order(file: Seen, name: str) -> int:
    return -1 if (file.source, name) == ("ternio", "Invoice Date") else file.place(name)


@pytest.mark.parametrize("source", [source for source in SAMPLES if source not in {"inspektor", "chemence"}])
def test_identifiers_come_as_numbers(all_seen: list[Seen], source: str) -> None:
    name = {
        "cygnus": "Invoice",
        "logiquip": "Doc Num",
        "summit_medical": "Invoice #",
        "quickbooks": "Num",
        "sunoptic": "Invoice ID",
        "ternio": "Num",
        "novo": "Item Code",
    }[source]
    found = cells(all_seen, source, name)

    assert any(isinstance(cell, float) for cell in found)
    assert any(isinstance(cell, str) for cell in found)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("logiquip", "Ship To Zip"),
        ("summit_medical", "ZIP Code"),
        ("novo", "Ship To Zip Code"),
        ("chemence", "Zip"),
    ],
)
def test_zips_lose_their_leading_zero(all_seen: list[Seen], source: str, name: str) -> None:
    found = cells(all_seen, source, name)

    assert any(isinstance(cell, float) and cell < 10000 for cell in found)
    assert any(isinstance(cell, str) and cell.startswith("0") for cell in found)
    truth = [line[name] for file in all_seen if file.source == source for line in file.sample.lines]
    assert all(isinstance(value, str) and re.fullmatch(r"\d{5}", value) for value in truth)


@pytest.mark.parametrize(
    ("source", "pattern"),
    [
        ("logiquip", r"\d\d-\d\d-\d{4}"),
        ("quickbooks", r"\d\d/\d\d/\d{4}"),
        ("inspektor", r"\d\d/\d\d/\d{4}"),
        ("ternio", r"\d\d/\d\d/\d{4}"),
        ("cygnus", r"\d\d/\d\d/\d{4}"),
    ],
)
def test_dates_come_printed_and_as_dates(all_seen: list[Seen], source: str, pattern: str) -> None:
    found = cells(all_seen, source, DAY[source])

    assert any(isinstance(cell, str) and re.fullmatch(pattern, cell) for cell in found)
    assert any(isinstance(cell, date) for cell in found)


@pytest.mark.parametrize("source", DAY)
def test_an_august_sale_is_paid_in_december(all_seen: list[Seen], source: str) -> None:
    for file in all_seen:
        if file.source == source and "-12/" in file.sample.path:
            year = int(file.sample.path.split("/")[2][:4])
            days = [line[DAY[source]] for line in file.sample.lines]
            assert any(isinstance(day, date) and (day.year, day.month) == (year, 8) for day in days)


def test_returns_occur_in_every_source(all_seen: list[Seen]) -> None:
    for source, name in SALES.items():
        sales = [line[name] for file in all_seen if file.source == source for line in file.sample.lines]
        assert any(isinstance(sale, Decimal) and sale < 0 for sale in sales), source


Quirk = Callable[[list[Seen]], bool]


def has_row(files: list[Seen], source: str, test: Callable[[Seen, int], bool]) -> bool:
    return any(
        test(file, row)
        for file in files
        if file.source == source and file.rows
        for row in range(len(file.body()))
    )


def at(file: Seen, name: str, row: int) -> Any:
    return file.column(name)[row]


QUIRKS: dict[str, Quirk] = {
    "cygnus subtotal in the first column": lambda files: any(
        re.fullmatch(r"SHS \d\d Total", cell) for cell in texts(files, "cygnus", "Sales Rep")
    ),
    "cygnus subtotal in Cust. ID": lambda files: any(
        cell.endswith(" Total") for cell in texts(files, "cygnus", "Cust. ID")
    ),
    "cygnus Days Past blank": lambda files: any(
        line["Days Past"] is None for file in files if file.source == "cygnus" for line in file.sample.lines
    ),
    "cygnus Days Past negative": lambda files: any(
        isinstance(cell, float) and cell < 0 for cell in cells(files, "cygnus", "Days Past")
    ),
    "logiquip subtotal": lambda files: any(
        re.fullmatch(r"\d+ Total", cell) for cell in texts(files, "logiquip", "Doc Num")
    ),
    "logiquip heading row": lambda files: has_row(
        files,
        "logiquip",
        lambda file, row: (
            at(file, "Customer", row) != "" and at(file, "Comm Rate", row) == at(file, "Doc Amt", row) == ""
        ),
    ),
    "summit_medical pivot subtotal": lambda files: any(
        cell.endswith(" Total") for cell in texts(files, "summit_medical", "Row Labels")
    ),
    "summit_medical statement as PDF": lambda files: any(file.sample.path.endswith(".pdf") for file in files),
    "summit_medical pivot names its revenue month": lambda files: all(
        "/rev=" in file.sample.path for file in files if file.source == "summit_medical" and file.rows
    ),
    "sunoptic with and without a revenue month": lambda files: (
        len({"/rev=" in file.sample.path for file in files if file.source == "sunoptic"}) == 2
    ),
    "sunoptic padding": lambda files: has_row(
        files,
        "sunoptic",
        lambda file, row: at(file, "Invoice ID", row) == "" and at(file, "Commission %", row) != "",
    ),
    "sunoptic fractional quantity": lambda files: any(
        isinstance(cell, float) and cell % 1 for cell in cells(files, "sunoptic", "Ship Qty")
    ),
    "quickbooks Line order 0": lambda files: 0.0 in cells(files, "quickbooks", "Line order"),
    "quickbooks without Quantity": lambda files: has_row(
        files,
        "quickbooks",
        lambda file, row: at(file, "Quantity", row) == "" and at(file, "Line order", row) == 9,
    ),
    "quickbooks transfers": lambda files: any(
        "HHS Transfers Customer" in cell for cell in texts(files, "quickbooks", "Company name")
    ),
    "quickbooks shipping in any case": lambda files: (
        {"Shipping & handling", "Inbound SHIPPING"} <= set(texts(files, "quickbooks", "Purchase description"))
    ),
    "quickbooks price with four decimals": lambda files: any(
        isinstance(cell, float) and round(cell, 2) != cell
        for cell in cells(files, "quickbooks", "Purchase price")
    ),
    "quickbooks footer": lambda files: any("Basis" in cell for cell in texts(files, "quickbooks", "Date")),
    "inspektor without Name": lambda files: has_row(
        files,
        "inspektor",
        lambda file, row: at(file, "Name", row) == "" and at(file, "Document Number", row) != "",
    ),
    "inspektor double space in Name": lambda files: any(
        "  " in cell.strip() for cell in texts(files, "inspektor", "Name")
    ),
    "ternio subtotal": lambda files: any(
        cell.startswith("Total for ") for cell in texts(files, "ternio", "Client Name")
    ),
    "ternio client on a line of its own": lambda files: has_row(
        files,
        "ternio",
        lambda file, row: (
            at(file, "Client Name", row) != "" and at(file, "Date", row) == at(file, "Paid", row) == ""
        ),
    ),
    "ternio client on the first payment": lambda files: has_row(
        files,
        "ternio",
        lambda file, row: (
            at(file, "Client Name", row) != "" and at(file, "Transaction Type", row) == "Payment"
        ),
    ),
    "ternio invoice below its payment": lambda files: has_row(
        files, "ternio", lambda file, row: at(file, "Transaction Type", row) == "Invoice"
    ),
    "novo PO that looks like a number": lambda files: "4.5E10" in texts(files, "novo", "Customer PO Number"),
    "novo first column empty": lambda files: all(
        {row[0] for row in file.rows} == {""} for file in files if file.source == "novo"
    ),
    "a rep that nobody knows": lambda files: (
        UNLISTED.casefold() in {cell.casefold() for cell in texts(files, "quickbooks", "Sales Rep Name")}
        and UNLISTED.casefold() in {cell.casefold() for cell in texts(files, "inspektor", "Name")}
    ),
    "names in another case": lambda files: any(cell.isupper() for cell in texts(files, "cygnus", "Name")),
    "a customer without a territory": lambda files: (
        customers_of("cygnus")[-1].name.casefold()
        in {str(line["Name"]).casefold() for f in files if f.source == "cygnus" for line in f.sample.lines}
    ),
}


@pytest.mark.parametrize("quirk", QUIRKS)
def test_two_years_show_the_quirk(all_seen: list[Seen], quirk: str) -> None:
    assert QUIRKS[quirk](all_seen)


def test_rows_left_out_are_counted_by_reason(all_seen: list[Seen]) -> None:
    reasons: defaultdict[str, set[str]] = defaultdict(set)
    for file in all_seen:
        reasons[file.source] |= set(file.sample.left_out)

    assert len(reasons["quickbooks"]) == 4
    assert reasons["inspektor"] == {"no Name", "remark or footer"}
    assert all("remark or footer" in reasons[source] for source in SAMPLES if source != "quickbooks")


@pytest.mark.parametrize("source", SAMPLES)
def test_what_a_format_leaves_open_varies(all_seen: list[Seen], source: str) -> None:
    files = [file for file in all_seen if file.source == source and file.rows]
    money = texts(all_seen, source, SALES[source], *MORE_MONEY.get(source, []))

    assert any(re.search(r"USD|\+|CR|US\$|\u2013", cell) for cell in money)
    if source in DAY and source != "summit_medical":
        dates = [cell for cell in cells(all_seen, source, DAY[source]) if isinstance(cell, str)]
        assert len({re.sub(r"[0-9]+", "9", re.sub(r"[A-Za-z]+", "a", cell)) for cell in dates}) > 2
    remarks = [row for file in files for row in file.body() if "Page 2 of 3" in row or "(continued)" in row]
    assert remarks or source in {"summit_medical", "quickbooks", "inspektor"}


def rows_of(content: bytes) -> Iterator[dict[str, Any]]:
    rows = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python()
    for row in rows[1:]:
        yield dict(zip([str(cell) for cell in rows[0]], row, strict=True))


@pytest.fixture(scope="module")
def reference() -> dict[str, list[dict[str, Any]]]:
    books = reference_workbooks(date(2024, 1, 1), UNTIL, LINES)
    return {Path(place).stem: list(rows_of(content)) for place, content in books.items()}


def test_the_reference_tables_have_their_columns(reference: dict[str, list[dict[str, Any]]]) -> None:
    months = [date(2000, month, 1).strftime("%B") for month in range(1, 13)]
    assert {name: list(rows[0]) for name, rows in reference.items()} == {
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
        "business_objectives": ["Sales Rep Name", "Product Line", "Year", *months],
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
        "pay_periods": ["Commission Month", "State", "Approved By", "Pay Date", "Note"],
        "opening_balances": ["Sales Rep Name", "Product Line", "Commission Month", "Paid"],
    }


def test_no_two_territories_overlap() -> None:
    periods: defaultdict[tuple[str, str, str], list[tuple[date, date]]] = defaultdict(list)
    for row in territories(UNTIL):
        periods[row.source, row.field, row.value.casefold()].append(
            (row.valid_from, row.valid_until or date.max)
        )

    for of_key in periods.values():
        ordered = sorted(of_key)
        assert all(until <= following for (_, until), (following, _) in pairwise(ordered))


def test_territories_change_hands_in_the_middle_of_a_month_and_of_the_year() -> None:
    for source, day in {"logiquip": (5, 15), "ternio": (5, 15), "cygnus": (7, 1)}.items():
        starts = {
            (row.valid_from.month, row.valid_from.day) for row in territories(UNTIL) if row.source == source
        }
        assert day in starts


def test_territories_spell_sources_by_their_aliases(reference: dict[str, list[dict[str, Any]]]) -> None:
    spelt = {row["Source"] for row in reference["territories"]}

    assert {"Sunoptics", "sunoptic", "NOVO DIRECT", "novo"} <= spelt
    fields = {row["Customer field"] for row in reference["territories"]}
    assert fields == {
        "Name",
        "SteppingStone",
        "Client Name",
        "ZIP Code",
        "State",
        "Customer ID",
        "Customer Number",
        "Account Number",
    }


def test_reps_are_of_every_sort(reference: dict[str, list[dict[str, Any]]]) -> None:
    tiers = reference["commission_tiers"]
    by_name = {row["Sales Rep Name"]: row for row in reference["sales_reps"]}

    assert set(by_name) == {rep.name for rep in (*ADMINS, *SELLERS)}
    assert {row["Permission"] for row in by_name.values()} == {"admin", "user"}
    assert by_name[INACTIVE]["Active"] == "No"
    assert UNLISTED not in by_name
    assert WITHOUT_RATE not in {row["Sales Rep Name"] for row in tiers}
    assert any(row["Commission tier 2 rate"] == "" for row in tiers)
    assert any(row["Product Line"] == "Cygnus" for row in tiers)
    assert any(row["Valid until"] == date(2025, 7, 1) for row in tiers)
    assert {type(row["Commission tier 1 rate"]) for row in tiers} == {str, float}


def test_some_reps_reach_their_threshold_in_the_middle_of_the_year(
    all_seen: list[Seen], reference: dict[str, list[dict[str, Any]]]
) -> None:
    thresholds = {
        row["Sales Rep Name"]: Decimal(str(row["Commission tier threshold"]))
        for row in reference["tier_thresholds"]
        if row["Product Line"] == "Cygnus" and row["Year"] == 2025
    }
    assert Decimal(0) in thresholds.values()
    reached = {
        name: month for name, month in _months_reached(all_seen, thresholds).items() if thresholds[name] > 0
    }

    assert sum(3 <= month <= 10 for month in reached.values()) >= 3
    assert set(thresholds) - set(reached), "some stay below"


def _months_reached(files: list[Seen], thresholds: dict[str, Decimal]) -> dict[str, int]:
    owners = {row.value: row for row in territories(UNTIL) if row.source == "cygnus" and not row.valid_until}
    sales: defaultdict[str, Decimal] = defaultdict(Decimal)
    reached: dict[str, int] = {}
    for file in files:
        if file.source != "cygnus" or "/2025-" not in file.sample.path:
            continue
        for line in file.sample.lines:
            name = next((value for value in owners if value.casefold() == str(line["Name"]).casefold()), None)
            if name is not None:
                sales[owners[name].rep] += Decimal(str(line["Invoice Total"]))
        for rep, threshold in thresholds.items():
            if sales[rep] >= threshold:
                reached.setdefault(rep, int(file.sample.path.split("/")[2][5:]))
    return reached


def test_every_service_line_of_the_files_is_mapped(all_seen: list[Seen]) -> None:
    known = {name.casefold() for name in SERVICE_TO_PRODUCT}
    used = {
        str(line["Service Lines"]).casefold()
        for file in all_seen
        if file.source == "quickbooks"
        for line in file.sample.lines
    }
    assert used == known


def test_every_customer_but_the_last_has_an_owner() -> None:
    owned = {row.value for row in territories(UNTIL) if row.source == "chemence"}
    numbers = [account("chemence", customer) for customer in customers_of("chemence")]

    assert set(numbers) - owned == {numbers[-1]}


def test_statements_come_in_varied_layouts() -> None:
    pypdfium2 = pytest.importorskip("pypdfium2")
    months = [date(2025, month, 1) for month in range(1, 13)]
    samples = [make_sample("summit_medical", month, lines=60, seed=3) for month in months]
    statements = [sample for sample in samples if sample.path.endswith(".pdf")]

    assert len(statements) == 9
    sizes, headings = set(), set()
    for sample in statements:
        document = pypdfium2.PdfDocument(sample.content)
        sizes.add(document[0].get_size())
        headings.add(document[0].get_textpage().get_text_range()[:150])
        document.close()
    assert len(sizes) > 1
    assert len(headings) > 4


def test_a_bad_cell_is_put_where_it_belongs() -> None:
    sample = make_sample("chemence", UNTIL, lines=5, seed=1)
    row = int(str(sample.lines[2]["source_row"]))

    broken = Seen("chemence", sample, [], seen_rows(with_bad_cell(sample.content, "Sales Total", row, "n/a")))
    whole = seen(sample)

    assert broken.rows[row - 1][broken.place("Sales Total")] == "n/a"
    changed = [
        (number, place)
        for number, (one, two) in enumerate(zip(whole.rows, broken.rows, strict=True), start=1)
        for place, (before, after) in enumerate(zip(one, two, strict=True))
        if before != after
    ]
    assert changed == [(row, broken.place("Sales Total"))]
    with pytest.raises(KeyError, match="Colour"):
        place_of(sample.content, "Colour", row)


def seen_rows(content: bytes) -> list[list[Any]]:
    return (
        CalamineWorkbook.from_filelike(io.BytesIO(content))
        .get_sheet_by_index(0)
        .to_python(skip_empty_area=False)
    )
