"""Speed as ratios within one run: what we do against what anybody would have to do.

Each side runs in a process of its own against the same fresh PostgreSQL. `make bench` prints the
table; the limits are those of the project's first issue. Nothing here is a test: a busy machine
makes single ratios wander.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

MONTH = date(2025, 3, 1)
URL = "SHS_BENCH_URL"
"""Where a side finds the database: not among its arguments, which every process can see."""
_ROUNDS = 3
SIDES: dict[str, Callable[[Path, str], None]] = {}


def side(measured: Callable[[Path, str], None]) -> Callable[[Path, str], None]:
    """Make a function callable as `bench.py side NAME FOLDER URL`, in a process of its own."""
    SIDES[measured.__name__] = measured
    return measured


def main() -> None:
    """Measure and print every ratio, or one side of one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=100_000, help="lines of the large workbook")
    parser.add_argument("--months", type=int, default=24, help="months of small files")
    parser.add_argument("--small", type=int, default=60, help="lines of a small file")
    parser.add_argument("side", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        name, folder = options.side[1:]
        SIDES[name](Path(folder), os.environ[URL])
        return
    with tempfile.TemporaryDirectory(prefix="shs-bench-") as home:
        _measure_all(Path(home), options)


def _measure_all(home: Path, options: argparse.Namespace) -> None:
    home.chmod(0o755)
    os.environ |= {"SHS_HOME": str(home / "var"), "SHS_LANDING": (home / "landing").as_uri()}
    os.environ[URL] = _printed(["shs", "url", "--show"]).strip()
    try:
        rows = [*_large(home, options.lines), *_small(home, options.months, options.small)]
    finally:
        _printed(["shs", "down"])
    print(f"{'what':<62}{'ours':>10}{'other':>10}{'ratio':>8}  limit")
    for what, ours, other, ratio, limit in rows:
        print(f"{what:<62}{ours:>10}{other:>10}{ratio:>8}  {limit}")


def _large(home: Path, lines: int) -> list[tuple[str, str, str, str, str]]:
    from shs_pipeline.samples import make_sample

    sample = make_sample("cygnus", MONTH, lines=lines, seed=1)
    path = home / "landing" / sample.path
    path.parent.mkdir(parents=True)
    path.write_bytes(sample.content)
    # Taken in turn and the best of each, since other work on the machine comes and goes.
    rounds = [
        [_run(name, path) for name in ("calamine_alone", "calamine_and_text_copy", "ingest_one")]
        for _ in range(_ROUNDS)
        # The first load of a file again, not its replacement.
        if _forget(path)
    ]
    calamine, floor, ours = (_best(of_side) for of_side in zip(*rounds, strict=True))
    naive = _run("openpyxl_and_to_sql", path)
    path.unlink()
    _ingest(path)
    name = f"{lines:,}-line cygnus: read, validate, load"
    return [
        _row(f"{name} / calamine + text COPY", ours["seconds"], floor["seconds"], "≤ 2.5", "s"),
        _faster(f"{name}, how often faster than openpyxl + to_sql", ours, naive, "≥ 8"),
        _row(f"{name}: peak memory / calamine", ours["megabytes"], calamine["megabytes"], "≤ 2", "MB"),
    ]


def _small(home: Path, months: int, lines: int) -> list[tuple[str, str, str, str, str]]:
    from shs_pipeline.months import month_after
    from shs_pipeline.samples import make_sample
    from shs_pipeline.samples.plan import Plan
    from shs_pipeline.samples.reference import reference_workbooks
    from shs_pipeline.samples.summit_medical import summit_xlsx
    from shs_pipeline.sources import NAMES

    landing = home / "landing"
    for table, content in reference_workbooks(MONTH, MONTH, lines).items():
        (landing / table).parent.mkdir(parents=True, exist_ok=True)
        (landing / table).write_bytes(content)
    _ingest(landing)
    count = 0
    for source in NAMES:
        for step in range(months):
            month = month_after(MONTH, -step)
            # Pandas reads no PDF, so all of Summit's files are workbooks here.
            is_summit = source == "summit_medical"
            sample = (
                summit_xlsx(Plan(source, month, lines, 1))
                if is_summit
                else make_sample(source, month, lines=lines, seed=1)
            )
            (landing / sample.path).parent.mkdir(parents=True, exist_ok=True)
            (landing / sample.path).write_bytes(sample.content)
            count += 1
    bare = _timed([sys.executable, __file__, "side", "openpyxl_loop", str(landing)])
    ours = _timed([sys.executable, __file__, "side", "ingest_all", str(landing)])
    return [_row(f"{count} small files, ingested / openpyxl + to_sql loop", ours, bare, "≤ 1", "s")]


def _run(name: str, path: Path) -> dict[str, float]:
    printed = _printed([sys.executable, __file__, "side", name, str(path)])
    found: dict[str, float] = json.loads(printed.strip().splitlines()[-1])
    return found


def _forget(path: Path) -> bool:
    """Take the file out of the warehouse."""
    content = path.read_bytes()
    path.unlink()
    _ingest(path)
    path.write_bytes(content)
    return True


def _ingest(path: Path) -> None:
    _printed([sys.executable, __file__, "side", "ingest_all", str(path)])


def _best(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    return {what: min(run[what] for run in runs) for what in runs[0]}


def _timed(command: list[str]) -> float:
    started = time.perf_counter()
    _printed(command)
    return time.perf_counter() - started


def _printed(command: list[str]) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _row(what: str, ours: float, other: float, limit: str, unit: str) -> tuple[str, str, str, str, str]:
    return what, f"{ours:.2f} {unit}", f"{other:.2f} {unit}", f"{ours / other:.2f}", limit


def _faster(
    what: str, ours: dict[str, float], other: dict[str, float], limit: str
) -> tuple[str, str, str, str, str]:
    ratio = other["seconds"] / ours["seconds"]
    return what, f"{ours['seconds']:.2f} s", f"{other['seconds']:.2f} s", f"{ratio:.1f}", limit


def _peak() -> float:
    # Not getrusage: its maximum survives exec, and starts with what the parent process had.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


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
    from shs_pipeline.ingestion import Ingestion
    from shs_pipeline.run import run_changed
    from shs_pipeline.settings import load_settings

    run_changed(Ingestion.from_settings(load_settings(), "bench"))


@side
def ingest_one(path: Path, url: str) -> None:
    """Read, validate and load, with all bookkeeping, as a run does."""
    from shs_pipeline.changes import partition_folder
    from shs_pipeline.ingestion import Ingestion
    from shs_pipeline.landing import place_of
    from shs_pipeline.reading import SourceFile
    from shs_pipeline.samples import make_sample
    from shs_pipeline.settings import load_settings
    from shs_pipeline.source import read_file
    from shs_pipeline.warehouse import ensure_tables

    place = place_of(str(path).split("/landing/")[1])
    assert place.name is not None
    assert place.commission_month is not None
    folder = partition_folder(place.name, place.commission_month)
    assert folder.declaration is not None
    job = Ingestion.from_settings(load_settings(), "bench")
    job.query(ensure_tables)
    # Libraries are imported at their first use: that is no part of reading a file, on no side.
    tiny = make_sample(place.name, place.commission_month, lines=2, seed=1)
    read_file(folder.declaration, SourceFile("tiny.xlsx", tiny.content), job.max_bytes)
    started, idle = time.perf_counter(), _peak()
    report = job.folder(folder)
    assert report.loaded
    _report(started, idle)


if __name__ == "__main__":
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    main()
