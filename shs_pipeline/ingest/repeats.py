"""Sales that a file has in common with other files of its source: a copy, or a warning with their sum."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from psycopg import sql

from shs_pipeline.base.wording import count_of, dollars, form_for
from shs_pipeline.files.contract import columns_of
from shs_pipeline.files.reading import Problem
from shs_pipeline.ingest import bookkeeping as books
from shs_pipeline.ingest.loading import other_files_in_force

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

    from shs_pipeline.files.source import Source
    from shs_pipeline.ingest.folder_report import FileReport, InForce
    from shs_pipeline.landing.listing import Drop


@dataclass(frozen=True)
class Repeats:
    """Sales of a file that other files of its source have too.

    Attributes:
        path: of the file, which has `of_lines` lines.
        lines: how many of them other files have, each counted once.
        amounts: sums of these lines by heading of the amount, here and in the other files (USD).
        twin: the other file that has most of them.
        files: in how many other files they are.
    """

    path: str
    of_lines: int
    lines: int
    amounts: Mapping[str, tuple[Decimal, Decimal]]
    twin: InForce
    files: int

    @property
    def makes_a_copy(self) -> bool:
        """Whether more than half of the file is elsewhere."""
        return self.lines * 2 > self.of_lines

    @property
    def _these(self) -> str:
        lines = count_of(self.of_lines, "line")
        return f"{self.lines} of the {lines} in {self.path} {form_for(self.lines, 'is', 'are')}"

    @property
    def _sums(self) -> str:
        sums = (
            f"{heading} {dollars(here)} here and {dollars(there)} there"
            for heading, (here, there) in self.amounts.items()
        )
        return f"{form_for(self.lines, 'This sale', 'These sales')}: {'; '.join(sums)}"

    def as_copy(self) -> Problem:
        """Return why the file is rejected."""
        folder, _, name = self.path.rpartition("/")
        return Problem(
            f"{self._these} already loaded, most of them from {self.twin.path}, so it looks like a corrected "
            f"copy. {self._sums}.",
            "To replace that file, delete it or drop this one under its name. If both count, drop this one "
            f"as {folder}/overlap=ok/{name}.",
        )

    def as_warning(self) -> Problem:
        """Return what is said of a file that is loaded."""
        more = f" and {count_of(self.files - 1, 'other file')}" if self.files > 1 else ""
        return Problem(
            f"{self._these} {form_for(self.lines, 'a sale', 'sales')} that {self.twin.path}{more} already "
            f"has, and both count. {self._sums}.",
            "If they were delivered twice, have one of the files corrected. The Admin dashboard lists them "
            "under Sales that appear twice.",
            severity="warning",
        )


def same_bytes(drop: Drop, twin: InForce) -> Problem:
    """Return why a file with the bytes of another one is rejected."""
    return Problem(
        f"{drop.path} is identical to {twin.path}, which is already loaded.",
        "Delete one of the two; nothing is paid twice. If you delete the other one, this one is then loaded "
        "automatically.",
    )


# One line of a sale in two files is a repeat, unless a credit lies between, or is in one of both months: then
# the sale was billed anew. Twins in one file are sales of their own, so the first is held against the first.
_REPEATS = """
    with mine as (
        select {numbered} from {table} as lines where file_id = %(file_id)s
    ),
    theirs as (
        select {numbered} from {table} as lines
        where file_id <> %(file_id)s and sale_key in (select sale_key from mine)
    ),
    pairs as (
        select
            mine.source_sheet, mine.source_row, theirs.file_id,
            count(*) over (partition by theirs.file_id) as in_common,
            {both}
        from mine inner join theirs using (sale_key, is_credit, number)
        where not exists (
            select from {table} as opposite
            where
                opposite.sale_key = mine.sale_key
                and (opposite.{sales} < 0) <> mine.is_credit
                and opposite.commission_month
                    between least(mine.commission_month, theirs.commission_month)
                    and greatest(mine.commission_month, theirs.commission_month)
        )
    ),
    repeats as (
        select distinct on (source_sheet, source_row) * from pairs
        order by source_sheet, source_row, in_common desc, file_id
    )
    select
        count(*),
        (select file_id from pairs order by in_common desc, file_id limit 1),
        (select count(distinct file_id) from pairs),
        {sums}
    from repeats
"""


def repeats_in(connection: psycopg.Connection, source: Source, report: FileReport) -> Repeats | None:
    """Return which sales of a file that was just loaded other files of its source have too, if any.

    A sale is known by its key and the sign of its amount, whatever the amount is.
    """
    if not other_files_in_force(connection, source.name, report.path):
        return None
    row = connection.execute(_query(source), {"file_id": report.file_id}).fetchone()
    assert row is not None
    lines, twin, files, *sums = row
    if not lines:
        return None
    headings = {column.name: column.header for column in columns_of(source.rows)}
    pairs = zip(sums[: len(source.amounts)], sums[len(source.amounts) :], strict=True)
    return Repeats(
        path=report.path,
        of_lines=report.rows_loaded,
        lines=lines,
        amounts=dict(zip(map(headings.__getitem__, source.amounts), pairs, strict=True)),
        twin=books.file_by_id(connection, twin),
        files=files,
    )


def _query(source: Source) -> sql.Composed:
    sales = sql.Identifier(source.amounts[0])
    numbered = sql.SQL(
        "file_id, source_sheet, source_row, commission_month, sale_key, {sales} < 0 as is_credit, {amounts},"
        " row_number() over (partition by file_id, sale_key, {sales} < 0 order by"
        ' source_sheet collate "C", source_row) as number'
    ).format(sales=sales, amounts=sql.SQL(", ").join(map(sql.Identifier, source.amounts)))
    sides = [(side, name) for side in ("mine", "theirs") for name in source.amounts]
    both = [
        sql.SQL("{}.{} as {}").format(*map(sql.Identifier, (side, name, f"{side}_{name}")))
        for side, name in sides
    ]
    return sql.SQL(_REPEATS).format(
        table=sql.Identifier("raw", source.name),
        numbered=numbered,
        sales=sales,
        both=sql.SQL(", ").join(both),
        sums=sql.SQL(", ").join(
            sql.SQL("sum({})").format(sql.Identifier(f"{side}_{name}")) for side, name in sides
        ),
    )
