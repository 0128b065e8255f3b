"""Run dbt in this process: the project's manifest is parsed once, and each build starts from it.

A subprocess would spend more time on its imports than on the build. Results come back as plain values,
so that nothing else here knows dbt.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from psycopg.conninfo import conninfo_to_dict

from shs_pipeline.base.errors import ShsError

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"
_READ = ("models", "macros", "tests", "dbt_project.yml")
# dbt keeps its settings in module-level state: one invocation at a time in a process.
_ONE_AT_A_TIME = Lock()

THREADS = 4
"""Models that are built at the same time."""

# What a build writes before its publication may be lost in a crash: the next one recomputes it.
# A statement whose process was killed ends soon, and a session that waits for its next model stays,
# whatever the server's own settings say.
_SESSION = (
    "-c search_path=pg_catalog -c synchronous_commit=off -c jit=off -c client_connection_check_interval=2s"
    " -c idle_session_timeout=0"
)

NodeStatus = Literal["success", "error", "skipped"]


@dataclass(frozen=True)
class NodeResult:
    """The result of a model or test.

    Attributes:
        unique_id: as in the manifest: `model.shs.harmonised_sales`.
        kind: `model` or `test`.
        failures: rows that a test found.
        message: what dbt or the database said.
        compiled: the SQL that was run, for a test: its rows are the offending ones.
    """

    unique_id: str
    name: str
    kind: str
    status: NodeStatus
    seconds: float
    failures: int = 0
    message: str = ""
    compiled: str = ""


@cache
def definition_hash() -> str:
    """Return a hash of everything that the models are made of; another one asks for a full refresh."""
    digest = sha256()
    for path in _project_files():
        digest.update(path.relative_to(PROJECT).as_posix().encode() + b"\x00" + path.read_bytes() + b"\x00")
    return digest.hexdigest()[:16]


def _project_files() -> list[Path]:
    found = [PROJECT / part for part in _READ]
    files = [file for part in found for file in (part.rglob("*") if part.is_dir() else [part])]
    return sorted(file for file in files if file.suffix in (".sql", ".yml"))


def prepare_manifest() -> Path:
    """Parse the project unless that was done for these models; return the folder of the manifest.

    `make setup` and the image do it once, so that nothing is parsed where it has to be quick.

    Raises:
        ShsError: the models cannot be parsed, or the folder cannot be written.
    """
    folder = PROJECT / "target" / definition_hash()
    if (folder / "manifest.json").is_file():
        return folder
    try:
        folder.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".parsing-") as made, _ONE_AT_A_TIME:
            parsed = Path(made) / "parsed"
            _invoke(["parse", "--no-partial-parse"], parsed, manifest=None)
            # Whoever was first has made the same; a folder with files in it is not replaced.
            with suppress(FileExistsError, NotADirectoryError):
                _renamed(parsed, folder)
    except PermissionError as error:
        raise ShsError(
            f"The parsed models cannot be written to {folder.parent} ({error.strerror}).",
            "Run `make setup` once as the owner of the project's folder; it parses them.",
        ) from None
    return folder


def _renamed(made: Path, folder: Path) -> None:
    try:
        made.rename(folder)
    except OSError:
        if not (folder / "manifest.json").is_file():
            raise


def run_dbt(
    arguments: Sequence[str],
    database_url: str,
    variables: Mapping[str, str | bool | int],
    session: str = "shs models",
) -> list[NodeResult]:
    """Run a dbt command on the warehouse and return what became of each node, in order.

    Args:
        arguments: such as `["build", "--full-refresh"]`.
        database_url: the owner's URL; it reaches dbt through the environment, never an argument.
        variables: dbt's vars; plain values that are part of the SQL.
        session: what the server calls dbt's sessions.

    Raises:
        ShsError: dbt did not come to the point of running models.
        KeyboardInterrupt, SystemExit: as it was interrupted; what was running is not waited for.
    """
    name = str(conninfo_to_dict(database_url)["dbname"])
    manifest = _read_manifest(prepare_manifest(), name, is_build=arguments[0] == "build")
    told = [
        *(*arguments, "--no-write-json", "--no-populate-cache", "--threads", str(THREADS)),
        *("--vars", json.dumps(dict(variables))),
    ]
    with (
        tempfile.TemporaryDirectory(prefix="shs-dbt-") as scratch,
        _ONE_AT_A_TIME,
        _environment(database_url, session),
    ):
        return _invoke(told, Path(scratch), manifest)


def _read_manifest(folder: Path, database: str, *, is_build: bool) -> Manifest:
    """Read the parsed project, the file that dbt itself starts a partial parse from, for a database.

    dbt gives every node a copy of every macro, so a build gets those alone that it can come to.
    """
    import msgpack
    from dbt.contracts.graph.manifest import Manifest

    def decoder(encoded: Any) -> dict[Any, Any]:
        parsed: dict[Any, Any] = msgpack.unpackb(encoded, raw=False)
        parsed["files"] = {}
        if is_build:
            parsed["unit_tests"] = {}
            parsed["macros"] = _built_with(parsed["macros"], parsed["nodes"])
        return parsed

    manifest = Manifest.from_msgpack((folder / "partial_parse.msgpack").read_bytes(), decoder=decoder)
    # Parsing wrote down the database that it was done for, and adapters refuse any other.
    for node in (*manifest.nodes.values(), *manifest.sources.values()):
        if node.database:
            node.database = database
    manifest.build_flat_graph()
    return manifest


def _built_with(macros: Mapping[str, Any], nodes: Mapping[str, Any]) -> dict[str, Any]:
    """The macros that a build can come to: of nodes, materializations and the adapter, and theirs in turn."""
    from dbt.adapters.sql import impl as adapter

    names = {macro["name"] for macro in macros.values()}
    asked = {name for key, name in vars(adapter).items() if key.endswith("_MACRO_NAME")}
    for kind in {node["config"]["materialized"] for node in nodes.values()}:
        own = f"materialization_{kind}_postgres"
        asked.add(own if own in names else f"materialization_{kind}_default")
    found = {key for key, macro in macros.items() if macro["name"] in asked}
    found.update(*(node["depends_on"]["macros"] for node in nodes.values()))
    left = list(found)
    while left:
        more = {*macros[left.pop()]["depends_on"]["macros"]} - found
        found |= more
        left += more
    return {key: macro for key, macro in macros.items() if key in found}


def _invoke(
    arguments: Sequence[str],
    folder: Path,
    manifest: Manifest | None,
) -> list[NodeResult]:
    from dbt.cli.main import dbtRunner

    flags = [
        *("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)),
        *("--target-path", str(folder), "--log-path", str(folder)),
        *("--log-level", "none", "--log-level-file", "none", "--no-use-colors", "--no-version-check"),
    ]
    with _silence(), _unwritten(), _kept_sessions(), _unsigned_flags():
        outcome = dbtRunner(manifest).invoke([*arguments, *flags])
    if outcome.exception is not None and not isinstance(outcome.exception, Exception):
        # dbt hands back an interruption as if it were a result.
        raise outcome.exception
    if outcome.exception is not None:
        raise ShsError(
            f"dbt could not begin: {' '.join(str(outcome.exception).split())}",
            "Run `shs doctor`; if the database is fine, the models in dbt_project/ contradict each other.",
        )
    return [_result(result) for result in getattr(outcome.result, "results", ())]


def _result(result: Any) -> NodeResult:
    status = str(result.status)
    known: dict[str, NodeStatus] = {"success": "success", "pass": "success", "skipped": "skipped"}
    return NodeResult(
        unique_id=result.node.unique_id,
        name=result.node.name,
        kind=str(result.node.resource_type),
        status=known.get(status, "error"),
        seconds=result.execution_time,
        failures=result.failures or 0,
        # The file that dbt names is gone by then.
        message=(result.message or "").partition("compiled code at")[0].strip(),
        compiled=getattr(result.node, "compiled_code", None) or "",
    )


@contextmanager
def _silence() -> Iterator[None]:
    """Let dbt tell nobody what it does: with every log off it still makes a message of each step."""
    from dbt_common.events.base_types import BaseEvent, EventLevel
    from dbt_common.events.event_manager import EventManager
    from dbt_common.events.event_manager_client import ctx_set_event_manager, get_event_manager

    class Silent(EventManager):
        def fire_event(self, e: BaseEvent, level: EventLevel | None = None, *rest: Any, **more: Any) -> None:
            if (level or e.level_tag()) in (EventLevel.WARN, EventLevel.ERROR):
                super().fire_event(e, level, *rest, **more)

    make = BaseEvent.__init__

    def remember(event: BaseEvent, *arguments: Any, **named: Any) -> None:
        event.__dict__["made_of"] = arguments, named

    def message(event: BaseEvent) -> Any:
        if "made" not in event.__dict__:
            arguments, named = event.__dict__["made_of"]
            make(event, *arguments, **named)
        return event.__dict__["made"]

    def keep(event: BaseEvent, made: Any) -> None:
        event.__dict__["made"] = made

    before = get_event_manager()
    ctx_set_event_manager(Silent())
    # The message of an event that nobody is told need not be made.
    BaseEvent.__init__ = remember  # type: ignore[assignment, method-assign]
    BaseEvent.pb_msg = property(message, keep)
    try:
        yield
    finally:
        BaseEvent.__init__ = make  # type: ignore[method-assign]
        del BaseEvent.pb_msg
        ctx_set_event_manager(before)


@contextmanager
def _unwritten() -> Iterator[None]:
    """Let dbt write no file of what it runs: results carry the SQL of a test, and nobody reads the rest."""
    from dbt.contracts.graph.nodes import ParsedNode

    with _replaced(ParsedNode, "write_node", lambda *_: None):
        yield


@contextmanager
def _kept_sessions() -> Iterator[None]:
    """Let each thread of dbt keep its session: to log in for each model takes longer than most of them do.

    And what a statement without rows returns is made once, not for each, with all that could read cells.
    """
    from dbt.adapters.contracts.connection import ConnectionState
    from dbt.adapters.postgres import PostgresAdapter
    from dbt.adapters.postgres.connections import PostgresConnectionManager
    from dbt_common.clients import agate_helper

    class Kept(PostgresConnectionManager):
        def release(self) -> None:
            session = self.get_if_exists()
            if session is not None and session.state == ConnectionState.OPEN:
                self._rollback_handle(session)
                session.transaction_open = False
                if session.handle.closed:
                    super().release()

    with (
        _replaced(PostgresAdapter, "ConnectionManager", Kept),
        _replaced(agate_helper, "empty_table", cache(agate_helper.empty_table)),
    ):
        yield


@contextmanager
def _unsigned_flags() -> Iterator[None]:
    """Let dbt's settings of behaviour not look through all modules for whose they are: nobody is told."""
    from dbt_common.behavior_flags import BehaviorFlagRendered

    with _replaced(BehaviorFlagRendered, "_default_source", staticmethod(lambda: "dbt")):
        yield


@contextmanager
def _replaced(owner: Any, name: str, value: object) -> Iterator[None]:
    before = vars(owner)[name]
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def _environment(database_url: str, session: str) -> Iterator[None]:
    """Give dbt's profile what it connects with, for as long as it runs."""
    parts = conninfo_to_dict(database_url)
    values = {
        "SHS_WAREHOUSE_HOST": parts.get("host", "localhost"),
        "SHS_WAREHOUSE_PORT": parts.get("port", 5432),
        "SHS_WAREHOUSE_USER": parts.get("user", ""),
        "SHS_WAREHOUSE_DATABASE": parts.get("dbname", ""),
        "SHS_WAREHOUSE_SSLMODE": parts.get("sslmode", "prefer"),
        "SHS_WAREHOUSE_SSLROOTCERT": parts.get("sslrootcert", ""),
        "SHS_WAREHOUSE_SSLCERT": parts.get("sslcert", ""),
        "SHS_WAREHOUSE_SSLKEY": parts.get("sslkey", ""),
        "DBT_ENV_SECRET_WAREHOUSE_PASSWORD": parts.get("password", ""),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "SHS_WAREHOUSE_SESSION": session,
        "PGOPTIONS": _SESSION,
    }
    before = {name: os.environ.get(name) for name in values}
    os.environ.update({name: str(value) for name, value in values.items()})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
