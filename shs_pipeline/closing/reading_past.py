"""Read statements as they were known at a moment: closed ones from the ledger, open ones from the history."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, LiteralString

from psycopg import sql

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.months import month_text
from shs_pipeline.closing.reading import NO_PLACES, closed_statements, open_statements
from shs_pipeline.marts.publications import in_short, state_at

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.closing.statement import Statement

# Reopened months are open until they close again, with statements of other numbers.
_LAST_WORD: LiteralString = """
    select close_no, kind, closed_at from ledger.closes
    where pay_period = %s and closed_at <= %s order by close_no desc limit 1
"""
# What every publication since then has put in is left out, and what it has taken out comes back.
_PAST: LiteralString = """(
    select {columns}
    from (
        select {columns}, 1 as present from marts.{mart} where {month} = {wanted}
        union all
        select {columns}, case change when 'added' then -1 else 1 end
        from history.{mart} where publication_id > {state} and {month} = {wanted}
    ) as versions
    group by {columns}
    having sum(present) > 0
)"""
_MONTHS = {
    "statements": "pay_period",
    "statement_items": "pay_period",
    "commission_payouts": "commission_month",
    "harmonised_sales": "commission_month",
}
_BEGIN = re.compile(r"since publication (\d+)")


def statements_at(
    connection: psycopg.Connection, month: date, moment: datetime
) -> tuple[list[Statement], str]:
    """Return the statements of a pay period as they were known at a moment, and whence, as a sentence.

    Raises:
        ShsError: the month was open, and what was published then is not known.
    """
    when = f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"
    found = connection.execute(_LAST_WORD, [month, moment]).fetchone()
    if found is not None and found[1] == "closed":
        closed_at = f"{found[2].astimezone(UTC):%Y-%m-%d %H:%M}"
        said = f"As of {when} UTC, from the ledger: closed on {closed_at}, receipt {found[0]}."
        return closed_statements(connection, found[0]), said
    try:
        state = state_at(connection, moment.isoformat())
    except ShsError as error:
        raise ShsError(
            f"{month_text(month)} was not closed at {when} UTC, and of open months only what this database "
            f"has published is known. {error.problem}",
            f"{error.remedy} A closed month can be stated as of any time since then.",
        ) from None
    first = _first_known(connection)
    if state.publication_id < first:
        raise ShsError(
            f"{month_text(month)} was not closed at {when} UTC, and statements of open months have been kept "
            f"only since publication {first}.",
            "Name a later time. `shs diff` compares the payouts of earlier publications.",
        )
    marts = {name: _past(connection, name, month, state.publication_id) for name in _MONTHS}
    marts["statement_amounts"] = NO_PLACES
    said = f"As of {when} UTC, provisional: {in_short(state)}."
    return open_statements(connection, month, marts), said


def _first_known(connection: psycopg.Connection) -> int:
    """Return the first publication whose statements are known: the one before changes were first noted."""
    row = connection.execute(
        "select obj_description(to_regclass('history.statements'), 'pg_class'),"
        " (select max(publication_id) from marts.publications)"
    ).fetchone()
    assert row is not None
    begun = _BEGIN.search(row[0] or "")
    return int(begun[1]) - 1 if begun else int(row[1])


def _past(connection: psycopg.Connection, mart: str, month: date, publication_id: int) -> sql.Composable:
    """Return the rows that a mart had of a month, as a relation; those of now where nothing was noted."""
    columns = connection.execute(
        "select attname from pg_attribute"
        " where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped"
        " and attname not in ('publication_id', 'change')",
        [f"history.{mart}"],
    ).fetchall()
    if not columns:
        return sql.Identifier("marts", mart)
    return sql.SQL(_PAST).format(
        columns=sql.SQL(", ").join(sql.Identifier(name) for (name,) in columns),
        mart=sql.Identifier(mart),
        month=sql.Identifier(_MONTHS[mart]),
        wanted=sql.Literal(month),
        state=sql.Literal(publication_id),
    )
