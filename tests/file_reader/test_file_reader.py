"""Files are read in a process of its own: whatever happens there is that file's own rejection."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl
import pytest

from shs_pipeline.base.errors import ShsError, UnreadableFileError
from shs_pipeline.file_reader.paid_cells import LoadedFile, read_cell_texts
from shs_pipeline.file_reader.process import Limits
from shs_pipeline.file_reader.reader import BrokenOffError, FileReader
from shs_pipeline.files.reading import ROW, SHEET, CopyLines, Everything, Problem, SourceFile
from shs_pipeline.files.source import FileOutcome, read_file
from shs_pipeline.ingest.run import run_all, run_changed
from shs_pipeline.landing.names import SOURCE_NAMES
from shs_pipeline.landing.zone import Landing
from shs_pipeline.samples.broken import with_bad_cell
from shs_pipeline.samples.tree import make_sample
from shs_pipeline.samples.workbook import write_workbook
from shs_pipeline.sources.registry import source_named

if TYPE_CHECKING:
    from tests.conftest import Zone

MARCH = date(2025, 3, 1)
MAX_BYTES = 50 << 20
ODD = (sys.executable, "-P", str(Path(__file__).parents[1] / "helpers" / "odd_readers.py"))
CASES = Path(__file__).parents[2].with_name("shared") / "cases" / "more"
NOVO = make_sample("novo", MARCH, lines=3, seed=1).content


@cache
def long_file() -> bytes:
    """A workbook whose lines come in several pieces."""
    return make_sample("novo", MARCH, lines=5000, seed=2).content


@pytest.fixture(autouse=True)
def _reading_processes_are_kept() -> None:
    """Start and end them as outside of tests: that is what is looked at here."""


@pytest.fixture(scope="module")
def reader() -> Iterator[FileReader]:
    with FileReader(Limits(seconds=60, megabytes=1024)) as found:
        yield found


def computing(seconds: float, megabytes: int = 300) -> Limits:
    """Limits of processor time alone: on a busy machine a second of it takes long by the clock."""
    return Limits(seconds, megabytes, clock_factor=1000)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileReader]:
    """A reader whose process does to novo's files what their names say; this one has secrets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("odd")))
        patch.setenv("SHS_DATABASE_URL", "postgresql://owner:secret@db/shs")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("PGPASSWORD", "secret")
        with FileReader(computing(2), ODD) as found:
            yield found


def read(reader: FileReader, name: str, content: bytes = NOVO, source: str = "novo") -> FileOutcome:
    return reader.read(source, named(name, content), MAX_BYTES)


def named(name: str, content: bytes = NOVO) -> SourceFile:
    return SourceFile(name, content, known={"service_to_product": Everything()})


def said(outcome: FileOutcome) -> str:
    assert outcome.lines is None
    (problem,) = outcome.problems
    assert problem.severity == "error"
    return f"{problem.problem} {problem.remedy}"


@pytest.mark.parametrize("source", SOURCE_NAMES)
def test_a_file_reads_the_same_there_as_here(reader: FileReader, source: str) -> None:
    sample = make_sample(source, MARCH, lines=8, seed=3)
    name = sample.path.rpartition("/")[2]
    month = date(2025, 2, 1) if "rev=" in sample.path else None
    file = SourceFile(name, sample.content, month, {"service_to_product": Everything()})

    here = read_file(source_named(source), file, MAX_BYTES)
    there = reader.read(source, file, MAX_BYTES)

    assert isinstance(there.lines, CopyLines)
    assert here.lines is not None
    assert len(there.lines) == len(here.lines) == b"".join(there.lines.pieces).count(b"\n")
    assert (there.rows_read, there.left_out) == (here.rows_read, here.left_out)
    assert list(there.totals) == list(here.totals)
    assert list(there.problems) == list(here.problems)


def test_problems_come_back_with_their_place(reader: FileReader) -> None:
    content = with_bad_cell(
        make_sample("cygnus", MARCH, lines=4, seed=1).content, "Invoice Total", 5, "seven"
    )

    here = read_file(source_named("cygnus"), SourceFile("a.xlsx", content), MAX_BYTES)

    assert list(read(reader, "a.xlsx", content, "cygnus").problems) == list(here.problems)
    assert here.problems[0].row == 5


@pytest.mark.parametrize(
    ("what", "sentence", "remedy"),
    [
        ("segfault", "segfault.xlsx crashed the program that reads it (SIGSEGV)", "save it as a new file"),
        # That an abort is told so too, those files show that crash behind the answer.
        pytest.param(
            "exit",
            "exit.xlsx crashed the program that reads it (exit code 3)",
            "save it as a new file",
            marks=pytest.mark.soak,
        ),
        ("sysexit", "sysexit.xlsx crashed the program that reads it (exit code 0)", "save it as a new file"),
        ("loop", "Reading loop.xlsx took longer than 2 seconds of processor time", "SHS_READ_SECONDS"),
        ("memory", "Reading memory.xlsx needs more than 300 MB of memory", "SHS_READ_MEMORY_MB"),
        ("fault", "failed on fault.xlsx (ZeroDivisionError). This is a bug in shs.", "Report it"),
    ],
)
def test_what_happens_to_a_file_is_its_own_rejection_and_the_next_one_is_read(
    odd: FileReader, what: str, sentence: str, remedy: str
) -> None:
    found = said(read(odd, f"{what}.xlsx"))

    assert sentence in found
    assert remedy in found
    assert len(read(odd, "good.xlsx").lines or ()) == 3


def test_a_file_that_hangs_without_computing_is_ended_by_the_clock() -> None:
    with FileReader(Limits(seconds=1, megabytes=300, clock_factor=3), ODD) as reader:
        found = said(read(reader, "stuck.xlsx"))

    assert "Reading stuck.xlsx did not finish within 3 seconds and was stopped" in found
    assert "shs run --all --source novo" in found


def test_a_file_that_waits_for_the_processor_is_read(odd: FileReader) -> None:
    assert len(read(odd, "wait.xlsx").lines or ()) == 3, "it took longer by the clock"
    assert len(read(odd, "good.xlsx").lines or ()) == 3, "each file has its own time"


def test_a_process_that_has_a_thousand_files_open_reads_too() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2048:
        pytest.skip("this system allows a process no more than a thousand open files")
    with contextlib.ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
        for _ in range(1024):
            stack.enter_context(Path(os.devnull).open())
        reader = stack.enter_context(FileReader())

        assert len(read(reader, "a.xlsx").lines or ()) == 3


def test_garbage_that_a_reader_prints_harms_nothing(
    odd: FileReader, capfd: pytest.CaptureFixture[str]
) -> None:
    assert len(read(odd, "print.xlsx").lines or ()) == 3
    assert capfd.readouterr() == ("", "")


def test_the_process_is_kept_for_the_next_file(odd: FileReader) -> None:
    read(odd, "good.xlsx")
    assert odd._child is not None
    process = odd._child._process.pid

    read(odd, "good.xlsx")

    assert odd._child._process.pid == process


@pytest.mark.skipif(sys.platform != "linux", reason="only where the system holds the process to its limits")
def test_what_was_begun_is_found_done_and_anything_else_is_read_for_itself(odd: FileReader) -> None:
    plain = read(odd, "july.xlsx")
    assert odd._child is not None
    process = odd._child._process.pid

    # The same is not done twice; another name, other bytes or other months are another file.
    odd.begin("novo", named("july.xlsx"), MAX_BYTES)
    assert odd._child._under_way is not None
    assert read(odd, "july.xlsx") == plain
    assert odd._child._under_way is None
    odd.begin("novo", named("july.xlsx"), MAX_BYTES)
    assert "is not an Excel workbook" in said(read(odd, "july.xlsx", b"no workbook"))
    odd.begin("novo", named("fault.xlsx"), MAX_BYTES)
    assert read(odd, "july.xlsx") == plain
    assert odd._child._process.pid == process


@pytest.mark.skipif(sys.platform != "linux", reason="only where the system holds the process to its limits")
def test_what_was_begun_and_crashed_harms_only_itself(odd: FileReader) -> None:
    plain = read(odd, "july.xlsx")

    odd.begin("novo", named("segfault.xlsx"), MAX_BYTES)
    assert read(odd, "july.xlsx") == plain
    odd.begin("novo", named("segfault.xlsx"), MAX_BYTES)
    assert "segfault.xlsx crashed the program that reads it (SIGSEGV)" in said(read(odd, "segfault.xlsx"))
    assert read(odd, "july.xlsx") == plain


def test_a_kill_from_outside_costs_no_file(odd: FileReader) -> None:
    assert len(read(odd, "once.xlsx").lines or ()) == 3
    assert (Path(os.environ["TMPDIR"]) / "once").exists()


def test_the_process_knows_no_secret(odd: FileReader) -> None:
    assert os.environ["PGPASSWORD"] == "secret"
    records = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    try:
        read(odd, "environment.xlsx")
    finally:
        logging.getLogger().removeHandler(handler)

    (record,) = [record for record in records if "environment.xlsx" in record.getMessage()]
    assert "KeyError: 'nothing'" in record.getMessage(), "the traceback is in our log"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["idle", "loop.xlsx", "stuck.xlsx"])
def test_the_process_ends_with_its_parent(name: str) -> None:
    script = (
        "import sys, threading, time\n"
        "from shs_pipeline.file_reader.process import Limits\n"
        "from shs_pipeline.file_reader.reader import FileReader\n"
        "from shs_pipeline.files.reading import SourceFile\n"
        f"reader = FileReader(Limits(seconds=100), {ODD!r})\n"
        "reader.start()\n"
        "reader._child._wait_until_ready()\n"
        "print(reader._child._process.pid, flush=True)\n"
        f"name, content = {name!r}, open({str(_novo_file())!r}, 'rb').read()\n"
        "time.sleep(100) if name == 'idle' else reader.read('novo', SourceFile(name, content), 10**7)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    time.sleep(0.5)
    assert _lives(child)

    parent.send_signal(signal.SIGKILL)
    parent.wait()

    deadline = time.monotonic() + 20
    while _lives(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _lives(child)


def _novo_file() -> Path:
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"novo-{os.getpid()}.xlsx"
    path.write_bytes(NOVO)
    return path


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_process_that_does_not_start_is_a_sentence_and_rejects_no_file(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("raise SystemExit('libfoo is missing')")

    for command in ([sys.executable, str(broken)], [str(tmp_path / "nothing")]):
        with (
            FileReader(Limits(), command) as reader,
            pytest.raises(ShsError, match="does not start on this machine"),
        ):
            read(reader, "a.xlsx")


def test_guessing_happens_there_too(reader: FileReader) -> None:
    cygnus = make_sample("cygnus", MARCH, lines=2, seed=1).content

    assert reader.guess(SourceFile("a.xlsx", cygnus), MAX_BYTES).declaration == "cygnus"
    with pytest.raises(UnreadableFileError, match=r"a\.txt is no"):
        reader.guess(SourceFile("a.txt", b"x"), MAX_BYTES)
    with pytest.raises(ShsError, match="does not match the columns of any source"):
        reader.guess(SourceFile("a.xlsx", write_workbook({"S": [["nothing"]]})), MAX_BYTES)


def test_whether_a_file_opens_is_looked_at_there(reader: FileReader) -> None:
    reader.check_can_be_opened("novo", SourceFile("a.xlsx", NOVO), MAX_BYTES)
    with pytest.raises(UnreadableFileError, match="damaged"):
        reader.check_can_be_opened("novo", SourceFile("a.xlsx", NOVO[:500]), MAX_BYTES)

    script = ODD[-1].replace("odd_readers", "odd_marks")
    with (
        FileReader(Limits(), (*ODD[:-1], script)) as odd,
        pytest.raises(UnreadableFileError, match=r"a\.xlsx crashed the program that reads it \(SIGABRT\)"),
    ):
        odd.check_can_be_opened("novo", SourceFile("a.xlsx", NOVO), MAX_BYTES)


def test_cells_are_shown_from_there_and_a_file_that_crashes_the_library_is_a_sentence(
    reader: FileReader, odd: FileReader, tmp_path: Path
) -> None:
    landing = Landing(tmp_path.as_uri())
    path = "incoming/novo/2025-03/segfault.xlsx"
    landing.write(path, NOVO)
    file = LoadedFile("novo", path, sha256(NOVO).hexdigest(), None, datetime(2025, 4, 1, tzinfo=UTC))
    read_here = source_named("novo").readers[".xlsx"](SourceFile("a.xlsx", NOVO)).lines
    place = (str(read_here[SHEET].iat[0]), int(read_here[ROW].iat[0]))

    shown = read_cell_texts(landing, reader, file, [place])
    crashed = read_cell_texts(landing, odd, file, [place])

    assert shown.trouble == ""
    assert all(cell.place.endswith(str(place[1])) for cell in shown.cells[place])
    assert "segfault.xlsx crashed the program that reads it (SIGSEGV)" in crashed.trouble
    assert not crashed.cells


def test_error_workbooks_are_written_there_and_a_file_that_is_too_much_for_it_gets_the_list(
    reader: FileReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = Problem("It is wrong.", "Mend it.", sheet="Sheet1", row=3, column="Extension")
    marked = openpyxl.load_workbook(io.BytesIO(reader.error_workbook("a.xlsx", NOVO, [problem])))
    assert len(marked.sheetnames) > 1

    script = ODD[-1].replace("odd_readers", "odd_marks")
    with FileReader(Limits(), (*ODD[:-1], script)) as odd:
        alone = openpyxl.load_workbook(io.BytesIO(odd.error_workbook("a.xlsx", NOVO, [problem])))

    assert alone.sheetnames == ["Errors"]
    texts = [cell.value for row in alone["Errors"].iter_rows() for cell in row]
    assert "It is wrong." in texts
    assert any("there is only this list" in str(text) for text in texts)


@pytest.mark.parametrize(
    ("case", "source"),
    [
        ("statement_drawing_loop.pdf", "summit_medical"),
        ("quickbooks_stray_cells.xlsx", "quickbooks"),
        ("cygnus_cell_reference_overflow.xlsx", "cygnus"),
    ],
)
@pytest.mark.slow
def test_files_that_ended_the_whole_process_end_only_themselves(
    reader: FileReader, case: str, source: str
) -> None:
    if not (CASES / case).is_file():
        pytest.skip(f"there is no {CASES / case}")
    outcome = read(reader, case, (CASES / case).read_bytes(), source)

    assert outcome.lines is not None or case in said(outcome) or outcome.errors
    assert len(read(reader, "good.xlsx").lines or ()) == 3


def of_lines(outcome: FileOutcome) -> bytes:
    assert isinstance(outcome.lines, CopyLines)
    return b"".join(outcome.lines.pieces)


def test_lines_that_come_later_are_the_same_whatever_is_asked_meanwhile(reader: FileReader) -> None:
    long = named("long.xlsx", long_file())
    whole = of_lines(reader.read("novo", long, MAX_BYTES))
    assert whole.count(b"\n") == 5000

    alone = reader.read("novo", long, MAX_BYTES, is_lazy=True)
    assert of_lines(alone) == whole
    first = reader.read("novo", long, MAX_BYTES, is_lazy=True)
    assert len(read(reader, "good.xlsx").lines or ()) == 3, "the lines of the first wait meanwhile"
    second = reader.read("novo", long, MAX_BYTES, is_lazy=True)
    reader.begin("novo", named("next.xlsx"), MAX_BYTES)
    assert of_lines(first) == of_lines(second) == whole
    assert len(read(reader, "next.xlsx").lines or ()) == 3
    reader.begin("novo", long, MAX_BYTES)
    assert len(read(reader, "good.xlsx").lines or ()) == 3, "lines that nobody asked for are passed by"


def test_a_crash_behind_the_answer_breaks_the_lines_off(odd: FileReader) -> None:
    assert "half.xlsx crashed the program that reads it (SIGABRT)" in said(
        read(odd, "half.xlsx", long_file())
    )

    outcome = odd.read("novo", named("half.xlsx", long_file()), MAX_BYTES, is_lazy=True)
    with pytest.raises(BrokenOffError, match=r"half\.xlsx crashed the program that reads it"):
        of_lines(outcome)
    assert len(read(odd, "good.xlsx").lines or ()) == 3


def test_lines_that_nobody_takes_to_their_end_disturb_no_other_file(odd: FileReader) -> None:
    outcome = odd.read("novo", named("long.xlsx", long_file()), MAX_BYTES, is_lazy=True)
    assert isinstance(outcome.lines, CopyLines)
    taken = iter(outcome.lines.pieces)
    next(taken)
    del taken

    assert len(read(odd, "good.xlsx").lines or ()) == 3


def test_nothing_of_a_file_is_loaded_whose_reading_ends_amid_its_lines(
    zone: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    always = zone.drop("incoming/novo/2025-03/half.xlsx", long_file())
    once = zone.drop("incoming/novo/2025-04/halfonce.xlsx", long_file())
    job = zone.job()
    job.files = FileReader(Limits(), ODD)
    with job.files:
        run_changed(job)

    assert set(zone.statuses()) == {(always, "rejected"), (once, "loaded")}
    assert "half.xlsx crashed the program that reads it (SIGABRT)" in zone.problem(always)
    loaded = zone.query("select commission_month, count(*) from raw.novo group by 1")
    assert loaded == [(date(2025, 4, 1), 5000)]


def test_a_run_rejects_such_a_file_and_loads_the_others(zone: Zone) -> None:
    paths = {
        what: zone.drop(
            f"incoming/novo/2025-03/{what}.xlsx", make_sample("novo", MARCH, lines=2, seed=n).content
        )
        for n, what in enumerate(("segfault", "loop", "sound"), start=1)
    }
    other = zone.drop_sample("cygnus", lines=2)
    job = zone.job()
    job.files = FileReader(computing(1, 2048), ODD)
    with job.files:
        run_changed(job)

    assert set(zone.statuses()) == {
        (paths["segfault"], "rejected"), (paths["loop"], "rejected"),
        (paths["sound"], "loaded"), (other, "loaded"),
    }  # fmt: skip
    assert "crashed the program that reads it" in zone.problem(paths["segfault"])
    assert "took longer than 1 second of processor time" in zone.problem(paths["loop"])
    assert zone.errors(paths["segfault"])
    assert zone.run() == []

    # What the remedy says: nothing of the folder changed, so that only --all reads it again.
    assert "shs run --all --source novo" in zone.problem(paths["loop"])
    run_all(zone.job(), only=["novo"])
    assert dict(zone.statuses())[paths["loop"]] == "loaded"
