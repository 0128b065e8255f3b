"""Dagster's books in PostgreSQL over connections that are kept: the storage that `dagster.yaml` names.

Dagster's own opens a connection for each query, which costs more than the query: a run with all models
writes hundreds of events. Here a process keeps up to `KEPT` connections, tries one before it uses it, and
closes them with the instance. So does the webserver, for which Dagster would make connections that are
kept, too, but not tried: the first page after a restart of the database would be an error. A failure is
written down so that no retry is missed. Everything else is Dagster's, and the pool is SQLAlchemy's.

`dagster-postgres` has no setting for either (ADR 0048). A pooler such as PgBouncer would be one more service
to run, and connecting to it for each query costs most of what is saved here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from dagster._serdes import ConfigurableClassData
from dagster_postgres import (
    DagsterPostgresStorage,
    PostgresEventLogStorage,
    PostgresRunStorage,
    PostgresScheduleStorage,
)
from dagster_postgres.utils import (
    create_pg_engine,
    get_token_provider_from_config,
    pg_url_from_config,
    set_pg_statement_timeout,
)
from sqlalchemy import event

if TYPE_CHECKING:
    from dagster import EventLogEntry
    from dagster_postgres.auth import PgTokenProvider
    from sqlalchemy.engine import Engine

# For each process; a run writes from one thread, the daemon from some.
KEPT = 3


class _TriedBeforeUse:
    """A part of the storage that goes on with the common connections when the webserver takes it."""

    _engine: Engine

    def optimize_for_webserver(self, statement_timeout: int, pool_recycle: int, max_overflow: int) -> None:
        """Limit the time of a page's queries, in milliseconds; which connections are kept stays as it is."""
        del pool_recycle, max_overflow
        self._engine.dispose()
        event.listen(
            self._engine,
            "connect",
            lambda connection, _: set_pg_statement_timeout(connection, statement_timeout),
        )


class _Runs(_TriedBeforeUse, PostgresRunStorage):
    pass


class _Schedules(_TriedBeforeUse, PostgresScheduleStorage):
    pass


class _EventLog(_TriedBeforeUse, PostgresEventLogStorage):
    runs: _Runs

    def store_event(self, event: EventLogEntry) -> None:
        """Write down an event; the failure of a run only once the run itself says that it failed.

        Dagster writes them the other way round. Its daemon looks at a new failure once, and never repeats a
        run that seems to go on at that moment; it wakes up in the same second as what notices dead runs.
        """
        what = event.dagster_event
        if what is not None and what.is_run_failure:
            self.runs.handle_run_event(event.run_id, what, datetime.fromtimestamp(event.timestamp, UTC))
        super().store_event(event)

    def dispose(self) -> None:
        # The one part that an instance always ends; the connections are common to all three.
        super().dispose()
        self._engine.dispose()


class KeptConnectionsStorage(DagsterPostgresStorage):
    """Runs, events and schedules in one database, over a common pool of connections."""

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
        token_provider: PgTokenProvider | None = None,
    ) -> None:
        super().__init__(postgres_url, should_autocreate_tables, inst_data, token_provider)
        # The tables are made by now.
        self._run_storage = _Runs(postgres_url, False, token_provider=token_provider)
        self._event_log_storage = _EventLog(postgres_url, False, token_provider=token_provider)
        self._schedule_storage = _Schedules(postgres_url, False, token_provider=token_provider)
        # Tried before use, so that a database that was restarted is no error; past `KEPT`, one per query.
        engine = create_pg_engine(
            postgres_url,
            token_provider,
            isolation_level="AUTOCOMMIT",
            pool_size=KEPT,
            max_overflow=-1,
            pool_pre_ping=True,
        )
        for part in (self._run_storage, self._event_log_storage, self._schedule_storage):
            part._engine = engine
        self._event_log_storage.runs = self._run_storage

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        """Make it from the settings of Dagster's own storage, `postgres_db` and so on."""
        return cls(
            pg_url_from_config(config_value),
            config_value.get("should_autocreate_tables", True),
            inst_data,
            get_token_provider_from_config(config_value),
        )
