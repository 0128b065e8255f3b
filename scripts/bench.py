"""Speed as ratios within one run: what we do against what anybody would have to do.

Each side runs in a process of its own against the same fresh PostgreSQL, in several rounds; a ratio is
that of the sides of one round. `make bench` prints the median of the rounds with the smallest and the
largest; the limits are those of the project's first issue. Nothing here is a test: a busy machine makes
single ratios wander.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

MONTH = date(2025, 3, 1)
URL = "SHS_BENCH_URL"
"""Where a side finds the database: not among its arguments, which every process can see."""
SIDES: dict[str, Callable[[Path, str], None]] = {}


def side(measured: Callable[[Path, str], None]) -> Callable[[Path, str], None]:
    """Make a function callable as `bench.py side NAME FOLDER URL`, in a process of its own."""
    SIDES[measured.__name__] = measured
    return measured


class Measured(NamedTuple):
    """What one round says of one aim; a ratio without unit."""

    what: str
    ours: float
    other: float
    ratio: float
    limit: str
    unit: str


def main() -> None:
    """Measure and print every ratio, or one side of one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=100_000, help="lines of the large workbook")
    parser.add_argument("--months", type=int, default=24, help="months of small files")
    parser.add_argument("--small", type=int, default=60, help="lines of a small file")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of which the median is printed")
    parser.add_argument("side", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        name, folder = options.side[1:]
        SIDES[name](Path(folder), os.environ[URL])
        return
    with tempfile.TemporaryDirectory(prefix="shs-bench-") as made:
        _make_landing(Path(made), options)
        _print_medians([_round(Path(made)) for _ in range(options.rounds)])


def _print_medians(rounds: Sequence[Sequence[Measured]]) -> None:
    print(f"{'what':<76}{'ours':>10}{'other':>10}{'ratio':>8}{'smallest':>10}{'largest':>9}  limit")
    for of_aim in zip(*rounds, strict=True):
        what, _, _, _, limit, unit = of_aim[0]
        ours, other, ratio = (
            statistics.median(values)
            for values in ([m.ours for m in of_aim], [m.other for m in of_aim], [m.ratio for m in of_aim])
        )
        ratios = [measured.ratio for measured in of_aim]
        print(
            f"{what:<76}{f'{ours:.2f} {unit}':>10}{f'{other:.2f} {unit}':>10}{ratio:>8.2f}"
            f"{min(ratios):>10.2f}{max(ratios):>9.2f}  {limit}"
        )
    print(f"Medians of {len(rounds)} rounds, each with a database of its own.")


def _round(made: Path) -> list[Measured]:
    """Measure each aim once, with a fresh database and landing zone."""
    with tempfile.TemporaryDirectory(prefix="shs-bench-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        os.environ |= {"SHS_HOME": str(home / "var"), "SHS_LANDING": (home / "landing").as_uri()}
        os.environ[URL] = _printed(["shs", "url", "--show"]).strip()
        try:
            return [*_large(home, made), *_small(home, made)]
        finally:
            _printed(["shs", "down"])


def _make_landing(made: Path, options: argparse.Namespace) -> None:
    """Make the files of all rounds: one large workbook, and many small ones with their reference."""
    from shs_pipeline.base.months import month_after
    from shs_pipeline.landing.names import SOURCE_NAMES
    from shs_pipeline.samples.plan import Plan
    from shs_pipeline.samples.reference import reference_workbooks
    from shs_pipeline.samples.summit_medical import summit_xlsx
    from shs_pipeline.samples.tree import make_sample

    samples = {"large": [make_sample("cygnus", MONTH, lines=options.lines, seed=1)], "small": []}
    for source in SOURCE_NAMES:
        for step in range(options.months):
            month = month_after(MONTH, -step)
            # Pandas reads no PDF, so all of Summit's files are workbooks here.
            samples["small"].append(
                summit_xlsx(Plan(source, month, options.small, 1))
                if source == "summit_medical"
                else make_sample(source, month, lines=options.small, seed=1)
            )
    contents = {
        Path("reference-of-small") / path: content
        for path, content in reference_workbooks(MONTH, MONTH, options.small).items()
    }
    contents |= {
        Path(size) / sample.path: sample.content for size, found in samples.items() for sample in found
    }
    for path, content in contents.items():
        (made / path).parent.mkdir(parents=True, exist_ok=True)
        (made / path).write_bytes(content)


def _large(home: Path, made: Path) -> list[Measured]:
    shutil.copytree(made / "large", home / "landing")
    (path,) = (home / "landing").rglob("*.xlsx")
    calamine, floor, ours, naive = (
        _run(name, path)
        for name in ("calamine_alone", "calamine_and_text_copy", "ingest_one", "openpyxl_and_to_sql")
    )
    path.unlink()
    _ingest(path)
    name = "large cygnus workbook: read, validate, load"
    return [
        _measured(f"{name} / calamine + text COPY", ours["seconds"], floor["seconds"], "≤ 2.5", "s"),
        Measured(
            f"{name}, how often faster than openpyxl + to_sql",
            ours["seconds"],
            naive["seconds"],
            naive["seconds"] / ours["seconds"],
            "≥ 8",
            "s",
        ),
        _measured(f"{name}: peak memory / calamine", ours["megabytes"], calamine["megabytes"], "≤ 2", "MB"),
    ]


def _small(home: Path, made: Path) -> list[Measured]:
    landing = home / "landing"
    shutil.copytree(made / "reference-of-small", landing, dirs_exist_ok=True)
    _ingest(landing)
    shutil.copytree(made / "small", landing, dirs_exist_ok=True)
    count = sum(1 for _ in (made / "small").rglob("*.xlsx"))
    bare = _timed([sys.executable, __file__, "side", "openpyxl_loop", str(landing)])
    ours = _timed([sys.executable, __file__, "side", "ingest_all", str(landing)])
    return [_measured(f"{count} small files, ingested / openpyxl + to_sql loop", ours, bare, "≤ 1", "s")]


def _run(name: str, path: Path) -> dict[str, float]:
    printed = _printed([sys.executable, __file__, "side", name, str(path)])
    found: dict[str, float] = json.loads(printed.strip().splitlines()[-1])
    return found


def _ingest(path: Path) -> None:
    _printed([sys.executable, __file__, "side", "ingest_all", str(path)])


def _timed(command: list[str]) -> float:
    started = time.perf_counter()
    _printed(command)
    return time.perf_counter() - started


def _printed(command: list[str]) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _measured(what: str, ours: float, other: float, limit: str, unit: str) -> Measured:
    return Measured(what, ours, other, ours / other, limit, unit)


def _peak() -> float:
    """Return the most memory that this process and those that it started had, in MB."""
    children = [pid for task in Path("/proc/self/task").iterdir() for pid in _words(task / "children")]
    living = sum(_peak_of(Path("/proc", pid)) for pid in children)
    # The one that read a large file has ended by then.
    ended = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return _peak_of(Path("/proc/self")) + max(living, ended)


def _peak_of(process: Path) -> float:
    # Not getrusage: its maximum survives exec, and starts with what the parent process had.
    status = (process / "status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _words(file: Path) -> list[str]:
    return file.read_text(encoding="ascii").split()


def _report(started: float, idle: float) -> None:
    """Print time since the start, and the memory used beyond that of the imported libraries."""
    print(json.dumps({"seconds": time.perf_counter() - started, "megabytes": _peak() - idle}))


@side
def calamine_alone(path: Path, url: str) -> None:
    """Read the sheet and nothing else."""
    from python_calamine import CalamineWorkbook

    started, idle = time.perf_counter(), _peak()
    rows = CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()
    assert rows
    _report(started, idle)


@side
def calamine_and_text_copy(path: Path, url: str) -> None:
    """Read the sheet and COPY its cells as text: the least that loading it takes."""
    import psycopg
    from python_calamine import CalamineWorkbook

    started, idle = time.perf_counter(), _peak()
    rows = CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()
    columns = ", ".join(f"c{number} text" for number in range(len(rows[0])))
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(f"create temporary table floor ({columns})")
        with cursor.copy("copy floor from stdin") as copy:
            for row in rows:
                copy.write_row([str(cell) for cell in row])
    _report(started, idle)


@side
def openpyxl_and_to_sql(path: Path, url: str) -> None:
    """What a script without this system would do with the file."""
    import openpyxl  # noqa: F401 - imported by read_excel
    import pandas as pd
    import sqlalchemy

    engine = sqlalchemy.create_engine(url)
    started, idle = time.perf_counter(), _peak()
    frame = pd.read_excel(path, header=3)
    frame.to_sql("naive", engine, if_exists="replace", index=False)
    _report(started, idle)


@side
def openpyxl_loop(landing: Path, url: str) -> None:
    """The same for many files."""
    import pandas as pd
    import sqlalchemy

    engine = sqlalchemy.create_engine(url)
    for path in sorted((landing / "incoming").rglob("*.xlsx")):
        frame = pd.read_excel(path, header=None, dtype=str)
        frame.columns = [f"c{number}" for number in frame.columns]
        frame.to_sql(f"loop_{path.relative_to(landing).parts[1]}_{path.parts[-2]}", engine, index=False)


@side
def ingest_all(landing: Path, url: str) -> None:
    """Ingest what `shs run` would, in a process as short; the marts are measured by bench_marts.py."""
    from shs_pipeline.ingest.ingestion import Ingestion
    from shs_pipeline.ingest.run import run_changed
    from shs_pipeline.settings.settings import load_settings

    run_changed(Ingestion.from_settings(load_settings(), "bench"))


@side
def ingest_one(path: Path, url: str) -> None:
    """Read, validate and load, with all bookkeeping, as a run does."""
    from shs_pipeline.files.reading import SourceFile
    from shs_pipeline.ingest.changes import partition_folder
    from shs_pipeline.ingest.ingestion import Ingestion
    from shs_pipeline.ingest.warehouse import ensure_tables
    from shs_pipeline.landing.zone import place_of
    from shs_pipeline.samples.tree import make_sample
    from shs_pipeline.settings.settings import load_settings

    place = place_of(str(path).split("/landing/")[1])
    assert place.name is not None
    assert place.commission_month is not None
    folder = partition_folder(place.name, place.commission_month)
    job = Ingestion.from_settings(load_settings(), "bench")
    job.query(ensure_tables)
    # Libraries are imported at their first use: that is no part of reading a file, on no side.
    tiny = make_sample(place.name, place.commission_month, lines=2, seed=1)
    with job:
        job.files.read(place.name, SourceFile("tiny.xlsx", tiny.content), job.max_bytes)
        started, idle = time.perf_counter(), _peak()
        report = job.folder(folder)
        assert report.loaded
        _report(started, idle)


if __name__ == "__main__":
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    main()
