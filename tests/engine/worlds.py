"""Made-up histories: what an admin drops, corrects, withdraws and changes, and the state that it leads to."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from hypothesis import strategies as st

from shs_pipeline.landing.names import ADJUSTMENTS, SOURCE_NAMES
from tests.engine.model import (
    Adjustment,
    Alias,
    BusinessObjective,
    CommissionTier,
    OpeningBalance,
    RawLine,
    Reference,
    SalesRep,
    ServiceToProduct,
    Territory,
    TierThreshold,
)
from tests.engine.source_rules import CUSTOMERS, ZIP_OF, Sale, all_rules, rules_of

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
                past = (*self.reference.past, (action.table, action.rows))
                self.reference = replace(self.reference, **{action.table: action.rows}, past=past)
            case Refuse() | Reread():
                pass

    def raw_lines(self) -> list[RawLine]:
        """Return every line of sales in force."""
        return [
            line
            for loaded in self.files.values()
            if loaded.drop.source != ADJUSTMENTS
            for line in loaded.lines()
        ]

    def adjustments(self) -> list[Adjustment]:
        """Return every adjustment in force."""
        return [
            Adjustment(pay_period=loaded.drop.month, **draft.cells)
            for loaded in self.files.values()
            if loaded.drop.source == ADJUSTMENTS
            for draft in loaded.drop.drafts
        ]


def state_after(history: History) -> State:
    """Return the state that a whole history leads to."""
    state = State()
    for batch in history:
        for action in batch:
            state.apply(action)
    return state


# --- One line of each source ------------------------------------------------------------------------------


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
    made = Sale(sales, sales / 10 if rev is None else Decimal(rev), on, customer, rep, number)
    return Draft(on, {**rules_of(source).line(made), **more})


def adjustments_file(month: date, *adjustments: Adjustment, name: str = "adjustments.xlsx") -> Drop:
    """Make the file of a month's adjustments."""
    cells = [asdict(one) for one in adjustments]
    for row in cells:
        del row["pay_period"]
    return Drop(ADJUSTMENTS, month, name, tuple(Draft(month, row) for row in cells))


# --- Strategies -------------------------------------------------------------------------------------------

RENAMED = {"Ann Gray": "Ann Moss", "Bo Lindström-Groß": "Bo Groß", "Cy Marsh": "Cy Marsh-Lee"}
"""What a rep may be called from some version on, in one workbook or in all."""
KNOWN_REPS = ("Ann Gray", "Bo Lindström-Groß", "Cy Marsh")
UNKNOWN_REP = "Dee Stranger"
ALL_NAMES = (*KNOWN_REPS, UNKNOWN_REP)
SERVICES = ("Consulting", "Imaging")
PRODUCT_LINES = (*filter(None, (rules.product_line for rules in all_rules().values())), "Capital Equipment")
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


def called(draw: Draw, rep: str) -> str:
    """A rep's name as one workbook has it, mostly the first one."""
    return draw(spelled(draw(_any_of([rep] * 6 + [RENAMED.get(rep, rep)]))))


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


def _territory_keys(source: str) -> list[tuple[str, str, str]]:
    fields = rules_of(source).owned
    return [(source, name, value) for name, values in fields.items() for value in values]


def _draw_rep(draw: Draw, name: str) -> Rows:
    if draw(_any_of([False] * 15 + [True])):
        return ()
    email = f"{name.split(maxsplit=1)[0].lower()}@example.com"
    if draw(_any_of([False] * 5 + [True])):
        email = f"new.{email}"
    left_on = None
    if name == "Cy Marsh":
        left_on = draw(_any_of([None, date(2024, 12, 10), date(2025, 1, 1), date(2025, 2, 20)]))
    return (
        SalesRep(
            called(draw, name),
            draw(_any_of(["Field"] * 12 + [None, "HOUSE"])),
            email,
            draw(_any_of(["user", "admin"])),
            name != "Cy Marsh",
            draw(_any_of([None] * 12 + [name[:2].upper()])),
            left_on,
            draw(_any_of([None, True, False])) if left_on else None,
        ),
    )


def _draw_tiers(draw: Draw, key: tuple[str, str | None]) -> Rows:
    rep, product_line = key
    if product_line is not None and draw(_mostly()):
        return ()
    rows = []
    for begin, until in _periods(draw, RATE_DAYS):
        rows.append(
            CommissionTier(
                called(draw, rep),
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
    return (TierThreshold(called(draw, rep), draw(spelled(product_line)), year, amount),)


def _draw_objectives(draw: Draw, key: tuple[str, str, int]) -> Rows:
    if draw(st.booleans()):
        return ()
    rep, product_line, year = key
    some = draw(st.lists(_any_of(_OBJECTIVES), min_size=3, max_size=3))
    name, line = called(draw, rep), draw(spelled(product_line))
    cut = draw(_any_of([None, None, None, date(year, 2, 1)]))
    if cut is None:
        return (BusinessObjective(name, line, year, tuple(some * 4)),)
    return (
        BusinessObjective(name, line, year, tuple(some * 4), None, cut),
        BusinessObjective(name, line, year, tuple(some[::-1] * 4), cut, None),
    )


def _draw_territories(draw: Draw, key: tuple[str, str, str]) -> Rows:
    source, field_name, value = key
    rows = []
    for begin, until in _periods(draw, TERRITORY_DAYS):
        place = (source, field_name, draw(spelled(value)))
        if draw(_mostly()):
            rows.append(Territory(*place, called(draw, draw(_owners())), begin, until))
            continue
        shares = draw(_any_of([("0.5", "0.5"), ("0.3333", "0.3333", "0.3334"), ("0.85", "0.15")]))
        owners = draw(st.lists(_owners(), min_size=len(shares), max_size=len(shares), unique=True))
        rows += [
            Territory(*place, called(draw, owner), begin, until, Decimal(share))
            for owner, share in zip(owners, shares, strict=True)
        ]
    return tuple(rows)


def _owners() -> st.SearchStrategy[str]:
    # Most of it for one rep, so that years have several months, and thresholds are crossed.
    return _any_of([*KNOWN_REPS[:1] * 4, *KNOWN_REPS, UNKNOWN_REP])


def _draw_service(draw: Draw, service: str) -> Rows:
    if service in PRODUCT_LINES:
        return (ServiceToProduct(service, service),)
    name, cut = draw(spelled(service)), draw(_any_of([None, None, None, date(2025, 1, 1)]))
    if cut is None:
        return (ServiceToProduct(name, draw(_any_of(PRODUCT_LINES))),)
    return (
        ServiceToProduct(name, draw(_any_of(PRODUCT_LINES)), None, cut),
        ServiceToProduct(name, draw(_any_of(PRODUCT_LINES)), cut, None),
    )


ALIASES: Mapping[tuple[str, str], Sequence[str]] = {
    # Nothing that is meant is an alias itself.
    ("rep", UNKNOWN_REP): ("Ann Gray", "Cy Marsh", "Ann Moss", "Nobody Listed"),
    ("rep", "Bo Groß"): ("Ann Gray", "Ann Moss"),
    ("product line", "Capital Equipment"): ("Miscellaneous", "Kits"),
    ("product line", "Logiquip"): ("Miscellaneous", "Logiquip Trays"),
    ("customer", "Lost Clinic"): ("North Clinic", "Elm Hospital"),
    ("customer", "30001"): ("10482",),
}
_SHARES = [Decimal(text) for text in ("0.5", "0.333333", "0.6", "0.01")]


def _draw_alias(draw: Draw, key: tuple[str, str]) -> Rows:
    """None, a rename, one for a source, one from or until a day, or parts of a line."""
    kind, name = key
    meant = draw(st.permutations(ALIASES[key]))
    name = draw(spelled(name))
    day = draw(_any_of([date(2024, 12, 1), date(2025, 1, 10), date(2025, 2, 1)]))
    match draw(_any_of(["none", "rename", "source", "from", "until", "parts", "parts from"])):
        case "none":
            return ()
        case "source":
            own = Alias(kind, draw(_any_of(SOURCE_NAMES)), name, meant[0])
            return (own, Alias(kind, None, name, meant[-1], None, day)) if len(meant) > 1 else (own,)
        case "from":
            return (Alias(kind, None, name, meant[0], None, day),)
        case "until":
            return (Alias(kind, None, name, meant[0], None, None, day),)
        case "parts" | "parts from" as how if kind == "rep":
            share, begin = draw(_any_of(_SHARES)), day if how == "parts from" else None
            return (
                Alias(kind, None, name, meant[0], share, begin),
                Alias(kind, None, name, meant[1], 1 - share, begin),
            )
    return (Alias(kind, None, name, meant[0]),)


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
            "aliases": list(ALIASES),
        }
        for table, its_keys in keys.items():
            self.rows[table] = {key: self._drawn(table, key) for key in its_keys}

    def _product_lines(self) -> list[str]:
        named = [name for source in self.sources if (name := rules_of(source).product_line)]
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
            "aliases": _draw_alias,
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
    "aliases", "territories", "commission_tiers", "tier_thresholds", "sales_reps", "business_objectives",
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
    if rules_of(source).rep_column:
        rep = called(draw, draw(_owners()))
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


def _once_more(draw: Draw, source: str, place: int, before: Sequence[Draft]) -> Draft:
    """A sale that was in a file before: as it was, at another rate, or credited."""
    rules, old = rules_of(source), before[place]
    rev = rules.changes_sign[-1]
    match draw(_any_of(["same", "other rate", "credit"])):
        case "other rate":
            return replace(old, cells={**old.cells, rev: old.cells[rev] + Decimal("1.05")})
        case "credit":
            return replace(
                old, cells={**old.cells, **{name: -old.cells[name] for name in rules.changes_sign}}
            )
    return old


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
        before = [one for loaded in self.state.files.values() if loaded.drop.source == source
                  for one in loaded.drop.drafts]  # fmt: skip
        for _ in range(self.draw(st.integers(2, 5))):
            if before and self.draw(_any_of([False] * 6 + [True])):
                drafts.append(_once_more(self.draw, source, self.draw(_any_of(range(len(before)))), before))
                continue
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
    sources = draw(st.lists(_any_of(SOURCE_NAMES), min_size=2, max_size=4, unique=True))
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


def openings(draw: random.Random) -> Change:
    """Where years stood, as somebody says who begins within one: of some reps, product lines and months."""
    rows = []
    # Names of the same rep and product line may each have a row, and the same name only one.
    for rep in (*KNOWN_REPS, *RENAMED.values(), UNKNOWN_REP):
        for product_line in PRODUCT_LINES:
            for month in COMMISSION_MONTHS[:-1]:
                sales = draw.choice([*[None] * 6, *_THRESHOLDS, Decimal("-12.34")])
                held_back = None if sales is None else draw.choice([None, Decimal("17.05"), Decimal("-3.10")])
                name, line = (draw.choice([text, text.upper()]) for text in (rep, product_line))
                if draw.random() < 0.3:
                    rows.append(OpeningBalance(name, line, month, Decimal(0), sales, held_back))
    return Change("opening_balances", tuple(rows))


def worlds() -> st.SearchStrategy[State]:
    """Random states: what short histories lead to."""
    return histories(batches=1, most=1).map(state_after)
