"""Hold a build that would change a lot of what was paid, or remove a lot, until somebody accepts it.

The models say which payouts of closed months a build moves and which lines it takes away, from just what it
would publish. Here it is judged. A held build publishes nothing; the next one asks again, so it needs nobody
once the files are back.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import TYPE_CHECKING

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.months import month_text
from shs_pipeline.base.wording import count_of
from shs_pipeline.casting.cells import match_key
from shs_pipeline.marts.build_failures import BuildError
from shs_pipeline.marts.guard_causes import Causes, causes_of
from shs_pipeline.marts.held_payouts import ShownPayout, as_json, from_json, parts_of

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.marts.dbt_build import NodeResult
    from shs_pipeline.marts.due import Plan
    from shs_pipeline.marts.payout_states import Key

SHARE = 10
"""More than one in so many is held: of what a payee was paid, and of the lines."""
SMALL = 3
"""With so few months of sources published, lines are taken away without a question."""
TO_BE_JUDGED = "shs: to be judged"
"""What the publication says when it waits to be judged."""
_REMEDY = (
    "`shs diff held` shows what it would change. If it is a mistake, put files and workbooks back as they "
    "were; the next run then publishes. If it is intended, publish it with `shs run --accept` (in Dagster "
    "with accept: true in the launchpad), or say why in the Note of each changed row of the workbook."
)
_NAMED = 5


@dataclass(frozen=True)
class Moved:
    """A payout of a closed month that a build changes (USD).

    Attributes:
        is_by_file, is_by_workbook: what changes it; both may.
    """

    payee_id: str
    rep_name: str
    product_line_id: str
    product_line: str
    commission_month: date
    payout_before: Decimal
    payout_now: Decimal
    is_by_file: bool
    is_by_workbook: bool

    @property
    def key(self) -> Key:
        """The payout."""
        return self.payee_id, self.product_line_id, self.commission_month

    @property
    def difference(self) -> Decimal:
        """What it is more than before."""
        return self.payout_now - self.payout_before


@dataclass(frozen=True)
class Lost:
    """A source's commission month that loses lines; `lines_published` counts those of all."""

    source: str
    commission_month: date
    lines_before: int
    lines_now: int
    lines_published: int

    @property
    def lines(self) -> int:
        """How many it loses."""
        return self.lines_before - self.lines_now


@dataclass(frozen=True)
class HeldBuild:
    """A build that is held: what is told of it, and what it would do.

    Attributes:
        problem, remedy: without amounts, for everybody who is told.
        fingerprint: of what it would do; an acceptance holds for nothing else.
        payouts: of closed months that it would change.
        lost: the months of sources that would lose lines, in words.
        causes: files, and rows of workbooks, in words.
        made_from: the state of the books that it was made from.
    """

    problem: str
    remedy: str
    fingerprint: str
    made_from: str
    payouts: Sequence[ShownPayout]
    lost: Sequence[str]
    causes: Sequence[str]


class HeldBuildError(BuildError):
    """A build that was held: nothing of it was published, and what is published stays as it is."""

    is_held_build = True

    def __init__(self, held: HeldBuild, nodes: Sequence[NodeResult]) -> None:
        super().__init__(held.problem, held.remedy, nodes)
        self.held = held


def waits(nodes: Sequence[NodeResult]) -> bool:
    """Whether a build did all but publish, and waits to be judged."""
    return any(node.status == "error" and TO_BE_JUDGED in node.message for node in nodes)


def verdict_of(connection: psycopg.Connection, plan: Plan, withdrawn_by: str) -> HeldBuild | None:
    """Return why a build must not be published by itself; None where it may.

    Args:
        plan: what the build was made from.
        withdrawn_by: the run whose withdrawals were confirmed; empty where none were.
    """
    moved = _moved(connection)
    causes = causes_of(connection, plan, [one.commission_month for one in moved])
    unsaid = [one for one in moved if one.is_by_workbook and causes.are_unsaid(one.payee_id)]
    lost = _lost(connection, withdrawn_by) if plan.last is not None else []
    too_much = _too_much(connection, [one for one in moved if not _is_said(one, causes)])
    reasons = [*_of_payees(too_much, moved), *_of_workbooks(unsaid, causes), *_of_lines(lost)]
    if not reasons:
        return None
    parts = parts_of(connection, plan, {one.key for one in moved})
    return HeldBuild(
        f"The build was held and nothing was published: {'; '.join(reasons)}.",
        _REMEDY,
        _fingerprint(moved, lost),
        plan.made_from,
        [
            ShownPayout(
                one.rep_name,
                one.product_line,
                one.commission_month,
                one.payout_before,
                one.payout_now,
                parts.get(one.key, ()),
            )
            for one in moved
        ],
        [
            f"{one.source} {month_text(one.commission_month)}: {one.lines_now:,} of "
            f"{count_of(one.lines_before, 'line')} left"
            for one in lost
        ],
        causes.words,
    )


def held_build(connection: psycopg.Connection) -> HeldBuild | None:
    """Return the build that is held now, as it was last seen."""
    row = connection.execute(
        "select problem, remedy, fingerprint, made_from, shown from ops.holds"
        " where kind = 'publication' and is_open"
    ).fetchone()
    if row is None:
        return None
    problem, remedy, fingerprint, made_from, shown = row
    payouts = from_json(shown["payouts"])
    return HeldBuild(problem, remedy, fingerprint, made_from, payouts, shown["lost"], shown["causes"])


def payouts_of(
    connection: psycopg.Connection, held: HeldBuild, rep: str | None, months: tuple[date, date] | None
) -> Sequence[ShownPayout]:
    """Return the payouts of a held build that concern a rep and months; all where neither is given.

    Args:
        rep: a name, which may be another one since the build, or a Payee ID.
        months: commission months from the first to the second.

    Raises:
        ShsError: there is no rep of this name.
    """
    names = None
    if rep is not None:
        # Not of the marts: after a lost database there are none yet.
        found = connection.execute(
            "select name_key from reference.payee_names where payee_id in (select payee_id"
            " from reference.payee_names where %(typed)s in (name_key, ops.match_key(payee_id)))",
            {"typed": match_key(rep)},
        )
        names = {name for (name,) in found}
        if not names:
            listed = _listed(sorted({one.rep_name for one in held.payouts})) or "none"
            raise ShsError(f"There is no rep called {rep!r}.", f"Reps whose payouts would change: {listed}.")
    return [
        one
        for one in held.payouts
        if (names is None or match_key(one.rep_name) in names)
        and (months is None or months[0] <= one.commission_month <= months[1])
    ]


def hold(connection: psycopg.Connection, held: HeldBuild) -> None:
    """Record a held build; the same one again is the same hold, so that nobody is told twice."""
    shown = {"payouts": as_json(held.payouts), "lost": held.lost, "causes": held.causes}
    with connection.transaction():
        connection.execute(
            "update ops.holds set ended_at = clock_timestamp()"
            " where kind = 'publication' and is_open and fingerprint <> %s",
            [held.fingerprint],
        )
        connection.execute(
            "insert into ops.holds (kind, problem, remedy, fingerprint, made_from, shown)"
            " values ('publication', %s, %s, %s, %s, %s) on conflict (kind) where is_open"
            " do update set problem = excluded.problem, remedy = excluded.remedy,"
            " made_from = excluded.made_from, shown = excluded.shown",
            [held.problem, held.remedy, held.fingerprint, held.made_from, Jsonb(shown)],
        )


def _moved(connection: psycopg.Connection) -> list[Moved]:
    with connection.cursor(row_factory=class_row(Moved)) as cursor:
        return cursor.execute(
            "select payee_id, rep_name, product_line_id, product_line, commission_month, payout_before,"
            " payout_now, is_by_file, is_by_workbook from intermediate.closed_changes"
            ' order by rep_name collate "C", payee_id, commission_month, product_line collate "C"'
        ).fetchall()


def _lost(connection: psycopg.Connection, withdrawn_by: str) -> list[Lost]:
    """Return what is lost if it is too much; what a confirmed withdrawal took away has been said."""
    with connection.cursor(row_factory=class_row(Lost)) as cursor:
        lost = cursor.execute(
            "select source, commission_month, lines_before, lines_now, lines_published"
            " from intermediate.lines_taken_away as lost"
            " where not exists (select from ops.files where files.source = lost.source"
            "  and files.commission_month = lost.commission_month"
            "  and files.status = 'withdrawn' and files.run_id = %s)"
            " and (select count(*) from marts.published_slices) > %s"
            " order by source, commission_month",
            [withdrawn_by, SMALL],
        ).fetchall()
    is_much = lost and sum(one.lines for one in lost) * SHARE > lost[0].lines_published
    return lost if is_much else []


def _is_said(moved: Moved, causes: Causes) -> bool:
    """Whether a Note says why a payout is another one now."""
    return moved.is_by_workbook and not moved.is_by_file and causes.are_said(moved.payee_id)


def _too_much(connection: psycopg.Connection, moved: Sequence[Moved]) -> list[str]:
    """Return the payees whose closed months change by more than a tenth of what they were paid for them.

    Gross: what goes from one month or product line to another is a change of both.
    """
    changed: dict[str, Decimal] = {}
    months: dict[str, set[date]] = {}
    for one in moved:
        changed[one.payee_id] = changed.get(one.payee_id, Decimal(0)) + abs(one.difference)
        months.setdefault(one.payee_id, set()).add(one.commission_month)
    paid: dict[tuple[str, date], Decimal] = {
        (payee, month): amount
        for payee, month, amount in connection.execute(
            "select payee_id, earned_month, sum(amount) from ledger.entries where payee_id = any(%s)"
            " group by payee_id, earned_month",
            [list(changed)],
        )
    }
    return [
        payee
        for payee, amount in changed.items()
        if amount * SHARE
        > max(sum((paid.get((payee, month), Decimal(0)) for month in months[payee]), Decimal(0)), Decimal(0))
    ]


def _of_payees(too_much: Sequence[str], moved: Sequence[Moved]) -> list[str]:
    if not too_much:
        return []
    own = [one for one in moved if one.payee_id in too_much]
    names = _listed(list(dict.fromkeys(one.rep_name for one in own)))
    much = "by more than a tenth of what was paid for them"
    return [f"closed months of {names} ({_months(own)}) would change {much}"]


def _of_workbooks(unsaid: Sequence[Moved], causes: Causes) -> list[str]:
    if not unsaid:
        return []
    tables = _listed(causes.unsaid_tables({one.payee_id for one in unsaid}))
    return [f"closed months ({_months(unsaid)}) would change because of {tables}, and no new Note says why"]


def _of_lines(lost: Sequence[Lost]) -> list[str]:
    if not lost:
        return []
    places = _listed([f"{one.source} {month_text(one.commission_month)}" for one in lost])
    lines, total = sum(one.lines for one in lost), lost[0].lines_published
    return [f"{lines:,} of the {total:,} published lines would be taken away ({places})"]


def _months(moved: Sequence[Moved]) -> str:
    return _listed(sorted({month_text(one.commission_month) for one in moved}))


def _listed(words: Sequence[str]) -> str:
    if len(words) > _NAMED:
        return f"{', '.join(words[:_NAMED])} and {len(words) - _NAMED} more"
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _fingerprint(moved: Sequence[Moved], lost: Sequence[Lost]) -> str:
    said = [
        [
            [
                one.payee_id,
                one.product_line_id,
                str(one.commission_month),
                str(one.payout_before),
                str(one.payout_now),
            ]
            for one in moved
        ],
        [[one.source, str(one.commission_month), one.lines_before, one.lines_now] for one in lost],
    ]
    return sha256(json.dumps(said).encode()).hexdigest()
