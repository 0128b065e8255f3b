"""Nothing secret gets out: secrets are planted, the system works and fails, and all it wrote is searched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import traceback
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import dagster as dg
import psycopg
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, Session
from psycopg import sql
from typer.testing import CliRunner

from assets.ingested import UNKNOWN_KEY, source_key
from assets.marts import LOGINS_KEY
from assets.warehouse import Warehouse
from sensors.landing import landing_sensor
from sensors.notices import notices_sensor
from shs_pipeline.cli.main import build_app
from shs_pipeline.database.connection import connect
from shs_pipeline.database.databases import prepare
from shs_pipeline.definitions import build_defs
from shs_pipeline.notices.sending import send_test
from shs_pipeline.people.access import drop_logins
from shs_pipeline.samples.broken import with_bad_cell
from shs_pipeline.samples.reference import reference_workbooks
from shs_pipeline.samples.tree import make_sample
from shs_pipeline.settings.secret_store import secret_store
from shs_pipeline.settings.settings import load_settings

pytestmark = [
    pytest.mark.soak,
    pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS"),
]
MONTH = date(2025, 3, 1)
CANARIES = {
    "mail": "canary-mail-4711",
    "beside": "canary-beside-the-key-4712",
    "metabase": "canary-metabase-4713",
    "key": "canary-api-key-4714",
    "aws": "canary-aws-4715",
}
RUN = "from shs_pipeline.cli.main import main; main()"


class Server:
    """A mail server that repeats the password whenever it refuses it."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.is_open = True

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        del server, session
        self.mails.append(bytes(envelope.content or b""))
        return "250 taken"

    def authenticate(self, *arguments: Any) -> AuthResult:
        data = arguments[-1]
        is_right = self.is_open and data.password.decode() == CANARIES["mail"]
        refusal = f"535 no such password: {data.password.decode()}"
        return AuthResult(success=is_right, handled=False, message=None if is_right else refusal)


class AnyPort(Controller):
    """A server on a port that the system chooses."""

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@dataclass
class System:
    """A whole system whose every secret is a canary, and what it printed."""

    home: Path
    landing: Path
    database_url: str
    password_file: Path
    mail: Server
    printed: dict[str, str] = field(default_factory=dict)
    commands: set[str] = field(default_factory=set)
    cursors: dict[str, str] = field(default_factory=dict)

    def drop(self, path: str, content: bytes) -> None:
        (self.landing / path).parent.mkdir(parents=True, exist_ok=True)
        (self.landing / path).write_bytes(content)

    def shs(self, *arguments: str) -> int:
        """Run a command in a process of its own, and note all processes of the machine meanwhile."""
        with subprocess.Popen(
            [sys.executable, "-c", RUN, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        ) as process:  # fmt: skip
            watch = threading.Thread(target=self._watch, args=[process])
            watch.start()
            assert process.stdout is not None
            self.printed[f"shs {' '.join(arguments)} {len(self.printed)}"] = process.stdout.read()
            watch.join()
        return process.returncode

    def _watch(self, process: subprocess.Popen[str]) -> None:
        while process.poll() is None:
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.commands.add(path.read_text(errors="replace").replace("\x00", " "))
                except OSError:
                    continue
            time.sleep(0.25)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A server that speaks the protocol of Secrets Manager, for this process and others."""
    boto3, server = pytest.importorskip("boto3"), pytest.importorskip("moto.server")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tester")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARIES["aws"])
    yield boto3.client("secretsmanager")
    running.stop()


@pytest.fixture
def system(database: str, tmp_path: Path, aws: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    aws.create_secret(
        Name="shs/mail", SecretString=json.dumps({"password": CANARIES["mail"], "other": CANARIES["beside"]})
    )
    mail = Server()
    controller = AnyPort(
        mail, hostname="127.0.0.1", port=0, auth_require_tls=False, authenticator=mail.authenticate,
        auth_required=True,
    )  # fmt: skip
    controller.start()
    parts = urlsplit(database)
    bare = urlunsplit(parts._replace(netloc=f"{parts.username}@{parts.hostname}:{parts.port}"))
    made = System(tmp_path / "home", tmp_path / "landing", bare, tmp_path / "mounted secret", mail)
    made.password_file.write_text(f"{parts.password}\n")
    values = {
        "HOME": str(made.home), "LANDING": made.landing.as_uri(), "DATABASE_URL": bare,
        "DATABASE_PASSWORD_FILE": str(made.password_file), "DATABASE_WAIT_SECONDS": "0",
        "SECRETS": "aws-secretsmanager://shs/people", "METABASE_PASSWORD": CANARIES["metabase"],
        "METABASE_API_KEY": CANARIES["key"], "SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(controller.port),
        "SMTP_TLS": "none", "SMTP_USER": "shs", "SMTP_PASSWORD_SECRET": "shs/mail#password",
        "SMTP_SENDER": "tracker@example.com", "MAIL_MINUTES": "0",
    }  # fmt: skip
    for name in [name for name in os.environ if name.startswith("SHS_")]:
        monkeypatch.delenv(name)
    for name, value in values.items():
        monkeypatch.setenv(f"SHS_{name}", value)
    try:
        yield made
    finally:
        controller.stop()
        with psycopg.connect(database, autocommit=True) as owner:
            drop_logins(owner, secret_store(load_settings()))


def secrets_of(system: System) -> set[str]:
    """Every planted secret and every generated one, also as URLs write them."""
    store = secret_store(load_settings())
    people = {store.get(name) for name in store.names()}
    assert len(people) >= 5
    plain = {*CANARIES.values(), system.password_file.read_text().strip(), *filter(None, people)}
    return plain | {quote(secret, safe="") for secret in plain}


def drop_files(system: System) -> None:
    for path, content in reference_workbooks(MONTH, MONTH, 6).items():
        system.drop(path, content)
    sample = make_sample("cygnus", MONTH, lines=12, seed=1)
    system.drop("incoming/cygnus/2025-03/good.xlsx", sample.content)
    row = int(str(sample.lines[3]["source_row"]))
    system.drop(
        "incoming/cygnus/2025-03/bad.xlsx", with_bad_cell(sample.content, "Invoice Total", row, "a lot")
    )
    system.drop("incoming/nobody/2025-02/stray.xlsx", b"stray")


def work_and_fail(system: System, instance: dg.DagsterInstance) -> None:
    """Let runs succeed and fail, by Dagster and by the command, and the sensors look."""
    everything = dg.AssetSelection.groups("reference") | dg.AssetSelection.assets(
        source_key("cygnus"), UNKNOWN_KEY, LOGINS_KEY
    )
    marts = dg.AssetSelection.groups("staging", "intermediate", "marts")
    job = dg.define_asset_job("probe", selection=everything | marts)
    look(system, instance, notices_sensor())
    # Red for the files that are rejected, and all the rest is done.
    assert execute(job, instance).asset_materializations_for_node("marts")
    assert system.shs("run") == 3
    look(system, instance, notices_sensor())
    system.drop("incoming/cygnus/2025-03/good.xlsx", make_sample("cygnus", MONTH, lines=12, seed=2).content)
    assert run_here(system, "of a change") == 3
    look(system, instance, landing_sensor(5, 20))
    look(system, instance, notices_sensor())
    right = system.password_file.read_text()
    system.password_file.write_text("canary-wrong-4716")
    try:
        assert not execute(job, instance).success
        assert run_here(system, "without its password") == 1
        look(system, instance, landing_sensor(5, 20))
    finally:
        system.password_file.write_text(right)
    system.mail.is_open = False
    look(system, instance, notices_sensor())


def execute(job: Any, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    definitions = build_defs(jobs=[job])
    return definitions.resolve_job_def("probe").execute_in_process(
        instance=instance, raise_on_error=False, partition_key="2025-03"
    )


def run_here(system: System, what: str) -> int:
    """Run the command in this process, which has dbt imported."""
    result = CliRunner().invoke(build_app(), ["run"])
    system.printed[f"shs run {what}"] = f"{result.output} {result.exception!r}"
    return result.exit_code


def look(system: System, instance: dg.DagsterInstance, sensor: dg.SensorDefinition) -> None:
    context = dg.build_sensor_context(
        instance=instance, cursor=system.cursors.get(sensor.name), resources={"warehouse": Warehouse()}
    )
    result = sensor(context)
    system.cursors[sensor.name] = getattr(result, "cursor", None) or ""
    system.printed[f"{sensor.name} {len(system.printed)}"] = repr(result)


def failures(system: System, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the tracebacks of what goes wrong with a secret at hand."""
    password = quote(system.password_file.read_text().strip(), safe="")
    complete = system.database_url.replace("@", f":{password}@", 1)
    attempts: list[tuple[dict[str, str], Callable[[], object]]] = [
        ({"SHS_SMTP_PASSWORD": CANARIES["mail"]}, load_settings),
        ({"SHS_DATABASE_URL": complete}, load_settings),
        ({"SHS_DATABASE_URL": complete.replace("postgresql", "mysql")}, load_settings),
        ({"SHS_DATABASE_URL": complete.replace("@127", f"@{password}@127")}, load_settings),
        ({"SHS_DATABASE_PASSWORD_FILE": password}, load_settings),
        ({"SHS_SMTP_PASSWORD_SECRET": CANARIES["mail"]}, load_settings),
        ({"SHS_SMTP_PASSWORD_SECRET": f"shs/mail#{CANARIES['mail']}"}, load_settings),
        ({"SHS_METABASE_URL": f"http://me:{CANARIES['metabase']}@metabase"}, load_settings),
        ({"SHS_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/shs"}, lambda: prepare(load_settings())),
        ({"SHS_DATABASE_URL": system.database_url + "_gone"}, lambda: prepare(load_settings())),
        ({}, lambda: connect(complete.replace("@127", f" {password}@127"))),
        ({}, lambda: connect(f"{complete}?sslmode={password}")),
        ({}, lambda: send_test(load_settings(), "you@example.com")),
    ]
    said = []
    for changed, attempt in attempts:
        with monkeypatch.context() as patch:
            for name, value in changed.items():
                patch.setenv(name, value)
            try:
                attempt()
            except Exception as error:  # noqa: BLE001 - whatever it is
                said.append("".join(traceback.format_exception(error)))
    assert len(said) == len(attempts)
    return "\n".join(said)


def tables_of(url: str, password: str) -> dict[str, str]:
    """Every row of every table that is ours, and what the server shows of sessions."""
    found = {}
    with psycopg.connect(url, password=password) as owner:
        tables = owner.execute(
            "select schemaname, tablename from pg_tables where schemaname not like 'pg\\_%'"
            " and schemaname <> 'information_schema' union all select 'pg_catalog', 'pg_stat_activity'"
        ).fetchall()
        for schema, table in tables:
            query = sql.SQL("select string_agg(t::text, E'\\n') from {} as t").format(
                sql.Identifier(schema, table)
            )
            row = owner.execute(query).fetchone()
            found[f"table {schema}.{table}"] = (row[0] if row else "") or ""
    assert found["table ops.file_errors"]
    return found


def files_of(folder: Path) -> dict[str, str]:
    """Every file as text, workbooks unpacked."""
    found = {}
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        found[str(path)] = path.read_bytes().decode("utf-8", "replace")
        if path.suffix == ".xlsx" and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as book:
                for name in book.namelist():
                    found[f"{path}/{name}"] = book.read(name).decode("utf-8", "replace")
    return found


def _around(text: str, secret: str) -> str:
    place = text.index(secret)
    return text[max(place - 300, 0) : place + 100]


def test_no_secret_is_in_anything_that_the_system_writes(
    system: System,
    postgres_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    drop_files(system)
    with dg.DagsterInstance.ephemeral() as instance:
        work_and_fail(system, instance)
        events = [str(entry) for run in instance.get_runs() for entry in instance.all_logs(run.run_id)]
    said = failures(system, monkeypatch)

    captured = capfd.readouterr()
    searched = {
        **system.printed,
        **tables_of(system.database_url, system.password_file.read_text().strip()),
        **files_of(system.home), **files_of(system.landing),
        **{str(path): path.read_text(errors="replace") for path in postgres_home.rglob("*.log")},
        "stdout": captured.out, "stderr": captured.err, "log": caplog.text,
        "events": "\n".join(events), "exceptions": said, "processes": "\n".join(system.commands),
        "mails": b"\n".join(system.mail.mails).decode("utf-8", "replace"),
    }  # fmt: skip
    assert "rejected" in searched["stderr"] + searched["log"] + "".join(system.printed.values())
    assert any(".errors.xlsx/" in name for name in searched)
    assert any("shs_pipeline.cli" in command for command in system.commands)
    for secret in {*secrets_of(system), "canary-"}:
        found = {name: _around(text, secret) for name, text in searched.items() if secret in text}
        assert found == {}

    # What was done on the way: the admins know of the bad file, the reps of their month, then of its change.
    assert any(b"Rejected: incoming/cygnus/2025-03/bad.xlsx" in mail for mail in system.mail.mails)
    notices = searched["table ops.notices"]
    assert all(words in notices for words in ("New: 2025-03", "Changed: 2025-03", "A run failed"))
    assert "rejected the user name and password (code 535)" in searched["table ops.mails"]
