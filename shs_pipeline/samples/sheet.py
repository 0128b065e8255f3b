"""Renders sale lines the way suppliers' workbooks look: dirty, and with the truth kept beside it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from enum import Enum

from shs_pipeline.samples.plan import Plan, SampleFile
from shs_pipeline.samples.workbook import NBSP, Bold, Cell, Percent, write_workbook

_SHEET = "Report"
REMARK = "remark or footer"
_REMARKS = ("Page 2 of 3", "(continued)", "* as adjusted", "--- more ---", "Confidential", "Page 4")
_FOOTERS = (
    "Accrual Basis  Friday, March 14, 2025 10:12 AM GMT-05:00",
    "Printed on 03/14/2025",
    "End of report",
    "Note: amounts in US dollars",
)
_DIRT = 0.08  # share of the cells that are not in their plain form


class Kind(Enum):
    """What a column holds, and so in which forms its cells may come."""

    TEXT = "as typed"
    NAME = "name"
    IDENTIFIER = "identifier"
    ZIP = "zip"
    MONEY = "money"
    NUMBER = "number"
    RATE = "rate"
    DATE = "date"


def name_cell(name: str, rng: random.Random) -> str:
    """A name with a double or a non-breaking space, or blanks around it."""
    forms = [name.replace(" ", "  ", 1), name.replace(" ", NBSP, 1), f" {name}", f"{name}{NBSP} "]
    return rng.choice(forms)


def money_cell(amount: Decimal, rng: random.Random) -> str:
    """An amount as text: `$1,234.50`, `1,234.50`; below zero `(123.45)`, `-123.45`, `($123.45)`."""
    digits = f"{abs(amount):,.2f}" if amount == round(amount, 2) else f"{abs(amount):,.4f}"
    if amount < 0:
        return rng.choice((f"({digits})", f"-{digits}", f"(${digits})", f"-${digits}"))
    return rng.choice((f"${digits}", digits, f" ${digits} "))


def rate_cell(rate: Decimal, rng: random.Random) -> Cell:
    """A rate in another form than the factor: `7%`, `7.0%`, `7,0%`, 7."""
    percent = (rate * 100).normalize()
    text = f"{percent:f}"
    comma = f"{percent:.1f}".replace(".", ",") if percent == round(percent, 1) else text.replace(".", ",")
    forms: tuple[Cell, ...] = (f"{text}%", f"{comma}%", f"{text} %", float(percent))
    return rng.choice(forms)


def marked_money_cell(amount: Decimal, looks: random.Random) -> str:
    """An amount as text with other marks: `USD 5.00`, `+5.00`, `5.00 $`; below zero `5.00 CR`, a dash."""
    digits = f"{abs(amount):,.2f}" if amount == round(amount, 2) else f"{abs(amount):,.4f}"
    if amount < 0:
        forms = (f"{digits} CR", f"\u2013{digits}", f"\u2212${digits}", f"({digits}) USD", f"{digits}-")
    else:
        forms = (f"USD {digits}", f"{digits} USD", f"+{digits}", f"US${digits}", f"{digits} $")
    return looks.choice(forms)


def spelt_day(day: date, looks: random.Random) -> str:
    """A date as text in a spelling that leaves no doubt."""
    forms = (
        "%d-%b-%y",
        "%B %d, %Y",
        "%Y/%m/%d",
        "%Y%m%d",
        "%Y-%m-%dT00:00:00Z",
        "%a %d %b %Y",
        "%m/%d/%Y 00:00",
    )
    return day.strftime(looks.choice(forms))


class SheetWriter:
    """One sheet in the making: title lines, header, sale lines, totals, and the truth of the lines.

    Args:
        plan: which file.
        columns: kind by column name, in the documented order; an unnamed column is declared in
            `unnamed` by the name that the truth uses.
        header_row: 1-based row of the header.
        titles: lines above the header; blank rows fill up to the header.
        grouped: columns printed only where they or one before them change.
        printed_date: format of dates that are printed as text, and their share.
        first_column: 1-based column in which the table begins.
        unnamed: columns without a heading.
        remark_reason: for which reason remarks are left out.
    """

    def __init__(
        self,
        plan: Plan,
        columns: Mapping[str, Kind],
        *,
        header_row: int = 1,
        titles: Sequence[str] = (),
        grouped: Sequence[str] = (),
        printed_date: tuple[str, float] = ("%m/%d/%Y", _DIRT),
        first_column: int = 1,
        unnamed: Sequence[str] = (),
        remark_reason: str = REMARK,
    ) -> None:
        self.plan = plan
        self.lines: list[dict[str, object]] = []
        self._rng = plan.rng
        self._columns = dict(columns)
        self._grouped = grouped
        self._printed = printed_date
        self._above: list[object] = []
        self._remarks = 0
        self._remark_reason = remark_reason
        self._layout = self._lay_out(first_column, has_heading=not unnamed)
        self._has_filler = self._layout[-1] == ""
        titles = [*titles, *[""] * (header_row - 1 - len(titles))]
        self._rows: list[list[Cell]] = [
            [*[None] * (first_column - 1), Bold(title)] if title else [] for title in titles
        ]
        self._rows.append([None if name in unnamed else self._heading(name) for name in self._layout])

    def _lay_out(self, first_column: int, has_heading: bool) -> list[str]:
        """The columns from left to right; an empty name is a column that the contract does not know.

        The first column stays first: what identifies totals there is part of the format.
        """
        first, *names = self._columns
        if self.plan.has("other order", 5):
            names.append(names.pop(self._rng.randrange(len(names) - 1)))
        if self.plan.has("unnamed columns", 3):
            # Beside a first column that has no heading itself, another one would be taken for it.
            names.insert(self._rng.randrange(1, len(names)) if has_heading else len(names), "")
            names.append("")
        return [""] * (first_column - 1) + [first, *names]

    def _heading(self, name: str) -> Cell:
        if not name:
            return None
        if not self.plan.has("dirty header", 3):
            return Bold(name)
        # By turns, as a small table should show all forms too.
        forms = (f"{name} ", name.upper(), name, name.lower(), f" {name}{NBSP}", name)
        return Bold(forms[(self._layout.index(name) + self.plan.month.month) % len(forms)])

    def row(self, cells: Mapping[str, object]) -> int:
        """Add a row that is not (or not by itself) a sale line; returns its 1-based number."""
        self._rows.append([self._cell(name, cells.get(name)) for name in self._layout])
        return len(self._rows)

    def line(self, values: Mapping[str, object]) -> None:
        """Add a sale line: the row as printed, and the truth."""
        printed = dict(values)
        for name in self._repeated(values):
            printed[name] = None
        number = self.row(printed)
        self.keep({name: values.get(name) for name in self._columns}, number)
        if self._rng.random() < 0.02:
            self.blank()

    def keep(self, truth: Mapping[str, object], number: int) -> None:
        """Keep the truth of the line in this row."""
        self.lines.append({**truth, "source_sheet": _SHEET, "source_row": number})
        if self._has_filler and self._rng.random() < 0.3:
            self._rows[-1][-1] = self._rng.choice(("x", 0, "ok", 1.5))

        self._remark_now_and_then()

    def _remark_now_and_then(self) -> None:
        """In some months, add a row with a remark or a page number between the lines."""
        if len(self.lines) > 2 and self.plan.has("remarks", 3) and self.plan.looks.random() < 0.05:
            self._remark(self.plan.looks.choice(_REMARKS))

    def _remark(self, text: str) -> None:
        place = self._layout.index(next(name for name in self._layout if name))
        self._rows.append([*[None] * place, text])
        self._remarks += 1

    def heading(self, values: Mapping[str, object]) -> None:
        """Add a row that only feeds the columns that are printed once per group."""
        self._repeated(values)
        self.row(values)

    def _repeated(self, values: Mapping[str, object]) -> list[str]:
        """The grouped columns that this line leaves blank, as nothing up to them changed."""
        key = [values.get(name) for name in self._grouped]
        same = 0
        while same < len(self._above) and same < len(key) and key[same] == self._above[same]:
            same += 1
        self._above = key
        return list(self._grouped[:same])

    def blank(self) -> None:
        """Add a row without any cell."""
        self._rows.append([])

    def total(self, label_column: str, label: str, lines: Sequence[Mapping[str, object]], *sums: str) -> None:
        """Add a row with the sums of these lines."""
        totals = {name: sum((Decimal(str(line[name])) for line in lines), Decimal(0)) for name in sums}
        self._rows.append([self._cell(name, totals.get(name), is_total=True) for name in self._layout])
        self._rows[-1][self._layout.index(label_column)] = Bold(label)

    def _cell(self, name: str, value: object, *, is_total: bool = False) -> Cell:
        if value is None or not name:
            return None
        kind, rng = self._columns[name], self._rng
        # Grouped names are printed rarely, so more of them are dirty.
        dirty = rng.random() < (3 * _DIRT if name in self._grouped else _DIRT)
        if isinstance(value, Decimal):
            if kind is Kind.RATE:
                return rate_cell(value, rng) if rng.random() < 0.2 else Percent(value)
            # Credits are rare, and are where the forms differ most: half of them come as text.
            is_text = kind is Kind.MONEY and (dirty or (value < 0 and rng.random() < 0.5))
            return self._money_text(value, is_total=is_total) if is_text else value
        if isinstance(value, date):
            return self._day_text(value) if rng.random() < self._printed[1] else value
        text = str(value)
        if kind is Kind.IDENTIFIER or kind is Kind.ZIP:
            return self._identifier(kind, text)
        return name_cell(text, rng) if dirty and kind is Kind.NAME else text

    def _money_text(self, amount: Decimal, *, is_total: bool) -> str:
        plain = money_cell(amount, self._rng)
        has_marks = self.plan.has("other marks", 2) and self.plan.looks.random() < 0.3
        return marked_money_cell(amount, self.plan.looks) if has_marks and not is_total else plain

    def _day_text(self, day: date) -> str:
        has_spelling = self.plan.has("other dates", 2) and self.plan.looks.random() < 0.2
        return spelt_day(day, self.plan.looks) if has_spelling else day.strftime(self._printed[0])

    def _identifier(self, kind: Kind, text: str) -> Cell:
        """Excel turns identifiers into numbers, and zips lose the leading zero by it."""
        is_number = text.isdecimal() and (kind is Kind.ZIP or not text.startswith("0"))
        return float(text) if is_number and self._rng.random() < 0.4 else text

    def sample(
        self, name: str, *, revenue_month: date | None = None, left_out: Mapping[str, int] | None = None
    ) -> SampleFile:
        """The finished file; in some months a footer stands below the table."""
        if self.plan.has("footer", 4):
            self.blank()
            self._remark(self.plan.looks.choice(_FOOTERS))
        reasons = Counter(left_out or {})
        if self._remarks:
            reasons[self._remark_reason] += self._remarks
        sheets: dict[str, list[list[Cell]]] = {_SHEET: self._rows}
        if self.plan.has("extra sheet", 5):
            sheets["Notes"] = [["Prepared by finance"], [], ["Questions", "see the cover letter"], [1, 2.5]]
        path = self.plan.path(name, revenue_month)
        return SampleFile(path, write_workbook(sheets), self.lines, dict(reasons))
