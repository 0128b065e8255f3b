"""A supplier's workbook of random shape, written with openpyxl and by none of the product's own writers."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import openpyxl

NAMES = (
    "Alder Valley Surgical",
    "St. Brannoc Hospital",
    "Quillfeather Clinic",
    "Ostrava Health",
    "Total Spine LLC",
)
_HEADINGS = {
    "number": ("Acct #", "Customer ID", "Account Number", "Cust. No."),
    "customer": ("Facility", "Customer Name", "Account Name", "Client"),
    "invoice": ("Invoice", "Inv #", "Document Number", "Invoice No."),
    "date": ("Invoice Date", "Inv. Date", "Date", "Posting Date"),
    "item": ("Cat. No.", "SKU", "Part #", "Item Code"),
    "sales": ("Net Sales", "Sales Amount", "Extended Amount", "Invoice Total", "Revenue"),
    "earned": ("Commission", "Comm $", "Commission Amount", "Comm Due"),
    "rate": ("Comm %", "Commission Rate", "Rate"),
    "quantity": ("Qty", "Quantity Shipped", "Units"),
    "zip": ("Zip", "ZIP Code", "Ship To Zip"),
    "city": ("City", "Ship To City"),
    "words": ("Description", "Product Description"),
    "price": ("Unit Price", "Price Each"),
}
_ALWAYS = ("customer", "invoice", "date", "sales", "earned")
_OPTIONAL = ("number", "item", "rate", "quantity", "zip", "city", "words", "price")
_RATES = (Decimal("0.05"), Decimal("0.07"), Decimal("0.125"))
_CENT = Decimal("0.01")
_TOTALS = ("Grand Total", "Grand Total", "Gesamtsumme", "Overall", "Sum")
_SUBTOTALS = ("{} Total", "{} Total", "Summe {}", "{}")


@dataclass
class SupplierFile:
    """A file and what a person reads in it.

    Attributes:
        headings: of each column that is there, by what it holds.
        lines: by what they hold: amounts as Decimal, dates as date, everything else as text.
    """

    content: bytes = b""
    headings: dict[str, str] = field(default_factory=dict)
    header_row: int = 1
    is_grouped: bool = False
    lines: list[dict[str, Any]] = field(default_factory=list)


def supplier_file(seed: int, month: date = date(2025, 3, 1)) -> SupplierFile:
    """Make a file of a month: the same seed gives the same file."""
    rng = random.Random(seed)
    made = SupplierFile()
    kept = {*_ALWAYS, *(name for name in _OPTIONAL if rng.random() < 0.7)}
    columns = [name for name in _HEADINGS if name in kept]
    made.is_grouped = rng.random() < 0.4
    if not made.is_grouped:
        rng.shuffle(columns)
    elif "number" in columns:
        columns.remove("number")
        columns.insert(0, "number")
    made.headings = {name: rng.choice(_HEADINGS[name]) for name in columns}
    made.header_row = rng.choice((1, 1, 2, 4, 7, 15))
    sheet = openpyxl.Workbook().active
    assert sheet is not None
    shift = rng.choice((0, 0, 1))
    for number in range(1, made.header_row):
        if rng.random() < 0.7:
            sheet.cell(number, 1 + shift, rng.choice(("Commission Statement", "Brightwater Inc.", "Page 1")))
    Writer(made, rng, sheet, columns, shift).write(month)
    stream = io.BytesIO()
    sheet.parent.save(stream)
    made.content = stream.getvalue()
    return made


class Writer:
    """Writes header, lines, totals and remarks below each other."""

    def __init__(
        self, made: SupplierFile, rng: random.Random, sheet: Any, columns: list[str], shift: int
    ) -> None:
        self.made, self.rng, self.sheet, self.columns, self.shift = made, rng, sheet, columns, shift
        self.row = made.header_row
        self.has_totals, self.has_subtotals = rng.random() < 0.7, rng.random() < 0.5
        self.has_remarks = rng.random() < 0.5
        self.grand_total, self.subtotal = rng.choice(_TOTALS), rng.choice(_SUBTOTALS)

    def put(self, cells: dict[str, Any]) -> None:
        for place, name in enumerate(self.columns, start=1 + self.shift):
            if cells.get(name) is not None:
                self.sheet.cell(self.row, place, cells[name])
        self.row += 1

    def write(self, month: date) -> None:
        self.put(self.made.headings)
        number = 40000 + self.rng.randint(0, 999)
        for place, customer in enumerate(NAMES):
            first = len(self.made.lines)
            of_customer = {"number": f"{10045 + place * 317}", "customer": customer,
                           "zip": f"0{2114 + place}", "city": "Tulsa"}  # fmt: skip
            for _ in range(self.rng.randint(2, 4)):
                number += self.rng.randint(1, 5)
                self.invoice(of_customer, str(number), month)
            self.remark(place == 2)
            if self.has_subtotals:
                self.total(self.subtotal.format(customer), self.made.lines[first:])
        if self.has_totals:
            self.total(self.grand_total, self.made.lines)
        self.row += 1
        self.remark(self.has_remarks)

    def invoice(self, of_customer: dict[str, str], number: str, month: date) -> None:
        day = month - timedelta(days=self.rng.randint(1, 28))
        for item in range(self.rng.choice((1, 1, 2, 3))):
            line = {**of_customer, "invoice": number, "date": day, **self.amounts()}
            line |= {"item": f"BW-{self.rng.randint(100, 999)}", "words": "Plate, 6 hole"}
            is_repeated = self.made.is_grouped and item > 0
            is_same = self.made.is_grouped and self.made.lines and (
                self.made.lines[-1]["customer"] == of_customer["customer"] and not self.has_subtotals
            )  # fmt: skip
            once = ("number", "customer", "zip", "city") if is_repeated or is_same else ()
            hidden = (*once, *(("invoice", "date") if is_repeated else ()))
            self.put({name: self.cell(name, line[name]) for name in self.columns if name not in hidden})
            self.made.lines.append(line)

    def amounts(self) -> dict[str, Decimal]:
        price, rate = Decimal(self.rng.randint(2000, 90000)) / 100, self.rng.choice(_RATES)
        quantity = Decimal(self.rng.choice((1, 2, 3, -1)))
        sales = price * quantity
        earned = (sales * rate).quantize(_CENT, ROUND_HALF_UP)
        return {"price": price, "rate": rate, "quantity": quantity, "sales": sales, "earned": earned}

    def cell(self, name: str, value: Any) -> Any:
        """A value in one of the forms in which people type it."""
        if isinstance(value, date):
            forms = [value, value, value.strftime("%m/%d/%Y"), value.strftime("%d-%b-%Y")]
            return self.rng.choice(forms)
        if name == "rate":
            return self.rng.choice((float(value), f"{value * 100:f}%"))
        if isinstance(value, Decimal):
            money = f"({-value:,.2f})" if value < 0 else f"${value:,.2f}"
            is_text = name in ("sales", "earned") and self.rng.random() < 0.2
            return money if is_text else float(value)
        if name in ("number", "invoice") and self.rng.random() < 0.5:
            return int(value)
        return f"{value}  " if name == "customer" and self.rng.random() < 0.2 else value

    def total(self, label: str, lines: list[dict[str, Any]]) -> None:
        sums = {name: float(sum(line[name] for line in lines)) for name in ("sales", "earned")}
        where = next(name for name in self.columns if name in ("number", "customer"))
        self.put({**sums, where: label})

    def remark(self, is_wanted: bool) -> None:
        if is_wanted and self.has_remarks:
            self.sheet.cell(
                self.row, 1 + self.shift, self.rng.choice(("Page 1 of 2", "* paid on collection"))
            )
            self.row += 1
