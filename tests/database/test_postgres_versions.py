"""Each promised version of PostgreSQL that is found here: published, read by a rep, built on, over TLS.

The wheels of the lock file bring two, without TLS. Where the oldest promised one is installed (Debian's
package), it is tried as well: `scripts/servers.sh` installs it in CI.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import psycopg
import pytest
from psycopg import errors

from shs_pipeline.database.databases import OWNER, prepare
from shs_pipeline.database.embedded_postgres import EmbeddedPostgres
from shs_pipeline.database.server_programs import bundled_programs
from shs_pipeline.people.access import drop_logins
from shs_pipeline.people.logins import find_login
from shs_pipeline.people.passwords import login_url
from shs_pipeline.samples.reference import reference_workbooks
from shs_pipeline.samples.tree import make_sample
from shs_pipeline.settings.secret_store import FileSecrets
from shs_pipeline.settings.settings import Settings

pytestmark = pytest.mark.slow
OLDEST = 15
SHS = str(Path(sys.executable).with_name("shs"))
OVER_TLS = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"
REP, OTHER = "Dana Whitfield", "Marcus Oyelaran"


def installed() -> dict[int, Path]:
    """The servers of this machine, by version."""
    debian = {
        int(place.parent.name): place
        for place in Path("/usr/lib/postgresql").glob("*/bin")
        if place.parent.name.isdigit() and (place / "initdb").is_file()
    }
    return debian | bundled_programs()


@dataclass
class Server:
    """A server with a certificate of a made-up authority, and a system that is told to verify it."""

    version: int
    folder: Path
    url: str
    environment: dict[str, str]
    has_tls: bool

    def need_tls(self) -> None:
        if not self.has_tls:
            pytest.skip(f"this PostgreSQL {self.version} was built without TLS")

    @property
    def authority(self) -> Path:
        return self.folder / "authority.pem"

    def shs(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [SHS, *arguments],
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stdout + done.stderr
        return done

    def with_query(self, query: str) -> str:
        return f"{self.url.partition('?')[0]}?{query}"

    def drop(self, path: str, content: bytes) -> None:
        place = self.folder / "landing" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)

    def log_in(self, name: str) -> psycopg.Connection:
        """A session as a person, by the address that `shs access` gives them; the default is lifted."""
        store = FileSecrets(self.folder / "home" / "secrets.json")
        with psycopg.connect(self.url) as owner:
            login = find_login(owner, name)
        password = store.get(login.secret_name or "")
        assert password is not None
        session = psycopg.connect(login_url(self.url, login.role_name, password), autocommit=True)
        session.execute("set default_transaction_read_only = off")
        return session


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


def make_authority(folder: Path, name: str) -> None:
    """An authority, `<name>.pem`, and a certificate of its for `localhost`, `server.pem` and `server.key`."""
    key, own = ("-newkey", "rsa:2048", "-nodes", "-days", "2"), f"{name}.pem"
    openssl(folder, "req", "-x509", *key, "-keyout", f"{name}.key", "-out", own, "-subj", f"/CN={name}")
    openssl(folder, "req", *key[:3], "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (folder / "names").write_text("subjectAltName=DNS:localhost")
    openssl(
        folder, "x509", "-req", "-in", "server.csr", "-CA", f"{name}.pem", "-CAkey", f"{name}.key",
        "-CAcreateserial", "-days", "2", "-out", "server.pem", "-extfile", "names",
    )  # fmt: skip


def switch_tls_on(server: EmbeddedPostgres, folder: Path) -> bool:
    """Let a server show the certificate; False where it was built without TLS, as those of the wheels."""
    address = server.ensure_running()
    for name in ("server.pem", "server.key"):
        place = server.data / name
        place.write_bytes((folder / name).read_bytes())
        place.chmod(0o600)
        if server.account is not None:
            os.chown(place, server.account.uid, server.account.gid)
    with psycopg.connect(
        host=address.host,
        port=address.port,
        user=address.superuser,
        password=address.password,
        autocommit=True,
    ) as admin:
        try:
            for setting in ("ssl_cert_file = 'server.pem'", "ssl_key_file = 'server.key'", "ssl = on"):
                admin.execute(f"alter system set {setting}".encode())
        except errors.InvalidParameterValue:
            return False
        admin.execute("select pg_reload_conf()")
    return True


def versions() -> list[Any]:
    """The oldest promised one and those that are here.

    `make test` tries verified connections to the oldest that is here; a company is published on each by
    `make soak`. All other tests run on the one that is used by default.
    """
    proof = min(installed())
    return [
        pytest.param(version, id=f"PostgreSQL {version}", marks=[pytest.mark.soak] if version > proof else [])
        for version in sorted({OLDEST, *installed()})
    ]


@pytest.fixture(scope="module", params=versions())
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    version = int(request.param)
    if version not in installed():
        pytest.skip(f"PostgreSQL {version} is not installed here (Debian: apt install postgresql-{version})")
    folder = tmp_path_factory.mktemp(f"postgres{version}")
    embedded = EmbeddedPostgres(folder / "server", installed()[version])
    try:
        prepare(Settings(home=folder / "server", pg_bin=installed()[version], database_url=None))
        make_authority(folder, "authority")
        has_tls = switch_tls_on(embedded, folder)
        verified = f"verify-full&sslrootcert={quote(str(folder / 'authority.pem'))}"
        secrets, port = embedded.read_secrets(), embedded.ensure_running().port
        url = (
            f"postgresql://{OWNER}:{quote(secrets.owner_password)}@localhost:{port}/shs"
            f"?sslmode={verified if has_tls else 'disable'}"
        )
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("SHS_", "PG", "AWS_"))
        }
        environment = {
            **kept,
            "SHS_HOME": str(folder / "home"),
            "SHS_LANDING": str(folder / "landing"),
            "SHS_DATABASE_URL": url,
            "SHS_DATABASE_WAIT_SECONDS": "10",
            "COLUMNS": "200",
        }
        yield Server(version, folder, url, environment, has_tls)
    finally:
        embedded.stop()


@pytest.fixture(scope="module")
def published(server: Server) -> Iterator[Server]:
    """A small company, ingested and published by the command line."""
    for path, content in reference_workbooks(date(2025, 1, 1), date(2025, 6, 1), 6).items():
        server.drop(path, content)
    for source in ("cygnus", "quickbooks", "summit_medical"):
        sample = make_sample(source, date(2025, 2, 1), lines=20, seed=2)
        server.drop(sample.path, sample.content)
    done = server.shs("run")
    assert done.returncode == 0, done.stdout + done.stderr
    yield server
    with psycopg.connect(server.url, autocommit=True) as owner:
        drop_logins(owner, FileSecrets(server.folder / "home" / "secrets.json"))


def rows(session: psycopg.Connection, statement: str) -> Sequence[tuple[object, ...]]:
    return session.execute(statement.encode()).fetchall()


@pytest.mark.soak
def test_the_company_is_published_over_a_verified_connection_where_there_is_tls(published: Server) -> None:
    with psycopg.connect(published.url) as owner:
        assert owner.info.server_version // 10000 == published.version
        assert rows(owner, OVER_TLS) == [(published.has_tls,)]
        assert rows(owner, "select count(*) from marts.publications") == [(1,)]
        (paid,) = rows(owner, "select count(*) > 0 from marts.commission_payouts")
    assert paid == (True,)


@pytest.mark.soak
def test_a_rep_reads_their_own_rows_and_no_others(published: Server) -> None:
    with psycopg.connect(published.url) as owner, published.log_in(REP) as rep:
        for mart in ("harmonised_sales", "commission_payouts"):
            everybody = rows(owner, f"select distinct rep_name from marts.{mart}")
            own = rows(owner, f"select count(*) from marts.{mart} where rep_name = '{REP}'")
            assert len(everybody) > 1
            assert rows(rep, f"select count(*) from marts.{mart}") == own
            assert rows(rep, f"select distinct rep_name from marts.{mart}") == [(REP,)]
        assert rows(rep, OVER_TLS) == [(published.has_tls,)]


@pytest.mark.soak
@pytest.mark.parametrize(
    "attack",
    [
        "select * from raw.cygnus",
        "select * from ops.files",
        "select * from history.commission_payouts",
        "select * from pg_authid",
        "select * from pg_stats_ext_exprs, pg_statistic",
        "update marts.commission_payouts set payout = 0",
        "create table public.mine (n integer)",
        "create temporary table mine (n integer)",
        "select lo_create(0)",
        "select pg_advisory_lock(1)",
        "set session authorization shs_owner",
        "set role shs_owner",
        "alter table marts.commission_payouts disable row level security",
    ],
)
def test_what_is_not_theirs_is_refused(published: Server, attack: str) -> None:
    with published.log_in(REP) as rep, pytest.raises(errors.InsufficientPrivilege):
        rep.execute(attack.encode())


@pytest.mark.soak
def test_an_error_tells_nothing_of_the_rows_of_others(published: Server) -> None:
    with published.log_in(REP) as rep:
        raises = "1 / (case when rep_name = '{}' then 0 else 1 end) = 1"
        spy = f"select count(*) from marts.commission_payouts where {raises}"
        assert rows(rep, spy.format(OTHER))
        with pytest.raises(errors.DivisionByZero):
            rep.execute(spy.format(REP).encode())


@pytest.mark.soak
def test_one_more_file_is_built_on_top_and_all_anew_gives_the_same(published: Server) -> None:
    sample = make_sample("cygnus", date(2025, 3, 1), lines=20, seed=3)
    published.drop(sample.path, sample.content)
    added = published.shs("run")
    assert added.returncode == 0, added.stdout + added.stderr
    sums = (
        "select rep_name, product_line, commission_month, sum(payout) from marts.commission_payouts"
        " group by 1, 2, 3 order by 1, 2, 3"
    )
    with psycopg.connect(published.url) as owner:
        after = rows(owner, sums)
        assert rows(owner, "select count(*) from marts.publications") == [(2,)]

    anew = published.shs("run", "--full-refresh")

    assert anew.returncode == 0, anew.stdout + anew.stderr
    with psycopg.connect(published.url) as owner:
        assert rows(owner, sums) == after
    assert re.search(r"\d{4}-\d{2}", str(after[-1][2]))


# --- who is trusted -------------------------------------------------------------------------------


@pytest.mark.soak
def test_doctor_is_content_and_names_the_version(published: Server) -> None:
    done = published.shs("doctor")

    assert done.returncode == 0, done.stdout
    assert f"Database: PostgreSQL {published.version}." in done.stdout
    assert "ok   Dagster: configured" in done.stdout


def test_a_server_of_another_authority_is_refused_in_a_sentence(server: Server) -> None:
    server.need_tls()
    other = server.folder / "other"
    other.mkdir(exist_ok=True)
    make_authority(other, "somebody")
    url = server.with_query(f"sslmode=verify-full&sslrootcert={quote(str(other / 'somebody.pem'))}")

    for command in (["run"], ["doctor"]):
        done = server.shs(*command, SHS_DATABASE_URL=url)

        assert done.returncode == 1
        said = done.stdout + done.stderr
        assert "cannot be verified" in said
        assert "sslrootcert" in said
        assert unquote(server.url.split(":")[2].partition("@")[0]) not in said


@pytest.mark.parametrize(
    ("host", "query", "said"),
    [
        ("127.0.0.1", "sslmode=verify-full&sslrootcert={authority}", "was issued for another name"),
        ("localhost", "sslmode=verify-full&sslrootcert=/nowhere.pem", "needs its root certificate file"),
        ("localhost", "sslmode=verify-full", "needs its root certificate file"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_said(server: Server, host: str, query: str, said: str) -> None:
    server.need_tls()
    url = server.with_query(query.format(authority=quote(str(server.authority)))).replace(
        "@localhost", f"@{host}"
    )

    done = server.shs("run", SHS_DATABASE_URL=url, HOME=str(server.folder))

    assert done.returncode == 1
    assert said in done.stderr
    assert "does not answer; waiting" not in done.stderr
