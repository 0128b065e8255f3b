"""The example of docs/rules.md, computed anew by the second implementation of the rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from tests.engine.model import (
    BusinessObjective,
    CommissionTier,
    RawLine,
    Reference,
    SalesRep,
    Territory,
    TierThreshold,
    cents,
)
from tests.engine.payouts import Results, compute

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"
REP, PRODUCT_LINE, CUSTOMER = "Avery Stone", "Cygnus", "Northgate Clinic"
GIVEN, LINES, PAYOUTS, ATTAINMENT = (
    "What the reference tables say", "The lines", "The payouts, by commission month",
    "Sales against objective, by revenue month",
)  # fmt: skip
MONTH_NAMES = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
NUMBER = re.compile(r"-?\d[\d,]*\.\d\d")
WITH_ALL_DIGITS = re.compile(NUMBER.pattern + r"\d*")
LONG_AGO = date(2020, 1, 1)

Row = Mapping[str, str]


def example_of(page: str) -> str:
    return page.partition("## A worked example\n")[2]


def tables_of(text: str) -> dict[str, list[Row]]:
    """The rows of each table, cells by heading of the column, by heading of the section."""
    found: dict[str, list[Row]] = {}
    for section in text.split("\n### ")[1:]:
        title, _, rest = section.partition("\n")
        header, _, *rows = [cells_of(line) for line in rest.splitlines() if line.startswith("|")]
        found[title] = [dict(zip(header, row, strict=True)) for row in rows]
    return found


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|\n").split("|")]


def amount(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


def month(text: str) -> date:
    return date.fromisoformat(f"{text}-01")


def reference_of(given: Sequence[Row]) -> Reference:
    said = {row["what"]: row["value"] for row in given}
    rates = [amount(said[f"Tier {tier} rate"].removesuffix(" %")) / 100 for tier in (1, 2)]
    thresholds, objectives = [], {}
    for what, value in said.items():
        kind, *when = what.split()
        if kind == "Threshold":
            thresholds.append(TierThreshold(REP, PRODUCT_LINE, int(when[0]), amount(value)))
        elif kind == "Objective":
            objectives[int(when[1]), when[0]] = amount(value)
    years = sorted({year for year, _ in objectives})
    return Reference(
        sales_reps=(SalesRep(REP),),
        commission_tiers=(CommissionTier(REP, None, LONG_AGO, None, rates[0], rates[1]),),
        tier_thresholds=tuple(thresholds),
        business_objectives=tuple(
            BusinessObjective(
                REP, PRODUCT_LINE, year, tuple(objectives.get((year, name)) for name in MONTH_NAMES)
            )
            for year in years
        ),
        territories=(Territory("cygnus", "Name", CUSTOMER, REP, LONG_AGO, None),),
    )


def raw_lines(lines: Sequence[Row]) -> list[RawLine]:
    return [
        RawLine(
            source="cygnus",
            file_id=1,
            source_file="incoming/cygnus/example.xlsx",
            source_sheet="Report",
            source_row=number,
            commission_month=month(row["Commission month"]),
            revenue_date=date.fromisoformat(row["Revenue date"]),
            cells={
                "name": CUSTOMER,
                "invoice": row["Invoice"],
                "sku": None,
                "invoice_total": amount(row["Sales"]),
                "total_rep_due": amount(row["Revenue in the file"]),
            },
        )
        for number, row in enumerate(lines, start=2)
    ]


def dollars(value: Decimal | None) -> str:
    return "" if value is None else f"{value:,.2f}"


def written(results: Results) -> dict[str, list[Row]]:
    """The tables that follow, as the page should write them."""
    return {
        LINES: [
            {
                "Invoice": str(line.invoice_number),
                "Revenue": dollars(line.rev_actual),
                "Tier 1": dollars(line.commission_tier_1),
                "Difference": dollars(line.commission_tier_2_diff),
            }
            for line in results.lines
        ],
        PAYOUTS: [
            {
                "Commission month": f"{row.commission_month:%Y-%m}",
                "Sales": dollars(row.sales_actual),
                "Sales to date": dollars(row.cumulative_sales),
                "Threshold": dollars(row.threshold),
                "Tier": str(row.tier),
                "Tier 1": dollars(row.commission_tier_1),
                "Difference": dollars(row.commission_tier_2_diff),
                "Held back": dollars(row.deferred),
                "Released": dollars(row.released),
                "Still waiting": dollars(row.deferred_balance),
                "Payout": dollars(row.payout),
                "Paid this year": dollars(row.payout_ytd),
            }
            for row in results.payouts
        ],
        ATTAINMENT: [
            {
                "Revenue month": f"{row.month:%Y-%m}",
                "Sales": dollars(row.sales_actual),
                "Revenue": dollars(row.rev_actual),
                "Objective": dollars(row.objective),
                "Attainment": "" if row.attainment is None else f"{row.attainment * 100:.2f} %",
                "Payout of the month": dollars(row.payout),
            }
            for row in results.reps
        ],
    }


def faults_of(example: str) -> list[str]:
    """Every number of the example that is another one by the rules."""
    tables = tables_of(example)
    computed = written(compute(raw_lines(tables[LINES]), reference_of(tables[GIVEN])))
    faults = []
    for title, rows in computed.items():
        if len(tables[title]) != len(rows):
            faults.append(f"{title}: {len(tables[title])} rows instead of {len(rows)}")
        for shown, right in zip(tables[title], rows, strict=False):
            given = (
                set()
                if title != LINES
                else {"Revenue date", "Commission month", "Sales", "Revenue in the file"}
            )
            assert shown.keys() == right.keys() | given
            faults += [
                f"{title}, {next(iter(right.values()))}: {name} is {shown[name]!r}, right is {right[name]!r}"
                for name in right
                if shown[name] != right[name]
            ]
    return faults + list(strange_numbers(example, tables))


def strange_numbers(example: str, tables: Mapping[str, Iterable[Row]]) -> Iterator[str]:
    """The amounts in sentences that no table holds, but for the half cents that they explain."""
    known = {cell for rows in tables.values() for row in rows for cell in row.values()}
    known |= {cell.removeprefix("-") for cell in known} | {"2.52"}
    for line in example.splitlines():
        if not line.startswith("|"):
            yield from (
                f"{number} in: {line}" for number in WITH_ALL_DIGITS.findall(line) if number not in known
            )


def bumped(number: str) -> str:
    """The number with another last digit."""
    return number[:-1] + str((int(number[-1]) + 1) % 10)


def test_every_number_of_the_example_follows_from_the_rules() -> None:
    assert faults_of(example_of(PAGE.read_text(encoding="utf-8"))) == []


def test_the_example_holds_what_is_worth_explaining() -> None:
    tables = tables_of(example_of(PAGE.read_text(encoding="utf-8")))
    results = compute(raw_lines(tables[LINES]), reference_of(tables[GIVEN]))
    of_year = [row for row in results.payouts if row.commission_month.year == 2025]
    crossing = next(row for row in of_year if row.commission_month == row.tier_2_month)
    after = [row for row in of_year if row.commission_month > crossing.commission_month]
    ties = [line for line in results.lines if line.rev_actual * 25 % 1]

    assert crossing.cumulative_sales == crossing.threshold
    assert crossing.released == sum(row.deferred for row in of_year) > 0
    assert any(row.tier == 2 and row.cumulative_sales < (row.threshold or 0) for row in after)
    assert any(row.deferred for row in results.payouts if row.commission_month.year == 2026)
    assert {line.commission_tier_1 for line in ties} >= {Decimal("2.53"), Decimal("-2.53")}
    (rounded,) = [line for line in results.lines if line.rev_before_rounding]
    assert rounded.commission_tier_1 != cents(rounded.rev_before_rounding * Decimal("0.25"))


def test_a_wrong_digit_anywhere_is_found() -> None:
    example = example_of(PAGE.read_text(encoding="utf-8"))
    places = list(NUMBER.finditer(example)) + list(re.finditer(r"(?<=\| )\d+(?= % \|)", example))
    assert len(places) > 150
    for place in places:
        if place.group() == "2.52":
            continue
        wrong = example[: place.start()] + bumped(place.group()) + example[place.end() :]

        assert faults_of(wrong), place.group()


@pytest.mark.parametrize("row", ["| 1006 |", "| 2025-10 | -6,000.00 | 44,000.00", "| 2025-02 | 0.00"])
def test_a_row_that_is_missing_is_found(row: str) -> None:
    lines = example_of(PAGE.read_text(encoding="utf-8")).splitlines()
    left = [line for line in lines if not line.startswith(row)]
    assert len(left) == len(lines) - 1

    assert faults_of("\n".join(left))
