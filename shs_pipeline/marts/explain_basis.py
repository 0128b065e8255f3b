"""What a payout rests on in the reference workbooks, and what is missing in them, with what to type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from psycopg.rows import class_row

from shs_pipeline.base.months import month_text
from shs_pipeline.base.wording import count_of
from shs_pipeline.marts.explain import rates_in_words

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.marts.explain import Payout

_SHOWN = 3
# Of the version that people read, which may not be the newest.
_PUBLISHED = (
    "(select (reference_versions ->> %(table)s)::bigint from marts.publications"
    " order by publication_id desc limit 1)"
)


@dataclass(frozen=True)
class RateRow:
    """A row of commission_tiers by which lines of a payout are paid; no product line: for all."""

    path: str
    source_sheet: str
    source_row: int
    product_line: str | None
    tier_1_rate: Decimal
    tier_2_rate: Decimal | None
    valid_from: date
    valid_until: date | None


@dataclass(frozen=True)
class OwnerRow:
    """A row of territories by which lines of a payout are the rep's."""

    path: str
    source_sheet: str
    source_row: int
    source: str
    territory: str
    valid_from: date
    valid_until: date | None
    lines: int


@dataclass(frozen=True)
class AliasRow:
    """A row of aliases by which lines of a payout, or parts of them, are the rep's."""

    path: str
    source_sheet: str
    source_row: int
    name_in_file: str
    means: str
    valid_from: date | None
    valid_until: date | None
    lines: int


@dataclass(frozen=True)
class NobodysLine:
    """A line that is credited to nobody in the month (USD)."""

    reason: str
    source: str
    territory: str | None
    rep_named: str | None
    place: str
    sales_actual: Decimal


@dataclass(frozen=True)
class Basis:
    """What a payout rests on.

    Attributes:
        missing: sentences with what to type where.
    """

    rates: Sequence[RateRow]
    owners: Sequence[OwnerRow]
    aliases: Sequence[AliasRow]
    missing: Sequence[str]


def basis_of(connection: psycopg.Connection, payout: Payout) -> Basis:
    """Return the rows of reference workbooks that a payout follows from, and what they lack."""
    return Basis(
        _rates(connection, payout),
        _owners(connection, payout),
        _aliases(connection, payout),
        missing_in_words(payout),
    )


def missing_in_words(payout: Payout) -> list[str]:
    """Return what the reference workbooks lack for a payout, each with what to type."""
    rep, line = payout.rep_name, payout.product_line
    month, year = month_text(payout.commission_month), payout.commission_month.year
    said = []
    unrated = [each for each in payout.lines if each.tier_1_rate is None]
    if unrated:
        said.append(
            f"{count_of(len(unrated), 'line')} without a rate in {month}: add a row to commission_tiers with "
            f"Sales Rep Name {rep}, Product Line {line} (or blank for all), Valid from {month}-01 or "
            "earlier, and the rates."
        )
    # Without a second rate there is nothing that a threshold could open.
    if payout.threshold is None and any(each.tier_2_rate is not None for each in payout.lines):
        said.append(
            f"No threshold for {year}: to have tier 2 reached, add a row to tier_thresholds with Sales Rep "
            f"Name {rep}, Product Line {line}, Year {year}, and the threshold."
        )
    return said


def nobodys_lines(connection: psycopg.Connection, month: date) -> list[NobodysLine]:
    """Return the lines of a commission month that have no owner or an unknown one, the largest first."""
    with connection.cursor(row_factory=class_row(NobodysLine)) as cursor:
        return cursor.execute(
            "select reason, source, territory, coalesce(rep_meant, rep_named) as rep_named,"
            " source_file || ', ' || source_sheet || ' ' || source_row as place, sales_actual"
            " from marts.uncredited_sales where commission_month = %s and reason <> 'no_tier_rate'"
            " order by abs(sales_actual) desc, line_id",
            [month],
        ).fetchall()


def nobodys_in_words(lines: Sequence[NobodysLine], month: date) -> list[str]:
    """Return what of a month is credited to nobody, and what to type for the largest lines."""
    if not lines:
        return []
    total = sum((line.sales_actual for line in lines), Decimal(0))
    what = f"{count_of(len(lines), 'line')} of {month_text(month)}"
    said = [f"{what} credited to nobody, {total:,.2f} in sales."]
    said += [f"  {line.sales_actual:,.2f}, {line.place}: {_to_type(line)}" for line in lines[:_SHOWN]]
    if len(lines) > _SHOWN:
        said.append(f"  … and {len(lines) - _SHOWN} more: shs preview, dashboard Admin")
    return said


def _to_type(line: NobodysLine) -> str:
    if line.reason == "unknown_rep":
        who = line.rep_named or "the rep, whom the file does not name,"
        return f"add {who} to sales_reps, or say in aliases who that is."
    field, _, value = (line.territory or "").partition(": ")
    if not value:
        return "add its owner to territories."
    return (
        f"add a row to territories with Source {line.source}, Customer field {field}, Data field value "
        f"{value}, the owner, and Valid from."
    )


def rate_in_words(row: RateRow) -> str:
    """Return a rate with its period and the row that it is from."""
    rates = rates_in_words(row.tier_1_rate, row.tier_2_rate)
    which = row.product_line or "all product lines"
    return f"{rates} {_period(row.valid_from, row.valid_until)}: {row.path}, row {row.source_row} ({which})"


def owner_in_words(row: OwnerRow) -> str:
    """Return a customer with the row that makes it the rep's."""
    period = _period(row.valid_from, row.valid_until)
    lines = count_of(row.lines, "line")
    return f"{row.territory} {period}: {row.path}, row {row.source_row} ({lines})"


def alias_in_words(row: AliasRow) -> str:
    """Return what a name means with the row that says so."""
    lines = count_of(row.lines, "line")
    period = f" {_period(row.valid_from, row.valid_until)}" if row.valid_from or row.valid_until else ""
    return f"{row.name_in_file} means {row.means}{period}: {row.path}, row {row.source_row} ({lines})"


def _period(first: date | None, until: date | None) -> str:
    parts = [f"from {first}" if first else "", f"until {until}" if until else ""]
    return " ".join(filter(None, parts))


def _rates(connection: psycopg.Connection, payout: Payout) -> list[RateRow]:
    """Return the rows in force in the months of the lines: that of the product line before that for all."""
    months = sorted({line.line_month for line in payout.lines if line.tier_1_rate is not None})
    with connection.cursor(row_factory=class_row(RateRow)) as cursor:
        found = cursor.execute(
            "select distinct on (month) path, source_sheet, source_row, tiers.product_line,"  # noqa: S608 - fixed text
            " commission_tier_1_rate as tier_1_rate, commission_tier_2_rate as tier_2_rate,"
            " valid_from, valid_until"
            " from unnest(%(months)s::date[]) as month"
            " inner join reference.commission_tiers as tiers on valid_from <= month"
            "  and (valid_until is null or valid_until > month)"
            " inner join ops.files using (file_id)"
            " inner join reference.payee_names as payees on payees.name_key = ops.match_key(sales_rep_name)"
            " left join reference.product_line_names as names"
            "  on names.name_key = ops.match_key(tiers.product_line)"
            f" where tiers.file_id = {_PUBLISHED} and payees.payee_id = %(payee)s"
            " and (tiers.product_line is null or names.product_line_id = %(line)s)"
            " order by month, tiers.product_line is null, source_row",
            {
                "months": months,
                "table": "commission_tiers",
                "payee": payout.payee_id,
                "line": payout.product_line_id,
            },
        ).fetchall()
    paid = {(line.tier_1_rate, line.tier_2_rate) for line in payout.lines}
    # A leaver may be paid by a row of an earlier version, which is none of these.
    return [row for row in dict.fromkeys(found) if (row.tier_1_rate, row.tier_2_rate) in paid]


def _owners(connection: psycopg.Connection, payout: Payout) -> list[OwnerRow]:
    with connection.cursor(row_factory=class_row(OwnerRow)) as cursor:
        return cursor.execute(
            "select path, rows.source_sheet, rows.source_row, rows.source,"  # noqa: S608 - fixed text
            " min(lines.territory) as territory, valid_from, valid_until, count(*) as lines"
            " from marts.harmonised_sales as lines"
            " inner join reference.territories as rows on rows.source = lines.source"
            "  and ops.match_key(rows.customer_field || ': ' || rows.data_field_value)"
            "   = ops.match_key(lines.territory)"
            # By the line's day or by its month, as the source has it.
            "  and valid_from <= lines.revenue_date and coalesce(valid_until > lines.revenue_month, true)"
            " inner join ops.files on files.file_id = rows.file_id"
            " left join reference.payee_names as payees"
            "  on payees.name_key = ops.match_key(rows.sales_rep_name)"
            f" where rows.file_id = {_PUBLISHED} and lines.rep_in_file is null"
            # The rep's own row, also of several who share the customer, or that of an alias of the rep.
            " and (payees.payee_id = lines.payee_id"
            "  or ops.match_key(rows.sales_rep_name) = ops.match_key(lines.rep_named))"
            " and lines.credit_id = any(%(lines)s)"
            " group by path, rows.source_sheet, rows.source_row, rows.source, valid_from, valid_until"
            " order by rows.source_row",
            {"table": "territories", "lines": [line.credit_id for line in payout.lines]},
        ).fetchall()


def _aliases(connection: psycopg.Connection, payout: Payout) -> list[AliasRow]:
    with connection.cursor(row_factory=class_row(AliasRow)) as cursor:
        return cursor.execute(
            "select path, source_sheet, source_row, name_in_file, means, valid_from, valid_until,"  # noqa: S608 - fixed text
            " count(*) as lines"
            # A row for the source goes before one for all.
            " from (select distinct on (lines.credit_id) files.path, rows.*"
            "  from marts.harmonised_sales as lines"
            "  inner join reference.aliases as rows on rows.kind = 'rep'"
            "   and ops.match_key(rows.name_in_file) = ops.match_key(lines.rep_named)"
            "   and coalesce(rows.source = lines.source, true)"
            "   and coalesce(rows.valid_from <= lines.revenue_date, true)"
            "   and coalesce(rows.valid_until > lines.revenue_month, true)"
            "  inner join ops.files on files.file_id = rows.file_id"
            "  inner join reference.payee_names as payees on payees.name_key = ops.match_key(rows.means)"
            "   and payees.payee_id = lines.payee_id"
            f"  where rows.file_id = {_PUBLISHED} and lines.rep_meant is not null"
            "   and lines.credit_id = any(%(lines)s)"
            "  order by lines.credit_id, rows.source is null, rows.source_row) as of_lines"
            " group by path, source_sheet, source_row, name_in_file, means, valid_from, valid_until"
            " order by source_row",
            {"table": "aliases", "lines": [line.credit_id for line in payout.lines]},
        ).fetchall()
