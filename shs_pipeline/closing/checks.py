"""Checks of the ledger as it is now: what every close promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from psycopg import sql

from shs_pipeline.base.wording import count_of, form_for
from shs_pipeline.closing.closes import IN_FORCE
from shs_pipeline.closing.verifying import verify
from shs_pipeline.ingest.checks import CheckOutcome

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.landing.zone import Landing

SETTLED = "what_is_settled_is_the_payout"
PAID_ONCE = "every_cent_is_paid_once"
RECEIPTS = "receipts_fit"

CLOSE_CHECKS = {
    SETTLED: "What the ledger says of a closed month, and what is restated of it, add up to its payout.",
    PAID_ONCE: "What was paid to each payee, and what is carried forward, is what was due.",
    RECEIPTS: "Files, receipts and ledger are as they were handed out.",
}
_SHOWN = 50
_UNSETTLED = sql.SQL("""
    with in_force as ({in_force}),
    bounds as (select max(pay_period) as closed_until from in_force),
    said as (
        select payee_id, product_line_id, earned_month, amount
        from ledger.entries as entries inner join in_force using (close_no)
        where kind in ('opening', 'earned', 'restated', 'reclassified')
            or (
                -- It stands for itself as long as nothing is computed of the same.
                kind = 'opening without lines'
                and exists (
                    select from marts.commission_payouts as payouts
                    where (payouts.payee_id, payouts.product_line_id, payouts.commission_month)
                        = (entries.payee_id, entries.product_line_id, entries.earned_month)
                )
            )
        union all
        select payee_id, product_line_id, earned_month, amount
        from marts.statement_items
        where number is null and kind in ('restated', 'reclassified')
        union all
        select payee_id, product_line_id, commission_month, -payout
        from marts.commission_payouts, bounds
        where commission_month <= closed_until
    )
    select payee_id, product_line_id, to_char(earned_month, 'YYYY-MM'), sum(amount)::text
    from said
    group by payee_id, product_line_id, earned_month
    having sum(amount) <> 0
    order by 1, 2, 3
""").format(in_force=IN_FORCE)
_PAID_TWICE = sql.SQL("""
    with in_force as ({in_force}),
    statements as (
        select payee_id, pay_period, due - brought_forward as own, paid, carried_forward
        from ledger.statements
        inner join in_force using (close_no, pay_period)
    )
    select
        payee_id,
        sum(own)::text,
        sum(paid)::text,
        (array_agg(carried_forward order by pay_period desc))[1]::text
    from statements
    group by payee_id
    having sum(own) <> sum(paid) + (array_agg(carried_forward order by pay_period desc))[1]
    order by payee_id
""").format(in_force=IN_FORCE)


def check_closes(connection: psycopg.Connection, landing: Landing) -> list[CheckOutcome]:
    """Answer `CLOSE_CHECKS`.

    Raises:
        LandingError: the landing zone cannot be read.
    """
    row = connection.execute(
        "select to_regclass('ledger.receipts') is not null"
        " and to_regclass('marts.statement_items') is not null"
    ).fetchone()
    if not (row and row[0]):
        return [CheckOutcome(name, True, "error", "No month was ever closed.") for name in CLOSE_CHECKS]
    return [_settled(connection), _paid_once(connection), _receipts(connection, landing)]


def _settled(connection: psycopg.Connection) -> CheckOutcome:
    found = connection.execute(_UNSETTLED).fetchall()
    differ = form_for(len(found), "differs", "differ")
    return _outcome(
        SETTLED,
        CLOSE_CHECKS[SETTLED],
        f"{count_of(len(found), 'payout')} of closed months {differ} from what is settled and restated. "
        "Close nothing, run `shs run --full-refresh`, and report it if that does not help.",
        ("payee", "product line", "month", "settled too much (USD)"),
        found,
    )


def _paid_once(connection: psycopg.Connection) -> CheckOutcome:
    found = connection.execute(_PAID_TWICE).fetchall()
    return _outcome(
        PAID_ONCE,
        CLOSE_CHECKS[PAID_ONCE],
        f"The statements of {count_of(len(found), 'payee')} do not follow from each other: close nothing, "
        "and report it.",
        ("payee", "due (USD)", "paid", "carried forward"),
        found,
    )


def _receipts(connection: psycopg.Connection, landing: Landing) -> CheckOutcome:
    found = verify(connection, landing)
    return _outcome(
        RECEIPTS,
        f"{count_of(found.receipts, 'receipt')} and {count_of(found.files, 'file')} are as handed out.",
        f"What was handed out does not fit what was closed ({count_of(len(found.faults), 'fault')}). Bring "
        "the files back from the bucket's older versions or from a backup.",
        ("what is wrong",),
        [(fault,) for fault in found.faults],
    )


def _outcome(
    name: str, good: str, bad: str, header: Sequence[str], rows: Sequence[Sequence[str]]
) -> CheckOutcome:
    if not rows:
        return CheckOutcome(name, True, "error", good)
    return CheckOutcome(name, False, "error", bad, [header, *rows[:_SHOWN]])
