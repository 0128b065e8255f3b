"""The reference workbooks of the made-up company."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal

from shs_pipeline.base.months import month_after, months_between
from shs_pipeline.samples.workbook import Bold, Cell, Percent, write_workbook
from shs_pipeline.samples.world import (
    ADMINS,
    PRODUCT_LINES,
    REP_IN_FILE,
    SELLERS,
    SERVICE_TO_PRODUCT,
    SOURCES,
    TYPICAL_SALE,
    WITHOUT_RATE,
    customers_of,
    territories,
)

_MONTHS = [date(2000, month, 1).strftime("%B") for month in range(1, 13)]
_START = date(2020, 1, 1)


def reference_workbooks(first: date, until: date, lines: int) -> dict[str, bytes]:
    """Make all reference workbooks.

    Args:
        first: first commission month of the samples.
        until: last one.
        lines: sale lines per file, by which thresholds and objectives are measured.

    Returns:
        content by place in the landing zone.
    """
    # Lines of the first months are dated in the months before.
    years = range(first.year - 1, until.year + 1)
    tables: dict[str, tuple[Sequence[str], Iterator[list[Cell]]]] = {
        "sales_reps": (("Sales Rep Name", "Rep Category", "Email", "Permission", "Active"), _sales_reps()),
        "commission_tiers": (
            (
                "Sales Rep Name",
                "Product Line",
                "Valid from",
                "Valid until",
                "Commission tier 1 rate",
                "Commission tier 2 rate",
            ),
            _commission_tiers(until),
        ),
        "tier_thresholds": (
            ("Sales Rep Name", "Product Line", "Year", "Commission tier threshold"),
            _tier_thresholds(years, lines),
        ),
        "business_objectives": (
            ("Sales Rep Name", "Product Line", "Year", *_MONTHS),
            _business_objectives(years, lines),
        ),
        "territories": (
            ("Source", "Customer field", "Data field value", "Sales Rep Name", "Valid from", "Valid until"),
            _territories(until),
        ),
        "service_to_product": (("Service Lines", "Product Lines"), _service_to_product()),
        "aliases": (("Kind", "Source", "Name in File", "Means"), _aliases()),
        "pay_periods": (
            ("Commission Month", "State", "Approved By", "Pay Date", "Note"),
            _pay_periods(first, until),
        ),
        "opening_balances": (_OPENING_HEADER, _opening_balances(first)),
    }
    return {
        f"reference/{name}.xlsx": write_workbook({name: [[Bold(title) for title in header], *rows]})
        for name, (header, rows) in tables.items()
    }


def _sales_reps() -> Iterator[list[Cell]]:
    for rep in (*ADMINS, *SELLERS):
        yield [rep.name, rep.category, rep.email, rep.permission, rep.active]


def _commission_tiers(until: date) -> Iterator[list[Cell]]:
    """General rates, some for one product line, a change in the middle of the last year."""
    change = date(until.year, 7, 1)
    for place, rep in enumerate(SELLERS):
        if rep.name == WITHOUT_RATE:
            continue
        tier_1, tier_2 = Decimal(30 + place) / 100, Decimal(40 + place) / 100
        if place == 1:
            yield [rep.name, None, _START, change, Percent(tier_1), Percent(tier_2)]
            yield [rep.name, None, change, None, Percent(tier_1 + Decimal("0.025")), Percent(tier_2)]
        elif place == 2:
            yield [rep.name, None, _START, None, Percent(tier_1), None]
        elif place % 3 == 0:
            yield [rep.name, None, _START, None, f"{30 + place}%", f"{40 + place},0%"]
        else:
            yield [rep.name, None, _START, None, tier_1, tier_2]
        if place % 4 == 0:
            yield [rep.name, "Cygnus", _START, None, Percent(Decimal("0.25")), Percent(Decimal("0.35"))]
            yield [rep.name, "Capital Equipment", _START, None, 20, 22.5]


def annual_sales(lines: int) -> dict[tuple[str, str], Decimal]:
    """Dollars that a (rep, product line) may be expected to sell in a year, were there no luck.

    Args:
        lines: sale lines per file.
    """
    sales: dict[tuple[str, str], Decimal] = {}
    names = [rep.name for rep in SELLERS]
    for source in SOURCES:
        of_source = lines * 12 * TYPICAL_SALE[source]
        if source in REP_IN_FILE:
            products = (
                list(SERVICE_TO_PRODUCT.values()) if source == "quickbooks" else [PRODUCT_LINES[source]]
            )
            shares = [(name, product, len(names) * len(products)) for name in names for product in products]
        else:
            count = len(customers_of(source))
            owners = [row.rep for row in territories(_START) if row.source == source]
            shares = [(name, PRODUCT_LINES[source], count) for name in owners]
        for name, product, divisor in shares:
            sales[name, product] = sales.get((name, product), Decimal(0)) + of_source / divisor
    return sales


def _by_rep_and_product(lines: int) -> Iterator[tuple[int, str, str, Decimal]]:
    """A number that runs through both reps and product lines, rep, product line, dollars a year."""
    sales = annual_sales(lines)
    products = sorted({product for _, product in sales})
    names = [rep.name for rep in SELLERS]
    for name, product in sorted(sales):
        yield names.index(name) + products.index(product), name, product, sales[name, product]


def _rounded(amount: Decimal) -> Decimal:
    return round(amount, -2)


def _tier_thresholds(years: range, lines: int) -> Iterator[list[Cell]]:
    """Of six: one at once (0), one never set, one out of reach, the others about the middle of the year."""
    for year in years:
        for place, name, product, sales in _by_rep_and_product(lines):
            share = (Decimal(0), None, Decimal(3), Decimal("0.35"), Decimal("0.45"), Decimal("0.6"))[
                place % 6
            ]
            if share is not None:
                yield [name, product, year, _rounded(sales * share)]


def _business_objectives(years: range, lines: int) -> Iterator[list[Cell]]:
    """The typical month, more in spring and less in summer; every ninth has none."""
    for year in years:
        for place, name, product, sales in _by_rep_and_product(lines):
            if place % 9 == 8:
                continue
            ambition = Decimal(95 + place % 4 * 5) / 100
            months = [
                _rounded(sales / 12 * ambition * (100 + 8 * (month % 4 - 1)) / 100) for month in range(12)
            ]
            yield [name, product, year, *months]


def _territories(until: date) -> Iterator[list[Cell]]:
    aliases = {"sunoptic": "Sunoptics", "novo": "NOVO DIRECT"}
    for place, row in enumerate(territories(until)):
        source = aliases[row.source] if row.source in aliases and place % 2 else row.source
        # Some zips are numbers, as Excel has them; a rep is now and then written carelessly.
        value: Cell = int(row.value) if row.field == "ZIP Code" and place % 2 else row.value
        name = row.rep.replace(" ", "  ").lower() if place % 11 == 0 else row.rep
        yield [source, row.field, value, name, row.valid_from, row.valid_until]


def _service_to_product() -> Iterator[list[Cell]]:
    for service, product in SERVICE_TO_PRODUCT.items():
        yield [service, product]


def _aliases() -> Iterator[list[Cell]]:
    """Names as older files may have them; nobody's lines move by them."""
    for rep in SELLERS[:6]:
        first, last = rep.name.split(" ", 1)
        yield ["rep", "QuickBooks", f"{first[0]}. {last}", rep.name]


def _pay_periods(first: date, until: date) -> Iterator[list[Cell]]:
    """Every month of the samples, none of them closed yet."""
    for month in months_between(first, until):
        yield [month, "open", None, None, None]


_OPENING_HEADER = ("Sales Rep Name", "Product Line", "Commission Month", "Paid")


def _opening_balances(first: date) -> Iterator[list[Cell]]:
    """What was paid for the month before the first file."""
    for place, rep in enumerate(SELLERS[:6]):
        yield [rep.name, "Cygnus", month_after(first, -1), Decimal(1000 + 250 * place)]
