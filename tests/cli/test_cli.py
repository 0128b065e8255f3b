"""The commands as people and scripts meet them: what they print, what they leave, how they end."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import openpyxl
import psycopg
import pytest
from click.testing import Result
from typer.testing import CliRunner

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.months import last_month, month_after, month_text, today
from shs_pipeline.cli.main import build_app
from shs_pipeline.cli.marts import bar
from shs_pipeline.database.embedded_postgres import EmbeddedPostgres
from shs_pipeline.landing.names import SOURCE_NAMES
from shs_pipeline.people.access import drop_logins
from shs_pipeline.samples.broken import with_bad_cell
from shs_pipeline.samples.reference import reference_workbooks
from shs_pipeline.samples.tree import make_sample, write_samples
from shs_pipeline.settings.secret_store import secret_store
from shs_pipeline.settings.settings import Settings, load_settings

MONTH = month_after(today().replace(day=1), -2)
EXIT_PROBLEM, EXIT_USAGE, EXIT_REJECTED = 1, 2, 3
RUN_MAIN = "from shs_pipeline.cli.main import main; main()"


@dataclass
class System:
    """One system with a landing zone and a database of its own."""

    home: Path
    landing: Path
    folder: Path

    def shs(self, *arguments: object) -> Result:
        """Run a command in this process; a `ShsError` is what `main` would print."""
        return CliRunner().invoke(build_app(), [str(argument) for argument in arguments])

    def fails(self, *arguments: object) -> ShsError:
        result = self.shs(*arguments)
        assert isinstance(result.exception, ShsError), (result.output, result.exception)
        return result.exception

    def put(self, path: str, content: bytes) -> Path:
        place = self.landing / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        return place


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    """A system in which nothing was ever run, with the embedded server as its database."""
    for name in [name for name in os.environ if name.startswith("SHS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("shs_pipeline.settings.settings.dotenv", dict)
    monkeypatch.setenv("SHS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SHS_LANDING", str(tmp_path / "landing"))
    return System(tmp_path / "home", tmp_path / "landing", tmp_path)


@pytest.fixture
def whole(bare: System, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    """A system with an empty database, whose logins are dropped afterwards."""
    monkeypatch.setenv("SHS_DATABASE_URL", database)
    yield bare
    with psycopg.connect(database, autocommit=True) as owner:
        drop_logins(owner, secret_store(load_settings()))


@pytest.fixture
def system(bare: System, tables: str, monkeypatch: pytest.MonkeyPatch) -> System:
    """A system with empty tables that stops before the marts, which take seconds."""
    monkeypatch.setenv("SHS_DATABASE_URL", tables)
    monkeypatch.setattr("shs_pipeline.cli.marts.build", lambda *_, **__: None)
    monkeypatch.setattr("shs_pipeline.cli.marts.show_marts", lambda *_: None)
    return bare


def sample(source: str = "cygnus", month: date = MONTH, seed: int = 1) -> bytes:
    return make_sample(source, month, lines=12, seed=seed).content


def bad_row(source: str = "cygnus") -> int:
    line = make_sample(source, MONTH, lines=12, seed=1).lines[3]
    return int(str(line["source_row"]))


def bad_sample() -> bytes:
    return with_bad_cell(sample(), "Invoice Total", bad_row(), "[red]abc[/red]")


def nobodys_sales() -> str:
    """What the lines of `sample` sold, which nobody owns."""
    lines = make_sample("cygnus", MONTH, lines=12, seed=1).lines
    return f"{sum(Decimal(str(line['Invoice Total'])) for line in lines):,.2f}"


def mapping() -> bytes:
    return reference_workbooks(MONTH, MONTH, 10)["reference/service_to_product.xlsx"]


# --- all commands ------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", ["--help", "run --help", "--version", "reference --help"])
def test_help_needs_no_heavy_library(arguments: str) -> None:
    script = (
        "import sys\n"
        "from shs_pipeline.cli.main import build_app\n"
        f"try:\n    build_app()({arguments.split()!r})\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "heavy = 'pandas pandera numpy dagster psycopg python_calamine camelot dbt openpyxl'.split()\n"
        "print('LOADED', [name for name in heavy if name in sys.modules])\n"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert done.stdout.splitlines()[-1] == "LOADED []", done.stdout + done.stderr


def commands() -> Iterator[list[str]]:
    for command in build_app().registered_commands:
        assert command.callback is not None
        yield [command.name or command.callback.__name__.replace("_", "-")]
    yield ["reference", "export"]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_explains_itself_with_an_example(command: list[str]) -> None:
    result = CliRunner().invoke(build_app(), [*command, "--help"])

    assert result.exit_code == 0
    assert "Example" in result.output


def test_all_commands_are_there_and_exit_codes_are_documented() -> None:
    result = CliRunner().invoke(build_app(), ["--help"])

    wanted = "demo up down run status explain diff url drop check errors reference preview new-source"
    wanted += " samples doctor exec backup restore close statement payroll adjust verify"
    assert {command[0] for command in commands()} == set(wanted.split())
    for meaning in ("0 success", "1 a problem", "2 wrong usage", "3 a file was rejected"):
        assert meaning in " ".join(result.output.split())


@pytest.mark.parametrize("arguments", [["run", "--nonsense"], ["drop"], ["samples", "x", "--months", "0"]])
def test_wrong_usage_ends_with_2(bare: System, arguments: list[str]) -> None:
    assert bare.shs(*arguments).exit_code == EXIT_USAGE


@pytest.mark.parametrize(
    ("sales", "objective", "shown"),
    [
        (50, 0, "█████"),
        (50, 80, "█████   │"),
        (50, 20, "██│██"),
        (100, 100, "█████████│"),
        (-5, 50, "     │"),
        (0, 0, ""),
    ],
)
def test_a_bar_shows_sales_with_a_mark_at_the_objective(sales: int, objective: int, shown: str) -> None:
    assert bar(Decimal(sales), Decimal(objective), Decimal(100), width=10) == shown


# --- run ---------------------------------------------------------------------------------


def test_a_run_loads_and_publishes_what_changed_and_a_second_one_finds_nothing(whole: System) -> None:
    system = whole
    system.put(f"incoming/cygnus/{MONTH:%Y-%m}/report.xlsx", sample())
    system.put("reference/service_to_product.xlsx", mapping())

    first, second = system.shs("run"), system.shs("run")

    assert first.exit_code == second.exit_code == 0, first.output
    assert f"cygnus/{MONTH:%Y-%m}" in first.output
    assert "Invoice Total" in first.output
    assert "reference/service_to_product" in first.output
    assert "Publication 1: everything rebuilt" in first.output
    # Written by the first run, and no news to the second.
    assert (system.landing / "reference/current/service_to_product.xlsx").is_file()
    nobodys = f"12 lines credited to nobody, {nobodys_sales()} in sales: shs preview, dashboard Admin\n"
    assert nobodys in first.output
    assert second.output == (
        f"Nothing changed since the last run.\nThe marts are up to date (publication 1).\n{nobodys}"
    )
    found = json.loads(system.shs("status", "--json").stdout)
    assert (found["uncredited_lines"], found["uncredited_sales"]) == (12, nobodys_sales().replace(",", ""))
    assert f"12 lines credited to nobody, {nobodys_sales()} in sales" in system.shs("status").output


def test_a_rejected_file_is_named_with_place_remedy_and_workbook_until_it_is_mended(system: System) -> None:
    path = f"incoming/cygnus/{MONTH:%Y-%m}/report.xlsx"
    system.put(path, bad_sample())

    first, again = system.shs("run"), system.shs("run")
    system.put(path, sample())
    mended = system.shs("run")

    assert first.exit_code == again.exit_code == EXIT_REJECTED
    for said in (first.output, again.output):
        assert path in said
        assert (
            f"row {bad_row()}, Invoice Total ([red]abc[/red]): This is not an amount. Type an amount" in said
        )
        assert str(system.landing / "rejected" / f"{path}.errors.xlsx") in said
    assert mended.exit_code == 0
    assert "rejected:" not in mended.output


def test_a_deleted_file_is_said_to_be_withdrawn(system: System) -> None:
    place = system.put(f"incoming/cygnus/{MONTH:%Y-%m}/report.xlsx", sample())
    system.shs("run")
    place.unlink()

    assert "shs run --accept" in system.fails("run").remedy
    result = system.shs("run", "--accept")

    assert result.exit_code == 0
    assert f"Withdrawn because it was deleted: incoming/cygnus/{MONTH:%Y-%m}/report.xlsx" in result.output


def test_a_run_of_one_source_leaves_the_others_alone(system: System) -> None:
    system.put(f"incoming/cygnus/{MONTH:%Y-%m}/report.xlsx", sample())
    system.put(f"incoming/novo/{MONTH:%Y-%m}/bad.xlsx", b"no workbook")

    only = system.shs("run", "--source", "Cygnus")
    rest = system.shs("run")

    assert only.exit_code == 0
    assert "novo" not in only.output
    assert rest.exit_code == EXIT_REJECTED
    assert "bad.xlsx is not an Excel workbook" in rest.output
    assert "cygnus" not in rest.output


def test_a_run_of_all_reads_again_what_did_not_change(system: System) -> None:
    system.put(f"incoming/cygnus/{MONTH:%Y-%m}/report.xlsx", sample())
    system.put(f"incoming/novo/{MONTH:%Y-%m}/report.xlsx", sample("novo"))
    system.shs("run")

    everything, one = system.shs("run", "--all"), system.shs("run", "--all", "--source", "novo")

    assert "cygnus/" in everything.output
    assert "novo/" in everything.output
    assert "cygnus/" not in one.output
    assert "novo/" in one.output


def test_a_typo_in_a_source_is_pointed_out(system: System) -> None:
    error = system.fails("run", "--source", "cygnuss")

    assert "no source or reference table called 'cygnuss'" in error.problem
    assert "Did you mean cygnus?" in error.remedy


def test_many_folders_are_shown_by_source(system: System) -> None:
    for back in range(16):
        month = month_after(MONTH, -back)
        system.put(f"incoming/novo/{month:%Y-%m}/report.xlsx", sample("novo", month))

    result = system.shs("run")

    rows = [line for line in result.output.splitlines() if line.strip().startswith("novo")]
    assert len(rows) == 1, result.output
    assert rows[0].split()[1:5] == ["16", "0", "0", str(16 * 12)]


# --- status ------------------------------------------------------------------------------


def test_status_of_a_system_that_never_ran_makes_nothing(bare: System) -> None:
    bare.put(f"incoming/cygnus/{MONTH:%Y-%m}/report.xlsx", sample())

    result = bare.shs("status")

    assert result.exit_code == 0
    assert "Nothing has been ingested here yet" in result.output
    assert f"cygnus/{MONTH:%Y-%m}" in result.output
    assert not (bare.home / "postgres").exists()


def test_status_has_a_letter_for_what_became_of_each_month(system: System) -> None:
    months = [month_after(MONTH, -back) for back in (6, 5, 4, 3)]
    for month in (months[0], months[2]):
        system.put(f"incoming/novo/{month:%Y-%m}/report.xlsx", sample("novo", month))
    system.put(f"incoming/novo/{months[2]:%Y-%m}/other.xlsx", b"broken")
    system.put(f"incoming/novo/{months[3]:%Y-%m}/report.xlsx", b"broken too")
    system.shs("run")

    result = system.shs("status")

    row = next(line for line in result.output.splitlines() if line.strip().startswith("novo"))
    letters = row.split()[1:]
    assert len(letters) == 12
    assert letters[3:7] == ["L", "M", "LR", "R"]
    assert "2 files rejected now" in result.output
    assert "not an Excel workbook" in result.output


def test_status_says_what_waits_for_a_run(system: System) -> None:
    system.shs("run")
    assert "Nothing in the landing zone is waiting" in system.shs("status").output

    system.put(f"incoming/novo/{MONTH:%Y-%m}/report.xlsx", sample("novo"))

    assert f"1 folder changed since the last run (shs run ingests what changed): novo/{MONTH:%Y-%m}" in (
        system.shs("status").output
    )


def test_status_as_json_is_for_programs_and_holds_no_password(system: System, tables: str) -> None:
    system.put("reference/service_to_product.xlsx", mapping())
    system.put(f"incoming/cygnus/{MONTH:%Y-%m}/report.xlsx", bad_sample())
    system.shs("run")

    result = system.shs("status", "--json")

    found = json.loads(result.stdout)
    password = urlsplit(tables).password
    assert password
    assert password not in result.output
    assert password not in system.shs("status").output
    assert found["landing"] == system.landing.as_uri()
    assert len(found["months"]) == 12 * len(SOURCE_NAMES)
    here = [m for m in found["months"] if (m["source"], m["month"]) == ("cygnus", month_text(MONTH))]
    assert here[0]["state"] == "rejected"
    in_force = {entry["table"]: entry["lines"] for entry in found["reference"]}
    assert in_force["service_to_product"] == 7
    assert in_force["territories"] is None
    assert found["rejected"][0]["problem"] == "This is not an amount."
    assert found["waiting"] == []


def test_status_asks_all_it_shows_in_one_session(system: System, sessions_begun: list[str]) -> None:
    system.put(f"incoming/cygnus/{MONTH:%Y-%m}/report.xlsx", sample())
    system.shs("run")
    sessions_begun.clear()

    system.shs("status")

    assert len(sessions_begun) == 1


def test_status_survives_a_landing_zone_that_cannot_be_reached(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = system.folder / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("SHS_LANDING", str(blocked / "landing"))

    result = system.shs("status")

    assert result.exit_code == 0
    assert "cannot be created" in result.output


# --- drop --------------------------------------------------------------------------------


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "March report.xlsx"
    path.write_bytes(sample())
    return path


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ("--source cygnus --month {m}", "incoming/cygnus/{m}/March report.xlsx"),
        ("--source CYGNUS --month {m} --overlap-ok", "incoming/cygnus/{m}/overlap=ok/March report.xlsx"),
        (
            "--source summit-medical --month {m} --revenue-month 2025-01",
            "incoming/summit_medical/{m}/rev=2025-01/March report.xlsx",
        ),
        (
            "--source sunoptic --month {m} --revenue-month 2025-01 --overlap-ok",
            "incoming/sunoptic/{m}/rev=2025-01/overlap=ok/March report.xlsx",
        ),
        ("--source territories", "reference/territories.xlsx"),
    ],
)
def test_a_file_is_dropped_where_it_belongs(bare: System, report: Path, options: str, place: str) -> None:
    result = bare.shs("drop", report, *options.format(m=month_text(MONTH)).split())

    assert result.exit_code == 0, result.exception
    assert (bare.landing / place.format(m=month_text(MONTH))).read_bytes() == report.read_bytes()
    assert "Next: shs run" in result.output


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("--source cygnus", "commission month of March report.xlsx could be"),
        ("--source cygnus --month 2025-13", "--month '2025-13' is not a month"),
        ("--source cygnus --month 03/2025", "is not a month"),
        ("--source cygnus --month 2019-12", "out of range"),
        ("--source cygnus --month {late}", "out of range"),
        ("--source cygnus --month 2025-03 --revenue-month 2025-02", "takes the revenue month from the .xlsx"),
        ("--source summit_medical --month 2025-03", "contains no date"),
        ("--source sales_reps --month 2025-03", "sales_reps is a reference table"),
        ("--source nobody --month 2025-03", "no source or reference table called 'nobody'"),
    ],
)
def test_a_drop_that_would_not_be_read_is_refused(
    bare: System, report: Path, options: str, problem: str
) -> None:
    late = month_text(month_after(last_month()))

    error = bare.fails("drop", report, *options.format(late=late).split())

    assert problem in error.problem
    assert error.remedy
    assert not list(bare.landing.rglob("*.xlsx"))


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("report.csv", b"a,b", "is not a .xlsx file"),
        ("report.pdf", b"%PDF", "is not a .xlsx file"),
        ("report.xlsm", b"PK", "macros"),
        ("report.xlsx", b"", "empty"),
        ("report.xlsx", b"text", "not an Excel workbook"),
        (".report.xlsx", b"PK", "never read"),
        ("~$report.xlsx", b"PK", "never read"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(bare: System, name: str, content: bytes, problem: str) -> None:
    path = bare.folder / name
    path.write_bytes(content)

    assert problem in bare.fails("drop", path, "--source", "novo", "--month", "2025-03").problem
    assert not bare.landing.exists() or not list(bare.landing.rglob("*"))


def test_a_missing_file_and_a_folder_are_said(bare: System) -> None:
    options = ("--source", "novo", "--month", "2025-03")

    assert "There is no file" in bare.fails("drop", bare.folder / "none.xlsx", *options).problem
    assert "is a folder" in bare.fails("drop", bare.folder, "--source", "sales_reps").problem


def test_another_file_of_the_same_name_is_only_replaced_when_told(bare: System, report: Path) -> None:
    options = ("--source", "cygnus", "--month", month_text(MONTH))
    place = bare.landing / f"incoming/cygnus/{MONTH:%Y-%m}" / report.name
    bare.shs("drop", report, *options)
    old = place.read_bytes()

    same = bare.shs("drop", report, *options)
    report.write_bytes(sample(seed=2))
    error = bare.fails("drop", report, *options)
    kept = place.read_bytes()
    replaced = bare.shs("drop", report, *options, "--replace")

    assert "The same file is already there" in same.output
    assert "A different file is already there" in error.problem
    assert "--replace" in error.remedy
    assert kept == old
    assert "Replaced:" in replaced.output
    assert place.read_bytes() == report.read_bytes()


def named(bare: System, name: str, content: bytes) -> Path:
    path = bare.folder / name
    path.write_bytes(content)
    return path


def test_what_is_not_said_is_guessed_shown_and_only_done_when_agreed(bare: System) -> None:
    month = month_text(MONTH)
    path = named(bare, f"Cygnus {month}.xlsx", sample())

    refused = bare.shs("drop", path)
    nothing = list(bare.landing.rglob("*.xlsx"))
    done = bare.shs("drop", path, "--yes")

    assert isinstance(refused.exception, ShsError)
    assert f"would go to incoming/cygnus/{month}/{path.name}" in refused.exception.problem
    assert f"--source cygnus --month {month}" in refused.exception.remedy
    assert "Guessed source cygnus: it has 16 of its 16 columns." in refused.output
    assert f"Guessed commission month {month}: its name says {month}" in refused.output
    assert nothing == []
    assert done.exit_code == 0
    assert (bare.landing / f"incoming/cygnus/{month}/{path.name}").read_bytes() == sample()


@pytest.mark.parametrize(("answer", "is_done"), [("y", True), ("Yes", True), ("", False), ("n", False)])
def test_a_person_is_asked(bare: System, monkeypatch: pytest.MonkeyPatch, answer: str, is_done: bool) -> None:
    path = named(bare, f"Novo {month_text(MONTH)}.xlsx", sample("novo"))
    monkeypatch.setattr("shs_pipeline.cli.terminal.is_somebody_there", lambda: True)

    result = CliRunner().invoke(build_app(), ["drop", str(path)], input=f"{answer}\n")

    assert "Is this right? [y/N]" in result.output
    assert bool(list(bare.landing.rglob("*.xlsx"))) is is_done
    assert (result.exit_code == 0) is is_done


def test_a_reference_workbook_needs_no_month(bare: System) -> None:
    content = reference_workbooks(MONTH, MONTH, 10)["reference/territories.xlsx"]

    assert bare.shs("drop", named(bare, "who owns what.xlsx", content), "--yes").exit_code == 0
    assert (bare.landing / "reference/territories.xlsx").read_bytes() == content


def test_when_unsure_the_candidates_are_listed(bare: System) -> None:
    error = bare.fails("drop", named(bare, "Cygnus 2021-05.xlsx", sample()), "--yes")

    assert f"could be {month_text(month_after(MONTH, -1))} or " in error.problem
    assert "2021-05" in error.problem
    assert "--source cygnus with --month" in error.remedy
    assert not list(bare.landing.rglob("*.xlsx"))


def test_the_revenue_month_of_a_pivot_is_guessed_from_the_earlier_ones(bare: System) -> None:
    pivots = [make_sample("summit_medical", date(2025, 2, 1), lines=4, seed=1)]
    pivots += [make_sample("summit_medical", date(2025, 6, 1), lines=4, seed=1)]
    assert all("/rev=" in pivot.path for pivot in pivots)
    path = named(bare, "Summit pivot 2025-06.xlsx", pivots[1].content)

    first = bare.fails("drop", path, "--source", "summit_medical", "--yes")
    bare.put(pivots[0].path, pivots[0].content)
    second = bare.shs("drop", path, "--source", "summit_medical", "--yes")

    assert "must name the revenue month" in first.problem
    assert "Guessed revenue month 2025-05" in second.output
    assert (bare.landing / "incoming/summit_medical/2025-06/rev=2025-05" / path.name).exists()


def test_a_dropped_file_is_loaded_by_the_next_run(system: System, report: Path) -> None:
    system.shs("drop", report, "--source", "cygnus", "--month", month_text(MONTH))

    assert system.shs("run").exit_code == 0
    assert json.loads(system.shs("status", "--json").stdout)["waiting"] == []


# --- check -------------------------------------------------------------------------------


def test_a_good_file_is_known_by_its_columns_and_nothing_is_started(bare: System, report: Path) -> None:
    result = bare.shs("check", report)

    assert result.exit_code == 0
    assert "is checked as cygnus (it has 16 of its 16 columns)" in result.output
    assert "12 lines found; left out: 1 (remark or footer)." in result.output
    assert "Sums: Invoice Total " in result.output
    assert "printed totals match the lines" in result.output
    assert "It would be loaded" in result.output
    assert not bare.home.exists()
    assert not bare.landing.exists() or not list(bare.landing.rglob("*"))


def test_a_bad_file_shows_each_problem_and_gets_its_error_workbook(bare: System, report: Path) -> None:
    row = bad_row()
    report.write_bytes(with_bad_cell(bad_sample(), "ClosedDate", row, "never"))

    result = bare.shs("check", report, "--errors-to", bare.folder / "new" / "errors.xlsx")

    assert result.exit_code == EXIT_REJECTED
    assert "This is not an amount." in result.output
    assert "[red]abc[/red]" in result.output
    assert "This is not a readable date." in result.output
    assert "It would be rejected: 2 errors" in result.output
    book = openpyxl.load_workbook(bare.folder / "new" / "errors.xlsx")
    assert book.sheetnames == ["Errors", "Report"]


def test_the_error_workbook_must_have_a_name_of_one(bare: System, report: Path) -> None:
    report.write_bytes(bad_sample())

    assert "is not a workbook name" in bare.fails("check", report, "--errors-to", "errors.txt").problem


def test_a_file_checked_as_another_source_is_rejected(bare: System, report: Path) -> None:
    result = bare.shs("check", report, "--source", "novo")

    assert result.exit_code == EXIT_REJECTED
    assert "checked as novo (as told)" in result.output


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04"])
def test_a_file_that_is_no_workbook_is_rejected_also_without_a_source(
    bare: System, report: Path, content: bytes
) -> None:
    report.write_bytes(content)

    assert bare.shs("check", report).exit_code == EXIT_REJECTED
    assert bare.shs("check", report, "--source", "novo").exit_code == EXIT_REJECTED


def test_a_file_like_no_source_lists_the_sources(bare: System, report: Path) -> None:
    openpyxl.Workbook().save(report)

    assert "one of cygnus, logiquip" in bare.fails("check", report).remedy


def test_a_file_without_a_date_is_checked_all_the_same_and_its_drop_explained(
    bare: System, report: Path
) -> None:
    content = next(
        found.content
        for back in range(12)
        if (found := make_sample("summit_medical", month_after(MONTH, -back), lines=9, seed=1)).path.endswith(
            "xlsx"
        )
    )
    report.write_bytes(content)

    without, given = bare.shs("check", report), bare.shs("check", report, "--revenue-month", "2025-02")

    assert without.exit_code == given.exit_code == 0
    assert "drop it with --revenue-month" in without.output
    assert "drop it with --revenue-month" not in given.output


def test_a_revenue_month_that_the_source_does_not_take_is_an_error(bare: System, report: Path) -> None:
    result = bare.shs("check", report, "--revenue-month", "2025-02")

    assert result.exit_code == EXIT_REJECTED
    assert "is in a rev= folder" in result.output


def test_a_file_in_the_landing_zone_is_checked_as_its_place_says(bare: System) -> None:
    place = bare.put(f"incoming/novo/{MONTH:%Y-%m}/report.xlsx", sample("cygnus"))

    result = bare.shs("check", place)

    assert result.exit_code == EXIT_REJECTED
    assert "checked as novo (it is in that folder)" in result.output


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("incoming/nobody/2025-03/lost.xlsx", "there is no source called 'nobody'"),
        ("incoming/cygnus/March/lost.xlsx", "'March' is not a commission month"),
        (f"incoming/cygnus/{MONTH:%Y-%m}/bell\x07.xlsx", "cannot be printed"),
    ],
)
def test_a_file_that_no_run_would_load_from_its_place_is_checked_as_rejected(
    bare: System, monkeypatch: pytest.MonkeyPatch, path: str, said: str
) -> None:
    monkeypatch.setenv("COLUMNS", "250")

    refused = bare.shs("check", bare.put(path, sample()))
    elsewhere = bare.shs("check", bare.put("../elsewhere.xlsx", sample()))

    assert refused.exit_code == EXIT_REJECTED
    assert said in refused.output
    assert "1 error." in refused.output
    assert (elsewhere.exit_code, said in elsewhere.output) == (0, False)


def test_a_reference_workbook_is_checked_too(bare: System, report: Path) -> None:
    report.write_bytes(reference_workbooks(MONTH, MONTH, 10)["reference/sales_reps.xlsx"])

    result = bare.shs("check", report)

    assert result.exit_code == 0
    assert "checked as sales_reps" in result.output


def test_service_lines_are_checked_against_the_best_map_there_is(system: System, report: Path) -> None:
    report.write_bytes(sample("quickbooks"))
    shorter = openpyxl.load_workbook(io.BytesIO(mapping()))
    shorter.worksheets[0].delete_rows(3, 20)
    stream = io.BytesIO()
    shorter.save(stream)

    nowhere = system.shs("check", report)
    system.put("reference/service_to_product.xlsx", stream.getvalue())
    in_landing = system.shs("check", report)
    system.put("reference/service_to_product.xlsx", mapping())
    system.shs("run")
    system.put("reference/service_to_product.xlsx", stream.getvalue())
    in_force = system.shs("check", report)

    assert nowhere.exit_code == 0
    assert "Service lines were not checked" in nowhere.output
    assert in_landing.exit_code == EXIT_REJECTED
    assert "Service Lines" in in_landing.output
    assert "reference/service_to_product.xlsx" in in_landing.output
    assert in_force.exit_code == 0
    assert "not checked" not in in_force.output


# --- errors ------------------------------------------------------------------------------


def test_errors_of_a_system_without_any(bare: System) -> None:
    result = bare.shs("errors")

    assert result.output.startswith("No file is rejected.\n")
    assert "shs demo" in result.output
    assert not (bare.home / "postgres").exists()
    assert "No rejected file" in bare.fails("errors", "report.xlsx").problem


def test_errors_lists_every_error_of_the_rejected_files(system: System) -> None:
    path = f"incoming/cygnus/{MONTH:%Y-%m}/report.xlsx"
    system.put(path, with_bad_cell(bad_sample(), "ClosedDate", bad_row(), "never"))
    system.put("incoming/nobody/file.xlsx", b"x")
    system.put(f"incoming/novo/{MONTH:%Y-%m}/good.xlsx", sample("novo"))
    system.shs("run")

    everything = system.shs("errors")
    one = system.shs("errors", f"{MONTH:%Y-%m}/report.xlsx")
    full = system.shs("errors", system.landing / path)
    rows = list(csv.DictReader(io.StringIO(system.shs("errors", "--csv").stdout)))

    assert everything.exit_code == 0
    assert f"{path}: 2 errors" in everything.output
    assert "there is no source called 'nobody'" in everything.output
    assert "never" in one.output
    assert "nobody" not in one.output
    assert full.output == one.output
    assert str(system.landing / "rejected" / f"{path}.errors.xlsx") in one.output
    assert [(row["row"], row["column"], row["value"]) for row in rows if row["file"] == path] == [
        (str(bad_row()), "ClosedDate", "never"),
        (str(bad_row()), "Invoice Total", "[red]abc[/red]"),
    ]
    assert len(rows) == 3
    assert all(row["how to fix it"] and row["error workbook"] for row in rows)
    assert "it is loaded" in system.fails("errors", "good.xlsx").problem
    assert path in system.fails("errors", "eport.xlsx").remedy


# --- reference export --------------------------------------------------------------------


def test_tables_of_which_none_is_in_force_are_exported_as_headers(system: System) -> None:
    result = system.shs("reference", "export", system.folder / "tables")

    assert result.exit_code == 0, result.exception
    assert result.output.count("headers only") == 9
    sheet = openpyxl.load_workbook(system.folder / "tables" / "sales_reps.xlsx").worksheets[0]
    assert [cell.value for cell in sheet[1]] == [
        "Sales Rep Name",
        "Rep Category",
        "Email",
        "Permission",
        "Active",
        "Payee ID",
        "Payroll Code",
        "Paid As",
        "Left On",
        "Pays After Leaving",
        "Note",
    ]
    assert sheet.max_row == 1


def test_what_is_exported_can_be_dropped_again_and_gives_the_same_tables(system: System) -> None:
    for path, content in reference_workbooks(MONTH, MONTH, 10).items():
        system.put(path, content)
    assert system.shs("run").exit_code == 0
    tables = system.folder / "tables"

    result = system.shs("reference", "export", tables)
    refused = system.fails("reference", "export", tables)
    for path in tables.iterdir():
        dropped = system.shs("drop", path, "--source", path.stem, "--replace")
        assert dropped.exit_code == 0, dropped.exception
    again = system.shs("run")
    forced = system.shs("reference", "export", tables, "--force")

    assert "headers only" not in result.output
    assert "territories.xlsx" in refused.problem
    assert "--force" in refused.remedy
    assert again.exit_code == 0, again.output
    # What is in force was dropped anew meanwhile, so only its day and time may differ.
    day_and_time = re.compile(r"[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}")
    assert day_and_time.sub("", result.output) == day_and_time.sub("", forced.output)


def test_an_exported_workbook_offers_the_names_that_are_in_force(system: System) -> None:
    for path, content in reference_workbooks(MONTH, MONTH, 10).items():
        system.put(path, content)
    system.shs("run")

    system.shs("reference", "export", system.folder / "tables")

    lists = openpyxl.load_workbook(system.folder / "tables" / "territories.xlsx")["Lists"]
    offered = [cell for row in lists.iter_rows(values_only=True) for cell in row]
    assert {"Dana Whitfield", "cygnus", "SteppingStone"} <= set(offered)


# --- samples and demo --------------------------------------------------------------------


def test_samples_are_the_same_for_the_same_options(bare: System) -> None:
    options = ("--months", 2, "--lines", 5, "--seed", 4, "--until", "2025-06")

    first = bare.shs("samples", bare.folder / "one", *options)
    bare.shs("samples", bare.folder / "two", *options)

    assert first.exit_code == 0, first.exception
    assert "18 files and 9 reference workbooks" in first.output
    one = {
        path.relative_to(bare.folder / "one"): path.read_bytes()
        for path in (bare.folder / "one").rglob("*.*")
    }
    two = {
        path.relative_to(bare.folder / "two"): path.read_bytes()
        for path in (bare.folder / "two").rglob("*.*")
    }
    assert one == two
    assert (bare.folder / "one" / "incoming" / "cygnus" / "2025-06").is_dir()


def test_samples_end_with_the_last_complete_month(bare: System) -> None:
    bare.shs("samples", bare.folder / "one", "--months", 1, "--lines", 3)

    folders = [path.name for path in (bare.folder / "one" / "incoming" / "cygnus").iterdir()]
    assert folders == [month_text(month_after(today().replace(day=1), -1))]


def test_samples_do_not_spill_into_a_folder_with_files_and_stay_in_range(bare: System) -> None:
    (bare.folder / "full").mkdir()
    (bare.folder / "full" / "mine.txt").write_text("mine")

    assert "not empty" in bare.fails("samples", bare.folder / "full").problem
    assert "more than the system reads" in bare.fails("samples", bare.folder / "x", "--months", 300).problem
    assert "is not a month" in bare.fails("samples", bare.folder / "x", "--until", "soon").problem
    assert bare.shs("samples", bare.folder / "full", "--months", 1, "--lines", 2, "--force").exit_code == 0
    assert (bare.folder / "full" / "mine.txt").read_text() == "mine"


def test_a_demo_fills_ingests_and_shows_payouts_and_where_to_look(whole: System, database: str) -> None:
    system = whole
    result = system.shs("demo", "--months", 2, "--lines", 8)

    assert result.exit_code == 0, (result.output, result.exception)
    assert "Wrote 27 sample files to the landing zone" in result.output
    row = next(line for line in result.output.splitlines() if line.strip().startswith("Cygnus"))
    assert row.split()[1:4] == ["2", "0", "16"]
    assert str(system.landing) in result.output
    assert "make up" in result.output
    assert "correct a file" in result.output
    assert str(urlsplit(database).password) not in result.output
    with psycopg.connect(database) as connection:
        found = connection.execute("select count(*) from raw.cygnus").fetchone()
        paid = connection.execute(
            "select rep_name, sum(payout) from marts.commission_payouts where commission_month ="
            " (select max(commission_month) from marts.commission_payouts) group by rep_name"
        ).fetchall()
    assert found == (16,)
    assert paid
    shown = result.output.partition("Payouts in USD")[2]
    for name, payout in paid:
        row = next(line for line in shown.splitlines() if line.strip().startswith(name))
        assert f"{payout:,.2f}" in row
    assert "no_territory" in result.output
    assert "│" in result.output
    _checks_a_workbook_that_loses_a_rate(system)


def _checks_a_workbook_that_loses_a_rate(system: System) -> None:
    """A reference workbook is judged together with all others before it is dropped."""
    workbook = system.landing / "reference" / "commission_tiers.xlsx"
    tiers = openpyxl.load_workbook(workbook)
    for row in [row for row, *_ in tiers.worksheets[0].iter_rows() if row.value == "Ingrid Solvang"][::-1]:
        tiers.worksheets[0].delete_rows(row.row)
    other = system.folder / "commission_tiers.xlsx"
    tiers.save(other)

    same, lost = system.shs("check", workbook), system.shs("check", other)

    assert (same.exit_code, lost.exit_code) == (0, 0), lost.output
    assert "0 of them new" in same.output
    assert "The rate of Ingrid Solvang" in lost.output
    assert "no longer in commission_tiers" in lost.output
    assert "0 of them new" not in lost.output
    assert "findings in the reference workbooks" in system.shs("status").output


def test_a_second_demo_keeps_what_was_done_to_the_files(system: System) -> None:
    system.shs("demo", "--months", 2, "--lines", 4)
    next((system.landing / "incoming" / "cygnus").rglob("*.xlsx")).unlink()

    result = system.shs("demo", "--months", 3, "--lines", 9)

    assert "are already in the landing zone" in result.output
    row = next(line for line in result.output.splitlines() if line.strip().startswith("Cygnus"))
    assert row.split()[1:4] == ["1", "0", "4"]


def test_a_demo_that_was_killed_while_writing_is_completed(system: System) -> None:
    system.shs("demo", "--months", 1, "--lines", 4)
    note = system.home / "demo.json"
    note.write_text(note.read_text().replace('"is_complete": true', '"is_complete": false'))
    next((system.landing / "incoming" / "cygnus").rglob("*.xlsx")).unlink()

    result = system.shs("demo")

    assert "Wrote 18 sample files to the landing zone: 1 month up to" in result.output
    assert len(list((system.landing / "incoming").rglob("*.*"))) == 9


def test_a_demo_never_writes_over_the_files_of_somebody(system: System) -> None:
    mine = system.put(f"incoming/cygnus/{MONTH:%Y-%m}/Cygnus commission {MONTH:%Y-%m}.xlsx", sample())
    content = mine.read_bytes()

    result = system.shs("demo", "--months", 3)

    assert "contains 1 file that is not the demo's" in result.output
    assert mine.read_bytes() == content
    assert [path for path in system.landing.rglob("*.*") if path.is_file()] == [mine]
    row = next(line for line in result.output.splitlines() if line.strip().startswith("Cygnus"))
    assert row.split()[1] == "1"


# --- as a program, with the embedded server ----------------------------------------------


@pytest.mark.soak
def test_the_program_itself_from_a_demo_to_a_mended_file(tmp_path: Path) -> None:
    home = tmp_path / "home"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SHS_")}

    def shs(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", RUN_MAIN, *arguments],
            env={**environment, "SHS_HOME": str(home)}, cwd=tmp_path, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    try:
        demo = shs("demo", "--months", "1", "--lines", "4")
        assert demo.returncode == 0, demo.stdout + demo.stderr
        path = next((home / "landing" / "incoming" / "cygnus").rglob("*.xlsx"))
        good = path.read_bytes()
        path.write_bytes(b"broken")
        rejected = shs("run")
        assert rejected.returncode == EXIT_REJECTED
        assert "not an Excel workbook" in rejected.stdout
        path.write_bytes(good)
        assert shs("run").returncode == 0
        typo = shs("drop", str(path), "--source", "cygnos", "--month", "2025-03")
        assert typo.returncode == EXIT_PROBLEM
        assert "Did you mean cygnus?" in typo.stderr
        assert "Traceback" not in demo.stderr + rejected.stderr + typo.stderr
        assert json.loads(shs("status", "--json").stdout)["rejected"] == []
    finally:
        EmbeddedPostgres(Settings(home=home).home).stop()


def test_write_samples_and_the_command_agree(bare: System) -> None:
    bare.shs("samples", bare.folder / "one", "--months", 1, "--lines", 3, "--seed", 2, "--until", "2025-05")

    tree = write_samples(bare.folder / "two", months=1, lines=3, seed=2, until=date(2025, 5, 1))

    for path in tree.files:
        assert (bare.folder / "one" / path).read_bytes() == (bare.folder / "two" / path).read_bytes()
