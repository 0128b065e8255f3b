"""A made-up history put straight into `raw`, `reference` and `ops`, as ingestion would leave them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from hashlib import sha256
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from shs_pipeline.ingest.warehouse import added_columns, ensure_tables, has_tables
from shs_pipeline.landing.names import ADJUSTMENTS, SOURCE_NAMES
from shs_pipeline.sources.registry import incoming_named, source_named
from tests.engine.model import (
    Alias,
    BusinessObjective,
    CommissionTier,
    OpeningBalance,
    PayPeriod,
    RawLine,
    Reference,
    SalesRep,
    ServiceToProduct,
    Territory,
    TierThreshold,
)
from tests.engine.sales import sale_key
from tests.engine.worlds import Action, Batch, Change, Drop, Loaded, Refuse, Reread, State, Withdraw

MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
ROW_TYPES: dict[str, type[Any]] = {
    "sales_reps": SalesRep,
    "commission_tiers": CommissionTier,
    "tier_thresholds": TierThreshold,
    "territories": Territory,
    "service_to_product": ServiceToProduct,
    "aliases": Alias,
    "pay_periods": PayPeriod,
    "opening_balances": OpeningBalance,
}


class WarehouseRows:
    """A warehouse that follows a history, and the state that it should be in.

    Args:
        connection: as the owner; each batch is committed.
    """

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        self.state = State()
        self._versions: dict[str, int] = {}
        if not has_tables(connection):
            ensure_tables(connection)
        connection.commit()

    def empty(self) -> None:
        """Forget everything that was ever dropped; ids go on where they were."""
        tables = self.connection.execute(
            "select table_schema, table_name from information_schema.tables"
            " where table_schema in ('raw', 'reference', 'ops') and table_type = 'BASE TABLE'"
        ).fetchall()
        names = sql.SQL(", ").join(sql.Identifier(*table) for table in tables)
        self.connection.execute(sql.SQL("truncate {} cascade").format(names))
        self.connection.commit()
        self.state = State(last_id=self.state.last_id)
        self._versions = {}

    def apply(self, batch: Batch, run_id: str) -> None:
        """Do what ingestion does when the landing zone changes so."""
        for action in batch:
            self._apply(action, run_id)
        self.connection.commit()

    def _apply(self, action: Action, run_id: str) -> None:
        before = dict(self.state.files)
        if isinstance(action, Refuse):
            self._refuse(before[action.path].drop, run_id)
            return
        self.state.apply(action)
        match action:
            case Drop():
                self._load(before.get(action.path), self.state.files[action.path], run_id)
            case Reread():
                # The same bytes keep their row of the books, and their lines are written again.
                loaded = before[action.path]
                self._delete_lines(loaded)
                self._close(loaded.drop.path, "rejected", "superseded", run_id)
                self._set("ops.files", "run_id = %s, finished = clock_timestamp()", [run_id], loaded.file_id)
                self._copy_lines(loaded)
                self._note_folder(loaded.drop, run_id)
            case Withdraw():
                self._delete_lines(before[action.path])
                self._close(action.path, "loaded", "withdrawn", run_id)
                self._close(action.path, "rejected", "withdrawn", run_id)
                self._note_folder(before[action.path].drop, run_id)
            case Change():
                self._put_in_force(action, run_id)

    def _load(self, old: Loaded | None, new: Loaded, run_id: str) -> None:
        if old is not None:
            self._delete_lines(old)
            self._close(old.drop.path, "loaded", "superseded", run_id)
        self._close(new.drop.path, "rejected", "superseded", run_id)
        drop = new.drop
        amounts = incoming_named(drop.source).amounts
        sums = {name: str(sum(draft.cells[name] for draft in drop.drafts)) for name in amounts}
        self._book(new.file_id, drop.source, drop.month, drop.path, "loaded", len(drop.drafts), run_id, sums)
        self._copy_lines(new)
        self._note_folder(drop, run_id)

    def _refuse(self, drop: Drop, run_id: str) -> None:
        self._close(drop.path, "rejected", "superseded", run_id)
        file_id = self.state.new_id()
        self._book(file_id, drop.source, drop.month, drop.path, "rejected", 0, run_id, {})
        self._insert(
            "ops",
            "file_errors",
            [
                {
                    "file_id": file_id,
                    "error_no": 1,
                    "severity": "error",
                    "sheet": "Sheet1",
                    "row": 5,
                    "problem": "This is not an amount.",
                    "remedy": "Type an amount.",
                }
            ],
        )
        self._note_folder(drop, run_id)

    def _put_in_force(self, change: Change, run_id: str) -> None:
        path, file_id = f"reference/{change.table}.xlsx", self.state.new_id()
        self._close(path, "loaded", "superseded", run_id)
        self._book(file_id, change.table, None, path, "loaded", len(change.rows), run_id, {})
        rows = [
            {"file_id": file_id, "source_sheet": "Sheet1", "source_row": number, **as_columns(row)}
            for number, row in enumerate(change.rows, start=2)
        ]
        self._insert("reference", change.table, rows)
        moment = self.connection.execute("select clock_timestamp()").fetchone()
        assert moment is not None
        self.connection.execute(
            "update reference.versions set in_force_until = %s"
            " where table_name = %s and in_force_until is null",
            [moment[0], change.table],
        )
        self.connection.execute(
            "insert into reference.versions (file_id, table_name, in_force_from) values (%s, %s, %s)",
            [file_id, change.table, moment[0]],
        )
        self._versions[change.table] = file_id
        self._note(f"reference/{change.table}", f"{file_id}", len(change.rows), run_id)

    def _copy_lines(self, loaded: Loaded) -> None:
        rows = [
            {
                "file_id": line.file_id,
                "source_sheet": line.source_sheet,
                "source_row": line.source_row,
                "commission_month": line.commission_month,
                **({} if line.source == ADJUSTMENTS else _of_sale(line)),
                **line.cells,
            }
            for line in loaded.lines()
        ]
        self._insert("raw", loaded.drop.source, rows)

    def _delete_lines(self, loaded: Loaded) -> None:
        table = sql.Identifier("raw", loaded.drop.source)
        self.connection.execute(sql.SQL("delete from {} where file_id = %s").format(table), [loaded.file_id])

    def _book(
        self,
        file_id: int,
        source: str,
        month: date | None,
        path: str,
        status: str,
        count: int,
        run_id: str,
        sums: Mapping[str, str],
    ) -> None:
        is_rejected = status == "rejected"
        content = f"{path} {file_id}"
        row = {
            "file_id": file_id,
            "source": source,
            "commission_month": month,
            "path": path,
            "uri": f"file:///landing/{path}",
            "sha256": sha256(content.encode()).hexdigest(),
            "bytes": 1000 + file_id,
            "etag": f"etag {file_id}",
            "status": status,
            "rows_read": count or 1,
            "rows_loaded": count,
            "sums": Jsonb(dict(sums)),
            "error_count": int(is_rejected),
            "problem": "This is not an amount." if is_rejected else None,
            "remedy": "Type an amount." if is_rejected else None,
            "run_id": run_id,
        }
        self._insert("ops", "files", [row])
        self._set("ops.files", "finished = clock_timestamp()", [], file_id)

    def _close(self, path: str, status: str, now: str, run_id: str) -> None:
        self.connection.execute(
            "update ops.files set status = %s, run_id = %s, finished = clock_timestamp()"
            " where path = %s and status = %s",
            [now, run_id, path, status],
        )

    def _set(self, table: str, changes: str, values: Sequence[Any], file_id: int) -> None:
        statement = f"update {table} set {changes} where file_id = %s"
        self.connection.execute(statement.encode(), [*values, file_id])

    def _note_folder(self, drop: Drop, run_id: str) -> None:
        files = [
            loaded
            for loaded in self.state.files.values()
            if (loaded.drop.source, loaded.drop.month) == (drop.source, drop.month)
        ]
        count = sum(len(loaded.drop.drafts) for loaded in files)
        marks = [f"{loaded.file_id}" for loaded in files]
        marks += [f"{self._versions.get(table, 0)}" for table in incoming_named(drop.source).needs]
        fingerprint = " ".join(marks) if files else ""
        self._note(f"{drop.source}/{drop.month:%Y-%m}", fingerprint, count, run_id)

    def _note(self, folder: str, fingerprint: str, count: int, run_id: str) -> None:
        self.connection.execute(
            "insert into ops.folders as old (folder, fingerprint, rows_in_force, rows_before, run_id)"
            " values (%s, %s, %s, 0, %s) on conflict (folder) do update set"
            " fingerprint = excluded.fingerprint, rows_in_force = excluded.rows_in_force,"
            " rows_before = old.rows_in_force, run_id = excluded.run_id, finished = clock_timestamp()",
            [folder, sha256(fingerprint.encode()).hexdigest() if fingerprint else "", count, run_id],
        )

    def _insert(self, schema: str, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        for row in rows:
            statement = sql.SQL("insert into {} ({}) overriding system value values ({})").format(
                sql.Identifier(schema, table),
                sql.SQL(", ").join(map(sql.Identifier, row)),
                sql.SQL(", ").join(sql.Placeholder() * len(row)),
            )
            self.connection.execute(statement, list(row.values()))


def as_columns(row: Any) -> dict[str, Any]:
    """Return a row of a reference table by database column."""
    if isinstance(row, BusinessObjective):
        names = ("sales_rep_name", "product_line", "year", "valid_from", "valid_until")
        own = {name: getattr(row, name) for name in names}
        return {**own, **dict(zip(MONTHS, row.months, strict=True))}
    return asdict(row)


def read_warehouse(connection: psycopg.Connection) -> tuple[list[RawLine], Reference]:
    """Read the lines, and the reference data with all their versions, whoever wrote them."""
    versions = connection.execute(
        "select table_name, file_id from reference.versions order by in_force_from, file_id"
    ).fetchall()
    past = tuple((table, tuple(_read_table(connection, table, file_id))) for table, file_id in versions)
    reference = Reference(**dict(past), past=past)
    return [line for source in SOURCE_NAMES for line in _read_lines(connection, source)], reference


def _read_lines(connection: psycopg.Connection, source: str) -> Iterable[RawLine]:
    added = {"its_path", *(name for name, _ in added_columns(source_named(source)))}
    query = sql.SQL(
        "select f.path as its_path, r.* from {} as r inner join ops.files as f using (file_id)"
        " order by file_id, source_sheet, source_row"
    ).format(sql.Identifier("raw", source))
    with connection.cursor(row_factory=dict_row) as cursor:
        for row in cursor.execute(query):
            yield RawLine(
                source=source,
                file_id=row["file_id"],
                source_file=row["its_path"],
                source_sheet=row["source_sheet"],
                source_row=row["source_row"],
                commission_month=row["commission_month"],
                revenue_date=row["revenue_date"],
                cells={name: cell for name, cell in row.items() if name not in added},
            )


def _read_table(connection: psycopg.Connection, table: str, file_id: int) -> Iterable[Any]:
    query = sql.SQL("select * from {} where file_id = %s order by source_sheet, source_row").format(
        sql.Identifier("reference", table)
    )
    with connection.cursor(row_factory=dict_row) as cursor:
        for row in cursor.execute(query, [file_id]):
            if table == "business_objectives":
                months = tuple(row[month] for month in MONTHS)
                period = (row["valid_from"], row["valid_until"])
                yield BusinessObjective(
                    row["sales_rep_name"], row["product_line"], row["year"], months, *period
                )
            else:
                row_type = ROW_TYPES[table]
                yield row_type(**{name: row[name] for name in row_type.__dataclass_fields__})


def _of_sale(line: RawLine) -> dict[str, Any]:
    return {"revenue_date": line.revenue_date, "sale_key": _signed(sale_key(line))}


def _signed(key: int) -> int:
    return key - 2**64 if key >= 2**63 else key
