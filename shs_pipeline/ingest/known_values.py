"""What files are checked against beside their contracts: reference values, and which months are closed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, LiteralString

from psycopg import sql

from shs_pipeline.casting.cells import match_key
from shs_pipeline.landing.names import ADJUSTMENTS

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.files.source import Declaration

Known = Mapping[str, frozenset[str]]
_SERVICE_LINES: LiteralString = """
    select service_lines from reference.service_to_product
    inner join reference.versions using (file_id) where in_force_until is null
"""
_REPS: LiteralString = """
    select
        sales_rep_name,
        coalesce(ops.match_key(rep_category) = 'house', false) as is_house,
        permission = 'admin' and active as is_admin
    from reference.sales_reps
    inner join reference.versions using (file_id) where in_force_until is null
"""
# As who is who resolves names: those that a payee ever had, and what an alias calls a rep.
_FORMER_REPS: LiteralString = """
    select name_key from reference.payee_names
    union
    select name_in_file from reference.aliases
    inner join reference.versions using (file_id)
    where
        in_force_until is null and kind = 'rep' and source is null and coalesce(share, 1) = 1
        and valid_from is null and valid_until is null
"""
# Those that were built; and what aliases say that files call them.
_PRODUCT_LINES: LiteralString = """
    select product_line from reference.product_line_names
    union
    select name_in_file from reference.aliases
    inner join reference.versions using (file_id)
    where in_force_until is null and kind = 'product line'
"""
_CLOSED_UNTIL: LiteralString = """
    select max(pay_period)::text
    from (
        select distinct on (pay_period) pay_period, kind from ledger.closes
        order by pay_period, close_no desc
    ) as last_words
    where kind = 'closed'
"""
# Those of closed months also where the books are new and only the ledger was read back.
_IN_FORCE: LiteralString = """
    select sha256 from ops.files where source = 'adjustments' and status = 'loaded'
    union
    select inputs.value
    from ledger.closes cross join lateral jsonb_each_text(closes.inputs) as inputs
    where inputs.key like 'incoming/adjustments/%'
"""


def known_values(connection: psycopg.Connection, declaration: Declaration | None) -> Known:
    """Return the values that the files of a declaration are checked against."""
    if declaration is not None and declaration.name == ADJUSTMENTS:
        return _of_adjustments(connection)
    if "service_to_product" in getattr(declaration, "needs", ()):
        return {"service_to_product": frozenset(map(match_key, _texts(connection, _SERVICE_LINES)))}
    return {}


def _of_adjustments(connection: psycopg.Connection) -> Known:
    from shs_pipeline.sources import adjustments

    reps = connection.execute(_REPS).fetchall()
    return {
        adjustments.REPS: frozenset(name for name, is_house, _ in reps if not is_house),
        adjustments.HOUSES: frozenset(name for name, is_house, _ in reps if is_house),
        adjustments.ADMINS: frozenset(name for name, is_house, is_admin in reps if is_admin and not is_house),
        adjustments.FORMER_REPS: _texts(connection, _FORMER_REPS),
        adjustments.PRODUCT_LINES: _product_lines(connection),
        adjustments.CLOSED_UNTIL: _texts(connection, _CLOSED_UNTIL),
        adjustments.IN_FORCE: _texts(connection, _IN_FORCE),
    }


def _product_lines(connection: psycopg.Connection) -> frozenset[str]:
    """Return all names of product lines: of sources, of the workbooks in force, and those that were built."""
    from shs_pipeline.reference.product_lines import PRODUCT_LINES
    from shs_pipeline.sources.registry import all_sources

    found = set(_texts(connection, _PRODUCT_LINES))
    found |= {source.product_line for source in all_sources() if source.product_line}
    for place in PRODUCT_LINES:
        table, column = place.split(".")
        query = sql.SQL(
            "select distinct {} from {} inner join reference.versions using (file_id)"
            " where in_force_until is null"
        ).format(sql.Identifier(column), sql.Identifier("reference", table))
        found |= {name for (name,) in connection.execute(query) if name}
    return frozenset(found)


def _texts(connection: psycopg.Connection, query: LiteralString) -> frozenset[str]:
    return frozenset(text for (text,) in connection.execute(query) if text)
