"""Made-up statements that add up: by a seed, and as examples for tests and pictures."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from hypothesis import strategies as st

from shs_pipeline.base.months import month_after
from shs_pipeline.closing.statement import Amounts, Item, Line, Statement, TierState
from shs_pipeline.samples.world import CUSTOMERS

OCTOBER = date(2026, 10, 1)
NOTHING = Decimal("0.00")
PRODUCT_LINES = ("Cygnus Scopes", "Novo Implants", "Surgical Trays", "Ternio Supplies", "Sunoptic Lights")
ITEMS = ("Fiber cable 6 mm", "Headlight LX2", "Fixation plate, 8 holes", "Tray, sterile", "Needle 14 G")
OTHER_SCRIPTS = (
    "Clínica Peñarol São João Łódź Ångström",
    "Νοσοκομείο Ευαγγελισμός",
    "Больница № 7, Ѓорче Петров",
    "東京医療センター カナガワ",
    "北京协和医院",
    "서울대학교병원",
    "مستشفى السلام",
    "בית חולים (מרכז) 12",
)


def cents(rng: random.Random, low: int, high: int) -> Decimal:
    """An amount between two amounts of dollars."""
    return Decimal(rng.randint(low * 100, high * 100)) / 100


def cent(amount: Decimal) -> Decimal:
    """An amount rounded to the cent."""
    return amount.quantize(NOTHING)


def made_lines(
    rng: random.Random, product_line: str, count: int, tier: int, customers: Sequence[str]
) -> list[Line]:
    """Lines of a product line: some of them credits, some split."""
    first, second = rng.choice([("0.07", "0.09"), ("0.125", "0.15"), ("0.3", "0.4")])
    tier_1, tier_2 = Decimal(first), Decimal(second)
    lines = []
    for number in range(count):
        sales = cents(rng, 40, 9_000) * (-1 if rng.random() < 0.08 else 1)
        share = Decimal(1) if rng.random() < 0.85 else rng.choice([Decimal("0.5"), Decimal("0.3333")])
        revenue = cent(sales * Decimal("0.45"))
        at_1, at_2 = cent(revenue * tier_1), cent(revenue * tier_2)
        lines.append(
            Line(
                product_line=product_line,
                revenue_date=OCTOBER + timedelta(days=number * 31 // max(count, 1)),
                customer=rng.choice(customers),
                invoice_number=f"INV-{rng.randint(10_000, 99_999)}",
                item=rng.choice(ITEMS),
                credit_share=share,
                sales=sales,
                revenue=revenue,
                tier_1_rate=tier_1,
                tier_2_rate=tier_2,
                paid=at_2 if tier == 2 else at_1,
                held_back=NOTHING if tier == 2 else at_2 - at_1,
            )
        )
    return lines


def made_state(rng: random.Random, product_line: str, tier: int, lines: Sequence[Line]) -> TierState:
    """Where the payee stands, given the lines of the month."""
    sales = sum((line.sales for line in lines), NOTHING)
    paid = sum((line.paid for line in lines), NOTHING)
    held_back = sum((line.held_back for line in lines), NOTHING)
    to_date = sales + cents(rng, 20_000, 150_000)
    threshold = to_date + cents(rng, 2_000, 90_000) if tier == 1 else to_date - cents(rng, 0, 10_000)
    released = cents(rng, 50, 2_500) if tier == 2 and rng.random() < 0.5 else NOTHING
    has_threshold = tier == 2 or rng.random() >= 0.1
    return TierState(
        product_line=product_line,
        tier=tier,
        sales=sales,
        sales_to_date=to_date,
        threshold=threshold.quantize(Decimal(1)) + NOTHING if has_threshold else None,
        held_back=held_back + cents(rng, 0, 900) if tier == 1 and has_threshold else NOTHING,
        released=released,
        earned=paid + released,
    )


def made_items(rng: random.Random, product_lines: Sequence[str], count: int) -> list[Item]:
    """What else is paid or taken back."""
    reasons = (
        "Invoice INV-40211 was credited after the close.",
        "The rate from July 1 was corrected from 30% to 32%.",
        "Mercy Hill Surgical Center belongs to this territory from August 1 on.",
    )
    items = [
        Item(
            kind=rng.choice(("restated", "restated", "reclassified", "adjustment")),
            product_line=rng.choice([*product_lines, ""]),
            earned_month=month_after(OCTOBER, -rng.randint(1, 9)),
            amount=cents(rng, -900, 900),
            words=rng.choice(reasons),
        )
        for _ in range(count)
    ]
    return [
        replace(item, product_line=product_lines[0])
        if item.kind != "adjustment" and not item.product_line and product_lines
        else item
        for item in items
    ]


def made_statement(
    seed: int = 7,
    *,
    lines: int = 24,
    product_lines: Sequence[str] = PRODUCT_LINES[:3],
    items: int = 4,
    name: str = "Dana Whitfield",
    customers: Sequence[str] = tuple(customer.name for customer in CUSTOMERS),
    brought_forward: Decimal = NOTHING,
    recovered: Decimal = NOTHING,
    is_open: bool = False,
) -> Statement:
    """A statement that adds up, the same for the same arguments."""
    rng = random.Random(seed)
    all_lines: list[Line] = []
    states = []
    for place, product_line in enumerate(product_lines):
        tier = 1 + place % 2
        count = lines // len(product_lines) + (place < lines % len(product_lines))
        of = made_lines(rng, product_line, count, tier, customers)
        states.append(made_state(rng, product_line, tier, of))
        all_lines += of
    extra = made_items(rng, product_lines, items)
    if recovered:
        words = "Draw of Aug 2026, 2,000.00 at first."
        month = date(2026, 8, 1)
        extra.append(
            Item(kind="recovered", product_line="", earned_month=month, amount=recovered, words=words)
        )
    amounts = Amounts(
        earned=sum((state.earned for state in states), NOTHING),
        restated=sum((i.amount for i in extra if i.kind in ("restated", "reclassified")), NOTHING),
        adjustments=sum((i.amount for i in extra if i.kind == "adjustment"), NOTHING),
        recovered=recovered,
        brought_forward=brought_forward,
    )
    return Statement(
        payee_id="P-0007",
        rep_name=name,
        pay_period=OCTOBER,
        state="provisional" if is_open else "closed",
        number="" if is_open else "2026-10-P-0007-1",
        replaces="",
        pay_date=None if is_open else date(2026, 11, 15),
        approved_by="" if is_open else "Harriet Lindqvist",
        closed_by="" if is_open else "harriet.lindqvist",
        receipt="" if is_open else "2026-10-1",
        amounts=amounts,
        draw_balance=Decimal("1250.00") if recovered else NOTHING,
        product_lines=tuple(states),
        items=tuple(extra),
        lines=tuple(all_lines),
    )


EXAMPLES: dict[str, Callable[[], Statement]] = {
    "usual": lambda: made_statement(recovered=Decimal("-750.00")),
    "open": lambda: made_statement(11, is_open=True, items=2),
    "empty": lambda: made_statement(lines=0, product_lines=(), items=0),
    "negative": lambda: made_statement(3, lines=2, items=1, brought_forward=Decimal("-6412.80")),
    "long names": lambda: made_statement(
        5,
        name="Maximiliana Konstantinopoulou-Featherstonehaugh of the Greater Northeastern Territory " * 2,
        customers=("The Regional Center for Reconstructive Surgery at Saint Bartholomew " * 3,),
        product_lines=("A product line whose name somebody thought about for a long time, and then longer",),
    ),
    "scripts": lambda: made_statement(9, lines=16, name="Żaneta Ñandú 山田", customers=OTHER_SCRIPTS),
    "many": lambda: made_statement(13, lines=3_000, product_lines=PRODUCT_LINES),
}


@st.composite
def statements(draw: st.DrawFn) -> Statement:
    """Statements that add up, of all sizes and in all scripts."""
    names = st.sampled_from(
        ["Dana Whitfield", "Żaneta Ñandú", "山田 太郎", "=cmd", "\x00\ud800\ufffe", "A" * 200]
    )
    customers = st.lists(st.sampled_from([*OTHER_SCRIPTS, "Mercy Hill", "-1+1", "x" * 90]), min_size=1)
    return made_statement(
        draw(st.integers(0, 10_000)),
        lines=draw(st.integers(0, 40)),
        product_lines=draw(st.lists(st.sampled_from(["Trays", "Scopes", "Ελλάδα"]), unique=True, min_size=1)),
        items=draw(st.integers(0, 6)),
        name=draw(names),
        customers=draw(customers),
        brought_forward=-Decimal(draw(st.integers(0, 10_000_000))) / 100,
        recovered=-Decimal(draw(st.integers(0, 100_000))) / 100,
        is_open=draw(st.booleans()),
    )
