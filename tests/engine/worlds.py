"""Made-up histories: what an admin drops, corrects, withdraws and changes, and the state that it leads to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from hypothesis import strategies as st

from tests.engine.crediting import PRODUCT_LINE_OF
from tests.engine.model import (
    BusinessObjective,
    CommissionTier,
    RawLine,
    Reference,
    SalesRep,
    ServiceToProduct,
    Territory,
    TierThreshold,
)

Rows = tuple[Any, ...]
Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass(frozen=True)
class Draft:
    """A line of a file that is yet to be dropped."""

    revenue_date: date
    cells: Mapping[str, Any]


@dataclass(frozen=True)
class Drop:
    """A file comes, or takes the place of the one at its path."""

    source: str
    month: date
    name: str
    drafts: tuple[Draft, ...]

    @property
    def path(self) -> str:
        """Where it lies in the landing zone."""
        return f"incoming/{self.source}/{self.month:%Y-%m}/{self.name}"


@dataclass(frozen=True)
class Refuse:
    """A file with errors is put over a good one: it is rejected, and the good one stays in force."""

    path: str


@dataclass(frozen=True)
class Reread:
    """A file is ingested again though nothing of it changed."""

    path: str


@dataclass(frozen=True)
class Withdraw:
    """A file is deleted from the landing zone."""

    path: str


@dataclass(frozen=True)
class Change:
    """A reference workbook comes, or takes the place of its last version."""

    table: str
    rows: Rows


Action = Drop | Refuse | Reread | Withdraw | Change
Batch = tuple[Action, ...]
History = tuple[Batch, ...]
"""Batches of actions; the warehouse is built after each batch."""


@dataclass(frozen=True)
class Loaded:
    """A file in force."""

    file_id: int
    drop: Drop

    def lines(self) -> Iterator[RawLine]:
        """Give its lines; the first one stands in row 5 of the only sheet."""
        for row, draft in enumerate(self.drop.drafts, start=5):
            yield RawLine(
                source=self.drop.source,
                file_id=self.file_id,
                source_file=self.drop.path,
                source_sheet="Sheet1",
                source_row=row,
                commission_month=self.drop.month,
                revenue_date=draft.revenue_date,
                cells=draft.cells,
            )


@dataclass
class State:
    """What is in force after some actions."""

    files: dict[str, Loaded] = field(default_factory=dict)
    reference: Reference = field(default_factory=Reference)
    last_id: int = 0

    def new_id(self) -> int:
        """Return an id that no file has had."""
        self.last_id += 1
        return self.last_id

    def apply(self, action: Action) -> None:
        """Bring the state up to date."""
        match action:
            case Drop():
                self.files[action.path] = Loaded(self.new_id(), action)
            case Withdraw():
                del self.files[action.path]
            case Change():
                self.reference = replace(self.reference, **{action.table: action.rows})
            case Refuse() | Reread():
                pass

    def raw_lines(self) -> list[RawLine]:
        """Return every line in force."""
        return [line for loaded in self.files.values() for line in loaded.lines()]


def state_after(history: History) -> State:
    """Return the state that a whole history leads to."""
    state = State()
    for batch in history:
        for action in batch:
            state.apply(action)
    return state


# --- One line of each source ------------------------------------------------------------------------------

NUMBER_OF = {"North Clinic": "10482", "Elm Hospital": "20917", "Lost Clinic": "30001"}
ZIP_OF = {"North Clinic": "75201", "Elm Hospital": "02114", "Lost Clinic": "80302"}


def sale(
    source: str,
    sales: Decimal | str,
    rev: Decimal | str | None = None,
    *,
    on: date,
    customer: str = "North Clinic",
    rep: str | None = "Ann Gray",
    number: int = 1,
    **more: Any,
) -> Draft:
    """Make a line with the columns that its source requires and those that the rules read.

    Args:
        sales: dollars sold.
        rev: dollars that the company earns; by default, and for ternio always, what the source makes of
            `sales`. For quickbooks the rest of `sales` is the purchase price.
        on: revenue date.
        customer: one of `NUMBER_OF`; whoever owns it is credited, unless the file names the rep.
        rep: in the file, for quickbooks and inspektor.
        number: of the invoice.
        more: further columns, and those that are to be something else.
    """
    sales = Decimal(sales)
    rev = sales / 10 if rev is None else Decimal(rev)
    make: dict[str, Callable[[], dict[str, Any]]] = {
        "cygnus": lambda: {
            "name": customer,
            "invoice": str(number),
            "sku": f"A{number}",
            "closed_date": on,
            "invoice_total": sales,
            "total_rep_due": rev,
        },
        "logiquip": lambda: {
            "customer": customer,
            "ship_to_zip": ZIP_OF[_known(customer)],
            "doc_num": str(number),
            "item_class": "Kit",
            "date_paid": on,
            "comm_rate": Decimal("0.1"),
            "doc_amt": sales,
            "comm_amt": rev,
        },
        "summit_medical": lambda: {
            "client_name": customer,
            "zip_code": None,
            "state": None,
            "invoice_number": str(number),
            "item_id": f"S{number}",
            "statement_month": on,
            "net_sales_amount": sales,
            "comm_amount": rev,
        },
        "quickbooks": lambda: {
            "date": on,
            "service_lines": "Consulting",
            "customer": customer,
            "amount_line": sales,
            "purchase_price": sales - rev,
            "quantity": Decimal(1),
            "num": str(number),
            "product_service": f"Q{number}",
            "sales_rep_name": rep,
        },
        "inspektor": lambda: {
            "date": on,
            "document_number": str(number),
            "customer_project": customer,
            "item_name": f"I{number}",
            "quantity": Decimal(2),
            "total": sales,
            "formula": rev,
            "name": rep,
        },
        "sunoptic": lambda: {
            "invoice_id": str(number),
            "invoice_date": on,
            "customer_id": NUMBER_OF[_known(customer)],
            "bill_name": customer,
            "item_id": f"L{number}",
            "ship_qty": Decimal("0.5"),
            "line_amount": sales,
            "commission_amount": rev,
        },
        "ternio": lambda: {
            "client_name": customer,
            "date": on,
            "invoice_date": on - timedelta(days=40),
            "memo_description": None,
            "num": str(number),
            "invoiced": sales,
            "paid": sales,
        },
        "novo": lambda: {
            "customer_number": NUMBER_OF[_known(customer)],
            "bill_to_name": customer,
            "invoice_number": str(number),
            "invoice_date": on,
            "item_code": f"N{number}",
            "qty_shipped": Decimal(3),
            "extension": sales,
            "commission_amount": rev,
        },
        "chemence": lambda: {
            "account_number": NUMBER_OF[_known(customer)],
            "account_name": customer,
            "invoice_date": on,
            "part_number": f"C{number}",
            "qty_shipped": Decimal(4),
            "sales_total": sales,
            "commission": rev,
        },
    }
    return Draft(on, {**make[source](), **more})


def _known(customer: str) -> str:
    return next(name for name in NUMBER_OF if name.casefold() == customer.casefold())


# --- Strategies -------------------------------------------------------------------------------------------

KNOWN_REPS = ("Ann Gray", "Bo Lindström-Groß", "Cy Marsh")
UNKNOWN_REP = "Dee Stranger"
ALL_NAMES = (*KNOWN_REPS, UNKNOWN_REP)
SOURCES = (
    "cygnus", "quickbooks", "logiquip", "ternio", "inspektor", "summit_medical",
    "sunoptic", "novo", "chemence",
)  # fmt: skip
CUSTOMERS = tuple(NUMBER_OF)
SERVICES = ("Consulting", "Imaging")
PRODUCT_LINES = (*PRODUCT_LINE_OF.values(), "Capital Equipment")
YEARS = (2024, 2025)
COMMISSION_MONTHS = [
    date(2024, 11, 1),
    date(2024, 12, 1),
    date(2025, 1, 1),
    date(2025, 2, 1),
    date(2025, 4, 1),
    date(2025, 12, 1),
]
LONG_AGO = date(2020, 1, 1)
TERRITORY_DAYS = [date(2024, 11, 10), date(2024, 12, 1), date(2025, 1, 10), date(2025, 2, 1)]
RATE_DAYS = [date(2024, 12, 1), date(2025, 1, 1), date(2025, 1, 15), date(2025, 2, 1)]

_SALES = [Decimal(text) for text in (
    "100", "250", "100", "500", "0.01", "250", "-100", "999.99", "-250", "-999.99", "33.335", "0", "-0.01",
)]  # fmt: skip
_REVS = [Decimal(text) for text in (
    "70", "0.10", "0.30", "0.50", "-0.10", "-0.50", "10.005", "33.33", "-70", "0", "1.2345", "-0.30",
)]  # fmt: skip
# What cells hold below the cent: ties, and what lies just beside them. Most hold nothing.
_FRACTIONS = [Decimal(text) for text in (
    "0", "0", "0", "0", "0", "0", "0.005", "-0.005", "0.0049999", "-0.0050001", "0.0033", "-0.00000001",
)]  # fmt: skip
_RATES = [Decimal(text) for text in ("0.25", "0.4", "0.35", "0.05", "0.15", "0.5", "0.325", "1", "0")]
_THRESHOLDS = [Decimal(text) for text in ("500", "250", "999.99", "1000", "750", "0", "1000.01")]
_OBJECTIVES = [Decimal(1000), None, Decimal(250), Decimal(0), Decimal("33.33")]


@lru_cache(maxsize=None, typed=True)
def _of_these(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


def _any_of(values: Sequence[Any]) -> st.SearchStrategy[Any]:
    """One of the values. Making a strategy takes longer than drawing from it, so each is made once."""
    return _of_these(*values)


def spelled(name: str) -> st.SearchStrategy[str]:
    """A name as people type it: with any case. Surplus spaces are gone before a line is loaded."""
    return _any_of([name, name, name.upper(), name.lower()])


def _mostly() -> st.SearchStrategy[bool]:
    return _any_of([True] * 5 + [False])


def _periods(draw: Draw, days: Sequence[date]) -> list[tuple[date, date | None]]:
    """Periods that do not overlap, with gaps now and then, the last one mostly without an end."""
    cuts = sorted(draw(st.sets(_any_of(days), max_size=2)))
    if draw(_mostly()) or not cuts:
        cuts = [LONG_AGO, *cuts]
    if not draw(_mostly()):
        return list(zip(cuts, [*cuts[1:], cuts[-1] + timedelta(days=75)], strict=True))
    return [
        period for period in zip(cuts, [*cuts[1:], None], strict=True) if period[1] is None or draw(_mostly())
    ]


_TERRITORY_KEYS: dict[str, dict[str, Sequence[str]]] = {
    "cygnus": {"Name": CUSTOMERS},
    "ternio": {"Client Name": CUSTOMERS},
    "logiquip": {"SteppingStone": [f"{ZIP_OF[customer]}; {customer}" for customer in CUSTOMERS]},
    "summit_medical": {"Client Name": CUSTOMERS[:2], "ZIP Code": ["75201"], "State": ["TX"]},
    "sunoptic": {"Customer ID": list(NUMBER_OF.values())},
    "novo": {"Customer Number": list(NUMBER_OF.values())},
    "chemence": {"Account Number": list(NUMBER_OF.values())},
}


def _territory_keys(source: str) -> list[tuple[str, str, str]]:
    fields = _TERRITORY_KEYS.get(source, {})
    return [(source, name, value) for name, values in fields.items() for value in values]


def _draw_rep(draw: Draw, name: str) -> Rows:
    if draw(_any_of([False] * 15 + [True])):
        return ()
    email = f"{name.split(maxsplit=1)[0].lower()}@example.com"
    is_active = name != "Cy Marsh"
    permission = draw(_any_of(["user", "admin"]))
    return (SalesRep(draw(spelled(name)), "Field", email, permission, is_active),)


def _draw_tiers(draw: Draw, key: tuple[str, str | None]) -> Rows:
    rep, product_line = key
    if product_line is not None and draw(_mostly()):
        return ()
    rows = []
    for begin, until in _periods(draw, RATE_DAYS):
        rows.append(
            CommissionTier(
                draw(spelled(rep)),
                draw(spelled(product_line)) if product_line else None,
                begin,
                until,
                draw(_any_of(_RATES)),
                draw(_any_of([*_RATES[1:], Decimal("0.45"), None])),
            )
        )
    return tuple(rows)


def _draw_threshold(draw: Draw, key: tuple[str, str, int]) -> Rows:
    if not draw(_mostly()):
        return ()
    rep, product_line, year = key
    amount = draw(_any_of(_THRESHOLDS))
    return (TierThreshold(draw(spelled(rep)), draw(spelled(product_line)), year, amount),)


def _draw_objectives(draw: Draw, key: tuple[str, str, int]) -> Rows:
    if draw(st.booleans()):
        return ()
    rep, product_line, year = key
    some = draw(st.lists(_any_of(_OBJECTIVES), min_size=3, max_size=3))
    return (BusinessObjective(draw(spelled(rep)), draw(spelled(product_line)), year, tuple(some * 4)),)


def _draw_territories(draw: Draw, key: tuple[str, str, str]) -> Rows:
    source, field_name, value = key
    return tuple(
        Territory(source, field_name, draw(spelled(value)), draw(spelled(draw(_owners()))), begin, until)
        for begin, until in _periods(draw, TERRITORY_DAYS)
    )


def _owners() -> st.SearchStrategy[str]:
    # Most of it for one rep, so that years have several months, and thresholds are crossed.
    return _any_of([*KNOWN_REPS[:1] * 4, *KNOWN_REPS, UNKNOWN_REP])


def _draw_service(draw: Draw, service: str) -> Rows:
    if service in PRODUCT_LINES:
        return (ServiceToProduct(service, service),)
    return (ServiceToProduct(draw(spelled(service)), draw(_any_of(PRODUCT_LINES))),)


@dataclass
class _Tables:
    """The reference tables by the keys that are redrawn one at a time."""

    draw: Draw
    sources: Sequence[str]
    rows: dict[str, dict[Any, Rows]] = field(default_factory=dict)

    def draw_all(self) -> None:
        """Draw every table."""
        # The map comes first: it spells the product lines, and says which ones are sold.
        self.rows["service_to_product"] = {
            key: _draw_service(self.draw, key) for key in (*PRODUCT_LINES, *SERVICES)
        }
        products = self._product_lines()
        of_year = [(rep, product, year) for rep in KNOWN_REPS for product in products for year in YEARS]
        keys: dict[str, Sequence[Any]] = {
            "sales_reps": KNOWN_REPS,
            "commission_tiers": [(rep, product) for rep in KNOWN_REPS for product in (None, *products)],
            "tier_thresholds": of_year,
            "business_objectives": of_year,
            "territories": [key for source in self.sources for key in _territory_keys(source)],
        }
        for table, its_keys in keys.items():
            self.rows[table] = {key: self._drawn(table, key) for key in its_keys}

    def _product_lines(self) -> list[str]:
        named = [PRODUCT_LINE_OF[source] for source in self.sources if source in PRODUCT_LINE_OF]
        if "quickbooks" in self.sources:
            named += [self.rows["service_to_product"][service][0].product_lines for service in SERVICES]
        return list(dict.fromkeys(named))

    def _drawn(self, table: str, key: Any) -> Rows:
        drawers: dict[str, Callable[[Draw, Any], Rows]] = {
            "sales_reps": _draw_rep,
            "commission_tiers": _draw_tiers,
            "tier_thresholds": _draw_threshold,
            "business_objectives": _draw_objectives,
            "territories": _draw_territories,
            "service_to_product": _draw_service,
        }
        return drawers[table](self.draw, key)

    def workbook(self, table: str) -> Change:
        """Return the whole table as it is dropped."""
        return Change(table, tuple(row for rows in self.rows[table].values() for row in rows))

    def changed(self, table: str) -> Change:
        """Draw one entry anew."""
        changeable = [key for key in self.rows[table] if key not in PRODUCT_LINES]
        if changeable:
            key = self.draw(_any_of(changeable))
            self.rows[table][key] = self._drawn(table, key)
        return self.workbook(table)


TABLES = (
    "territories", "commission_tiers", "tier_thresholds", "sales_reps", "business_objectives",
    "service_to_product",
)  # fmt: skip


def _draw_sale(draw: Draw, source: str, month: date, number: int) -> Draft:
    # Paid in the month of the sale, or up to three months later.
    months_late = draw(_any_of([0, 0, 1, 3]))
    ordinal = month.year * 12 + month.month - 1 - months_late
    day = 1 if source == "summit_medical" else draw(_any_of([1, 9, 10, 11, 28]))
    on = date(ordinal // 12, ordinal % 12 + 1, day)
    more: dict[str, Any] = {}
    rep: str | None = None
    if source in ("quickbooks", "inspektor"):
        rep = draw(spelled(draw(_owners())))
    if source == "quickbooks":
        more = {
            "service_lines": draw(spelled(draw(_any_of(SERVICES)))),
            "purchase_price": draw(_any_of([Decimal("0.90"), None, Decimal("33.335"), Decimal("7.0001")])),
            "quantity": draw(_any_of([Decimal(1), Decimal(3), Decimal("-0.5"), Decimal("1.25")])),
        }
    if source == "summit_medical":
        more = {
            "zip_code": draw(_any_of([None, "75201", "02114"])),
            "state": draw(_any_of(["TX", None, "OK"])),
        }
    customer = draw(_any_of([*CUSTOMERS[:2], *CUSTOMERS]))
    if source == "logiquip" and draw(st.booleans()):
        more = {"ship_to_zip": f"{ZIP_OF[customer]}-1234"}
    return sale(
        source,
        draw(_any_of(_SALES)) + draw(_any_of(_FRACTIONS)),
        draw(_any_of(_REVS)) + draw(_any_of(_FRACTIONS)),
        on=on,
        customer=draw(spelled(customer)),
        rep=rep,
        number=number,
        **more,
    )


@dataclass
class _Admin:
    """Draws one action after another, each one possible after those before it."""

    draw: Draw
    sources: Sequence[str]
    tables: _Tables
    state: State = field(default_factory=State)
    lines: int = 0

    def do(self, action: Action) -> Action:
        """Note an action as done."""
        self.state.apply(action)
        return action

    def _drafts(self, source: str, month: date) -> tuple[Draft, ...]:
        drafts = []
        for _ in range(self.draw(st.integers(2, 5))):
            self.lines += 1
            drafts.append(_draw_sale(self.draw, source, month, self.lines))
        return tuple(drafts)

    def drop(self) -> Action:
        """A new file, or by chance another one in the place of an old one."""
        source = self.draw(_any_of(self.sources))
        month = self.draw(_any_of(COMMISSION_MONTHS))
        return self._dropped(source, month, self.draw(_any_of(["more sales", "sales"])))

    def _dropped(self, source: str, month: date, name: str) -> Action:
        extension = "pdf" if source == "summit_medical" else "xlsx"
        return self.do(Drop(source, month, f"{name}.{extension}", self._drafts(source, month)))

    def drop_some_months(self, most: int) -> list[Action]:
        """A file of several months for each source, in any order."""
        actions = []
        for source in self.sources:
            months = self.draw(st.lists(_any_of(COMMISSION_MONTHS), min_size=3, max_size=most, unique=True))
            actions += [self._dropped(source, month, "sales") for month in months]
        return actions

    def _old(self) -> Drop:
        return self.state.files[self.draw(_any_of(list(self.state.files)))].drop

    def correct(self) -> Action:
        """The same file with some of its lines and some new ones."""
        old = self._old()
        kept = old.drafts[: self.draw(st.integers(0, len(old.drafts)))]
        return self.do(replace(old, drafts=kept + self._drafts(old.source, old.month)))

    def move(self) -> list[Action]:
        """The same file in another month's folder."""
        old = self._old()
        month = self.draw(_any_of(COMMISSION_MONTHS))
        return [self.do(Withdraw(old.path)), self.do(replace(old, month=month))]

    def batch(self, most: int) -> Batch:
        """Up to `most` actions."""
        actions: list[Action] = []
        for _ in range(self.draw(st.integers(1, most))):
            kinds = ["drop", "change"]
            if self.state.files:
                kinds += ["correct", "withdraw", "change", "move", "reread", "refuse"]
            match self.draw(_any_of(kinds)):
                case "drop":
                    actions.append(self.drop())
                case "change":
                    actions.append(self.do(self.tables.changed(self.draw(_any_of(TABLES)))))
                case "correct":
                    actions.append(self.correct())
                case "move":
                    actions += self.move()
                case "withdraw":
                    actions.append(self.do(Withdraw(self._old().path)))
                case "reread":
                    actions.append(self.do(Reread(self._old().path)))
                case "refuse":
                    actions.append(self.do(Refuse(self._old().path)))
        return tuple(actions)


@st.composite
def histories(draw: Draw, *, months: int = 5, batches: int = 4, most: int = 3) -> History:
    """Random histories: the reference data with some files, then batches of changes.

    Args:
        months: commission months of each source in the first batch, at the most.
        batches: how many batches follow at the most.
        most: actions of a batch.
    """
    sources = draw(st.lists(_any_of(SOURCES), min_size=2, max_size=4, unique=True))
    tables = _Tables(draw, sources)
    tables.draw_all()
    admin = _Admin(draw, sources, tables)
    # Quickbooks needs its map to load; any other table may come after the first files.
    first: list[Action] = [admin.do(tables.workbook("service_to_product"))]
    late = draw(_any_of([None] * 10 + [(name,) for name in TABLES[:-1]])) or ()
    first += [admin.do(tables.workbook(name)) for name in TABLES[:-1] if name not in late]
    first += admin.drop_some_months(months)
    second = tuple(admin.do(tables.workbook(name)) for name in late)
    rest = [admin.batch(most) for _ in range(draw(st.integers(min(2, batches), batches)))]
    return (tuple(first), (*second, *rest[0]), *rest[1:])


def worlds() -> st.SearchStrategy[State]:
    """Random states: what short histories lead to."""
    return histories(batches=1, most=1).map(state_after)
