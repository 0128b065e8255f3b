"""`shs new-source --from`: what is guessed of files of random shape, and from such a file to the marts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import openpyxl
import pytest

from shs_pipeline.base.errors import ShsError, UnreadableFileError
from shs_pipeline.file_reader.layout.guess import guess_layout
from shs_pipeline.file_reader.layout.model import Layout, layout_of
from shs_pipeline.file_reader.reader import FileReader
from shs_pipeline.files.reading import SourceFile
from shs_pipeline.files.source import Source, read_file
from shs_pipeline.marts.stale_columns import how_to_follow_contract
from shs_pipeline.samples.plan import Plan, SampleFile
from shs_pipeline.scaffold.draft import Draft
from shs_pipeline.scaffold.new_source import scaffold
from shs_pipeline.scaffold.record import undo
from shs_pipeline.scaffold.sample_text import sample_text
from shs_pipeline.scaffold.source_text import DECIDE, source_text
from tests.helpers.checkouts import copy_of_checkout, python, snapshot
from tests.helpers.supplier_file import supplier_file

if TYPE_CHECKING:
    from tests.conftest import Zone

MAX_BYTES = 10**8
MARCH = date(2025, 3, 1)


SEEDS = [0, 1, 2, 3, 104, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(4, 20))]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return copy_of_checkout(tmp_path / "checkout")


def guessed(content: bytes, name: str = "report.xlsx") -> Layout:
    return guess_layout(SourceFile(name, content), MAX_BYTES)


def draft_of(content: bytes) -> Draft:
    return Draft("acme", "Acme", guessed(content), is_guessed=True)


def executed(text: str, name: str) -> ModuleType:
    """A module that is on no disk; Pandera looks annotations up where modules are."""
    module = ModuleType(f"scaffolded_{name}")
    sys.modules[module.__name__] = module
    exec(compile(text, name, "exec"), module.__dict__)
    return module


def source_of(draft: Draft) -> Source:
    source: Source = executed(source_text(draft), "source").SOURCE
    return source


def book(*rows: list[Any]) -> bytes:
    import io

    workbook = openpyxl.Workbook()
    for row in rows:
        workbook.worksheets[0].append(row)
    stream = io.BytesIO()
    workbook.save(stream)
    return stream.getvalue()


SMALL = book(
    ["Customer ID", "Invoice", "Date", "Amount", "Commission"],
    ["C10", "701", "03/02/2025", 100, 7],
    ["C11", "702", "03/03/2025", 250.5, 17.54],
)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_file_of_any_shape_is_read_as_a_person_reads_it(seed: int) -> None:
    file = supplier_file(seed)
    draft = draft_of(file.content)

    outcome = read_file(source_of(draft), SourceFile("report.xlsx", file.content), MAX_BYTES)

    assert outcome.errors == []
    assert outcome.lines is not None
    assert draft.layout.header_row == file.header_row
    assert draft.layout.lines == len(file.lines)
    assert file.is_grouped or not draft.layout.grouped
    for holds, heading in file.headings.items():
        found = outcome.lines[draft.columns[heading]].tolist()
        assert found == [line[holds] for line in file.lines], heading
    for role in ("invoice", "date", "sales", "earned"):
        assert draft.layout.header_of(role) == file.headings[role]  # type: ignore[arg-type]
    assert draft.layout.header_of("customer") in (file.headings.get("number"), file.headings["customer"])
    assert all(total.agrees for total in outcome.totals)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_sample_is_read_by_the_same_source(seed: int) -> None:
    draft = draft_of(supplier_file(seed).content)
    source, write = source_of(draft), executed(sample_text(draft), "sample").acme

    for month in (2, 6, 12):
        sample: SampleFile = write(Plan("acme", date(2025, month, 1), 30, seed=1))
        outcome = read_file(source, SourceFile("sample.xlsx", sample.content), MAX_BYTES)

        assert outcome.errors == []
        assert outcome.lines is not None
        for header, name in draft.columns.items():
            assert outcome.lines[name].tolist() == [line[header] for line in sample.lines], header
        assert all(total.agrees for total in outcome.totals)


def test_nothing_of_the_real_file_but_its_headings_gets_into_the_code() -> None:
    file = supplier_file(3)
    draft = draft_of(file.content)

    written = source_text(draft) + sample_text(draft)

    values = {str(line[name]) for line in file.lines for name in ("customer", "invoice", "number", "sales")}
    assert [value for value in values if f'"{value}"' in written] == []


def test_what_the_reading_process_says_is_what_was_guessed() -> None:
    content = supplier_file(5).content
    with FileReader() as reader:
        found = reader.layout(SourceFile("report.xlsx", content), MAX_BYTES)

    assert found == guessed(content) == layout_of(json.loads(json.dumps(found.plain())))


def test_several_dates_are_a_decision_and_a_proven_commission_is_none() -> None:
    layout = guessed(
        book(
            ["Acct #", "Inv #", "Invoice Date", "Paid Date", "Net Sales", "Comm %", "Comm $"],
            *(["A1", str(70 + n), date(2025, 2, 3), date(2025, 3, 9), 100 + n, 0.07, 7 + n * 0.07]
              for n in range(6)),
        )
    )  # fmt: skip

    assert not layout.roles["date"].is_sure
    assert layout.roles["earned"].is_sure
    assert "Net Sales times Comm % is Comm $" in layout.roles["earned"].because
    assert source_text(Draft("acme", "Acme", layout, is_guessed=True)).count(DECIDE) == 1


def test_amounts_without_a_word_are_totals_only_where_they_add_up() -> None:
    header = ["Customer", "Invoice", "Date", "Amount", "Commission"]
    rows: list[list[Any]] = [["North Clinic", "701", "03/02/2025", 100, 7], [None, None, None, 50, 3.5]]
    sum_of_two, other = [None, None, None, 150, 10.5], ["Elm Hospital", "702", "03/03/2025", 80, 5.6]
    plain_sum = [None, None, None, 80, 5.6]

    more_lines = guessed(book(header, *rows, other, [None, None, None, 20, 1.4]))
    totals = guessed(
        book(header, rows[0], ["North Clinic", "703", "03/02/2025", 50, 3.5], sum_of_two, other, plain_sum)
    )

    assert (more_lines.lines, more_lines.plain_totals) == (4, 0)
    assert (totals.lines, totals.plain_totals) == (3, 2)


@pytest.mark.parametrize("label", ["Summe", "Overall", "2 lines"])
@pytest.mark.parametrize("amount", [150, 151])
def test_a_row_with_one_text_is_a_total_only_where_it_adds_up(label: str, amount: int) -> None:
    layout = guessed(
        book(
            ["Customer", "Invoice", "Date", "Amount", "Commission"],
            ["North Clinic", "701", "03/02/2025", 100, 7],
            ["Elm Hospital", "702", "03/03/2025", 50, 3.5],
            [label, None, None, amount, 10.5],
        )
    )

    is_total = amount == 150 and label.isalpha()
    assert (layout.lines, layout.totals) == ((2, 1) if is_total else (3, 0))


def test_a_file_without_a_date_is_dated_by_its_drop() -> None:
    content = book(["Customer ID", "Amount", "Commission"], ["C10", 100, 7], ["C11", 250.5, 17.54])
    source = source_of(draft_of(content))

    outcome = read_file(source, SourceFile("a.xlsx", content, revenue_month=MARCH), MAX_BYTES)

    assert outcome.errors == []
    assert source.revenue_date is None
    assert source.revenue_month_given == {".xlsx": True}


def test_headings_that_no_model_could_bear_get_other_names_or_are_left_out() -> None:
    content = book(
        ["Order", "Customer ID", "Date", "Amount", "Commission", "Größe", "№", "Validate", "{{ x }}", "Memo",
         "Memo"],
        ["701", "C10", "03/02/2025", 100, 7, "L", "1", "ok", "x", "a", "b"],
        ["702", "C11", "03/03/2025", 250.5, 17.54, "M", "2", "ok", "x", "a", "b"],
    )  # fmt: skip
    draft = draft_of(content)

    assert draft.columns["Order"] == "order_in_file"
    assert draft.columns["Validate"] == "validate_in_file"
    assert all(name.isidentifier() and name.isascii() for name in draft.columns.values())
    assert {"{{ x }}", "Memo"}.isdisjoint(draft.columns)
    assert len(draft.layout.left_out) == 3
    assert read_file(source_of(draft), SourceFile("a.xlsx", content), MAX_BYTES).errors == []


@pytest.mark.parametrize(
    ("name", "content", "problem", "remedy"),
    [
        ("report.pdf", b"%PDF-1.7", "not an .xlsx workbook", "Ask the supplier"),
        ("report.csv", b"a,b,c", "not an .xlsx workbook", "zip codes as Text"),
        ("report.xlsm", SMALL, "not an .xlsx workbook", "without its macros"),
        ("report.xlsx", b"", "empty", "Export it again"),
        ("report.xlsx", b"PK\x03\x04 torn", "", ""),
        ("report.xlsx", book(["a note"], ["and another"]), "looks like a header", "without --from"),
        (
            "report.xlsx",
            book(["Name", "City", "Invoice"], *[["X", "Y", "Z1"]] * 4),
            "no column",
            "right sheet",
        ),
        ("report.xlsx", book(["Name", "City", "Amount"]), "looks like a header", "without --from"),
    ],
)
def test_what_cannot_be_guessed_is_said_in_a_sentence(
    name: str, content: bytes, problem: str, remedy: str
) -> None:
    with pytest.raises(UnreadableFileError) as raised:
        guessed(content, name)

    assert problem in raised.value.problem
    assert remedy in raised.value.remedy
    assert name in raised.value.problem


# --- taken back --------------------------------------------------------------------------


@pytest.mark.parametrize("is_from_file", [True, False])
def test_undo_leaves_the_checkout_as_it_was(checkout: Path, is_from_file: bool) -> None:
    before = snapshot(checkout)
    scaffold(checkout, "acme", "Acme", guessed(SMALL) if is_from_file else None)
    scaffold(checkout, "brisk")

    removed = undo(checkout, "acme")

    assert "shs_pipeline/sources/acme.py" in removed
    undo(checkout, "brisk")
    assert snapshot(checkout) == before
    with pytest.raises(ShsError, match="no record of a new source"):
        undo(checkout, "acme")


@pytest.mark.parametrize(
    "edited",
    ["shs_pipeline/sources/acme.py", "tests/engine/sources/acme.py", "shs_pipeline/landing/names.py"],
)
def test_undo_refuses_what_somebody_edited_and_names_it(checkout: Path, edited: str) -> None:
    scaffold(checkout, "acme")
    path = checkout / edited
    path.write_text(path.read_text().replace('    "acme",', '    "acme",  # soon') + "\n# mine\n")
    before = snapshot(checkout)

    with pytest.raises(ShsError) as raised:
        undo(checkout, "acme")

    assert edited in raised.value.problem
    assert snapshot(checkout) == before


def test_a_list_that_went_on_keeps_what_came_later(checkout: Path) -> None:
    scaffold(checkout, "acme")
    names = checkout / "shs_pipeline" / "landing" / "names.py"
    names.write_text(names.read_text() + "\n# about the sources\n")

    undo(checkout, "acme")

    assert "acme" not in names.read_text()
    assert names.read_text().endswith("\n# about the sources\n")


@pytest.mark.parametrize("at", [0, 9, *(pytest.param(at, marks=pytest.mark.soak) for at in (1, 5, 12))])
def test_a_killed_command_leaves_nothing_and_blocks_nobody(checkout: Path, at: int) -> None:
    before = snapshot(checkout)
    killed = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from shs_pipeline.scaffold import new_source, record\n"
        "written = []\n"
        "real = record._write_code\n"
        "def write(path, text):\n"
        f"    if len(written) == {at}:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    written.append(path)\n"
        "    real(path, text)\n"
        "record._write_code = write\n"
        "new_source.scaffold(Path('.').resolve(), 'acme')\n"
    )
    done = python(checkout, "-c", killed)
    assert done.returncode == -signal.SIGKILL, done.stderr

    scaffold(checkout, "acme" if at % 2 else "brisk")

    undo(checkout, "acme" if at % 2 else "brisk")
    assert snapshot(checkout) == before


def test_a_disk_that_fails_half_way_is_said_and_leaves_nothing(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shs_pipeline.scaffold import record

    before, real, written = snapshot(checkout), record.write_whole, []

    def write(path: Path, content: str | bytes) -> None:
        written.append(path)
        if len(written) == 6:
            raise OSError(28, "No space left on device", str(path))
        real(path, content)

    monkeypatch.setattr(record, "write_whole", write)
    with pytest.raises(ShsError, match="No space left"):
        scaffold(checkout, "acme")

    assert snapshot(checkout) == before


# --- the whole way -----------------------------------------------------------------------


def shs(root: Path, zone: Zone, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in the copy, on the test's database and landing zone."""
    code = "import sys; from shs_pipeline.cli.main import main; sys.argv[0] = 'shs'; sys.exit(main())"
    settings = {
        "SHS_HOME": str(root / "var"), "SHS_LANDING": zone.url, "SHS_DATABASE_URL": zone.database_url,
        "PYTHONPATH": str(root), "COLUMNS": "200",
    }  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SHS_")}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=root, env=environment | settings, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.soak
def test_from_a_file_to_the_marts_by_what_the_command_prints(
    checkout: Path, zone: Zone, tmp_path: Path
) -> None:
    file = supplier_file(3)
    report = tmp_path / "Acme March.xlsx"
    report.write_bytes(file.content)

    made = shs(checkout, zone, "new-source", "acme", "--title", "Acme's Best", "--from", str(report))

    assert made.returncode == 0, made.stdout + made.stderr
    assert f"The new source reads the file: {len(file.lines)} lines" in made.stdout
    checked = shs(checkout, zone, "check", str(report), "--source", "acme")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    zone.landing.write("incoming/acme/2025-03/Acme March.xlsx", file.content)
    ran = shs(checkout, zone, "run")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    ((count, sales, earned),) = zone.query(
        "select count(*), sum(sales_actual), sum(rev_actual) from marts.harmonised_sales"
    )
    assert count == len(file.lines)
    assert sales == sum((line["sales"] for line in file.lines), Decimal(0))
    assert earned == sum((line["earned"] for line in file.lines), Decimal(0))
    own = "marts.sales_history_acme inner join marts.harmonised_sales as lines using (line_id)"
    lines = zone.query(f"select lines.product_line, count(*) from {own} group by 1")
    assert lines == [("Acme's Best", count)]


def test_a_model_behind_its_contract_says_which_command_to_run() -> None:
    said = "Database Error column own.customer_number does not exist LINE 9"

    assert "run `make docs`" in how_to_follow_contract("sales_history_acme", said)
    assert "stg_acme.sql" in how_to_follow_contract("stg_acme", said.replace("own.", "lines."))
    assert how_to_follow_contract("sales_history_acme", "division by zero") == ""
