"""Summit Medical: a paginated statement (PDF), and in some months a pivot export (xlsx)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING

from shs_pipeline.samples.plan import Plan, SampleFile, cents, month_after
from shs_pipeline.samples.sheet import Kind, SheetWriter
from shs_pipeline.samples.world import customers_of, spelt

if TYPE_CHECKING:
    from shs_pipeline.samples.statement_pdf import StatementLine

COLUMNS = {
    "Row Labels": Kind.NAME,
    "St": Kind.TEXT,
    "ZIP Code": Kind.ZIP,
    "Invoice #": Kind.IDENTIFIER,
    "Item": Kind.IDENTIFIER,
    "CommRate": Kind.RATE,
    "Sum of Net Sales Amount": Kind.MONEY,
    "Sum of Comm $": Kind.MONEY,
}
SUMS = ("Sum of Net Sales Amount", "Sum of Comm $")
_RATES = (Decimal("0.06"), Decimal("0.1"), Decimal("0.15"))


def summit_medical(plan: Plan) -> SampleFile:
    """Make one file: a statement, and every fourth month the pivot export."""
    return summit_xlsx(plan) if plan.has("pivot", 4) else summit_pdf(plan)


def summit_pdf(plan: Plan) -> SampleFile:
    """Make one statement, dated on the last day of the month before."""
    from shs_pipeline.samples.statement_pdf import left_out_of, paginate, write_statement
    from shs_pipeline.samples.statement_style import random_style

    lines = list(_lines(plan))
    codes = ("SHS100", "SHS200") if plan.has("two rep codes", 6) else ("SHS100", "SHS100")
    middle = lines[len(lines) // 2]["Row Labels"]
    first = next(place for place, line in enumerate(lines) if line["Row Labels"] == middle)
    printed = [_printed(plan, line, codes[place >= first]) for place, line in enumerate(lines)]
    style = random_style(plan.rng, has_places=True)
    if codes[0] != codes[1]:
        style = replace(style, rep_code_on="each", has_rep_totals=True, total_label="Grand Total")
    day = month_after(plan.month, 0) - timedelta(days=1)
    pages = paginate(printed, statement_date=day, rep_code=codes[0], style=style)
    places = (
        {"source_sheet": f"page {number}", "source_row": row}
        for number, page in enumerate(pages, start=1)
        for row, printed_row in enumerate(page.rows, start=page.first_row(style))
        if printed_row.cells[1]
    )
    month = {"Statement Date": day.replace(day=1)}
    truth = [{**line, **month, **place} for line, place in zip(lines, places, strict=True)]
    content = write_statement(pages, statement_date=day, rep_code=codes[0], style=style)
    name = f"Summit statement {day:%Y-%m-%d}.pdf"
    return SampleFile(plan.path(name), content, truth, left_out_of(pages, style))


def _printed(plan: Plan, line: dict[str, object], rep_code: str) -> StatementLine:
    """A line as the statement prints it; a rate may be missing there, a zip may lack its leading zero."""
    from shs_pipeline.samples.statement_pdf import StatementLine

    if plan.chance(0.02):
        line["CommRate"] = None
    rate, zip_code = line["CommRate"], str(line["ZIP Code"])
    percent = f"{Decimal(str(rate)) * 100:.1f}" if rate is not None else ""
    forms = [
        f"{percent}%",
        f"{percent}%",
        f"{percent.removesuffix('.0')}%",
        f"{percent.replace('.', ',')}%",
        str(rate),
    ]
    return StatementLine(
        client=str(line["Row Labels"]),
        state=str(line["St"]),
        zip_code=zip_code.lstrip("0") if plan.chance(0.3) else zip_code,
        invoice=str(line["Invoice #"]),
        item=str(line["Item"]),
        net_sales=Decimal(str(line[SUMS[0]])),
        comm_rate=plan.rng.choice(forms) if percent else "",
        commission=Decimal(str(line[SUMS[1]])),
        rep_code=rep_code,
    )


def summit_xlsx(plan: Plan) -> SampleFile:
    """Make one pivot export: header in row 1, no date in it, so its folder names the revenue month."""
    sheet = SheetWriter(plan, COLUMNS, grouped=["Row Labels"])
    lines = list(_lines(plan))
    for client, of_client in groupby(lines, key=lambda line: line["Row Labels"]):
        lines_of_client = list(of_client)
        for line in lines_of_client:
            sheet.line(line)
        if plan.has_total():
            sheet.total("Row Labels", f"{client} Total", lines_of_client, *SUMS)
    sheet.total("Row Labels", "Grand Total", lines, *SUMS)
    return sheet.sample(
        f"Summit Medical pivot {plan.month:%Y-%m}.xlsx", revenue_month=month_after(plan.month, -1)
    )


def _lines(plan: Plan) -> Iterator[dict[str, object]]:
    """The lines of a month, by client, several of them on one invoice."""
    customers = sorted(
        (plan.rng.choice(customers_of(plan.source)) for _ in range(plan.lines)),
        key=lambda customer: customer.name,
    )
    for customer, of_customer in groupby(customers):
        name, invoice = spelt(customer.name, plan.rng), str(plan.number())
        for _ in of_customer:
            invoice = invoice if plan.chance(0.3) else str(plan.number())
            net_sales, rate = plan.sale(50, 2800), plan.rng.choice(_RATES)
            yield {
                "Row Labels": name,
                "St": customer.state,
                "ZIP Code": customer.zip,
                "Invoice #": invoice,
                "Item": f"SM{plan.rng.randint(100, 999)}"
                if plan.chance(0.6)
                else str(plan.rng.randint(1000, 9999)),
                "CommRate": rate,
                "Sum of Net Sales Amount": net_sales,
                "Sum of Comm $": cents(net_sales * rate),
            }
