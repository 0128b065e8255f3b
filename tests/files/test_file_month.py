"""A file and its month: nothing is paid before the month in which it was sold."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from shs_pipeline.base.months import month_after
from shs_pipeline.files.file_month import months_named
from shs_pipeline.files.reading import SourceFile
from shs_pipeline.files.source import FileOutcome, read_file
from shs_pipeline.landing.names import SOURCE_NAMES
from shs_pipeline.samples.tree import make_sample
from shs_pipeline.sources.registry import source_named

if TYPE_CHECKING:
    from tests.conftest import Zone

OCTOBER_2026 = date(2026, 10, 1)
MAX_BYTES = 50 << 20


def read(
    source: str,
    content: bytes,
    month: date,
    name: str = "a.xlsx",
    revenue: date | None = None,
    early: bool = False,
) -> FileOutcome:
    services = frozenset(str(line) for line in _service_lines()) if source == "quickbooks" else frozenset()
    file = SourceFile(name, content, revenue, {"service_to_product": services}, month, early)
    return read_file(source_named(source), file, MAX_BYTES)


def _service_lines() -> frozenset[str]:
    from shs_pipeline.files.reading import Everything

    return Everything()


@pytest.mark.parametrize("source", [name for name in SOURCE_NAMES if name != "quickbooks"])
@pytest.mark.parametrize("back", [1, 2, 12])
def test_a_file_of_a_later_month_is_refused_in_every_source(source: str, back: int) -> None:
    sample = make_sample(source, OCTOBER_2026, lines=12, seed=4)
    name = sample.path.rpartition("/")[2]
    revenue = date.fromisoformat(f"{sample.path.split('rev=')[1][:7]}-01") if "rev=" in sample.path else None
    month = month_after(OCTOBER_2026, -back)

    good = read(source, sample.content, OCTOBER_2026, name, revenue)
    bad = read(source, sample.content, month, name, revenue)
    meant = read(source, sample.content, month, name, revenue, early=True)

    assert good.errors == []
    assert good.lines is not None
    late = [day for day in good.lines["revenue_date"] if day >= month_after(month)]
    is_dated_by_drop = revenue is not None and set(good.lines["revenue_date"]) == {revenue}
    assert len(bad.errors) == (1 if late and is_dated_by_drop else len(late))
    assert meant.errors == []
    if back == 12:
        assert late
        assert "belongs in 2026-" in bad.errors[0].problem
        assert "early=ok" in bad.errors[0].remedy


def cygnus(*days: date) -> bytes:
    """A cygnus workbook whose lines are recognised on these days."""
    from shs_pipeline.files.contract import columns_of
    from shs_pipeline.samples.workbook import write_workbook

    sample = make_sample("cygnus", date(2025, 3, 1), lines=len(days), seed=1)
    declaration = source_named("cygnus")
    columns = [column.header for column in columns_of(declaration.rows)]
    names = {column.header: column.name for column in columns_of(declaration.rows)}
    rows = []
    for line, day in zip(sample.lines, days, strict=True):
        found = dict(line)
        header = next(h for h, name in names.items() if name == declaration.revenue_date)  # type: ignore[attr-defined]
        rows.append([day if column == header else found.get(column) for column in columns])
    return write_workbook({"Report": [columns, *rows]})


def test_every_late_line_is_told_at_its_cell_with_the_month_of_the_file() -> None:
    content = cygnus(date(2025, 10, 31), date(2026, 9, 30), date(2026, 10, 1), date(2026, 10, 14))

    outcome = read("cygnus", content, date(2025, 10, 1))

    assert outcome.lines is None
    assert [problem.row for problem in outcome.errors] == [3, 4, 5]
    assert all(problem.column for problem in outcome.errors)
    assert all("the file probably belongs in 2026-10" in problem.problem for problem in outcome.errors)
    assert "incoming/cygnus/2026-10/" in outcome.errors[0].remedy
    assert "incoming/cygnus/2025-10/early=ok/" in outcome.errors[0].remedy


def test_a_month_that_holds_sales_of_the_months_before_it_is_found_by_its_name_or_number() -> None:
    content = cygnus(date(2026, 9, 1), date(2026, 9, 30), date(2026, 8, 12))

    assert "2026-10" in read("cygnus", content, date(2025, 10, 1)).errors[0].problem
    assert "2026-10" in read("cygnus", content, date(2026, 7, 1), "Cygnus Oct 2026.xlsx").errors[0].problem
    assert "belongs in 2026-09" in read("cygnus", content, date(2026, 7, 1)).errors[0].problem


def test_a_single_late_line_is_the_line_that_is_wrong() -> None:
    content = cygnus(date(2025, 9, 1), date(2025, 9, 2), date(2052, 9, 3), date(2025, 10, 31))

    (problem,) = read("cygnus", content, date(2025, 10, 1)).errors

    assert problem.row == 4
    assert "the line probably belongs in 2052-09" in problem.problem
    assert "Correct the date" in problem.remedy


def test_the_last_day_of_the_month_is_in_it_and_the_next_is_not() -> None:
    assert read("cygnus", cygnus(date(2024, 2, 29)), date(2024, 2, 1)).errors == []
    assert len(read("cygnus", cygnus(date(2024, 3, 1)), date(2024, 2, 1)).errors) == 1


def test_old_lines_are_a_warning() -> None:
    content = cygnus(date(2024, 9, 30), date(2024, 10, 1), date(2025, 10, 1))

    outcome = read("cygnus", content, date(2025, 10, 1))

    assert outcome.lines is not None
    (warning,) = outcome.problems
    assert (warning.severity, warning.row) == ("warning", 2)
    assert "more than 12 months before 2025-10" in warning.problem


@pytest.mark.parametrize(
    ("name", "months"),
    [
        ("Cygnus Oct 2026.xlsx", ["2026-10"]),
        ("October_2026 report.xlsx", ["2026-10"]),
        ("report Oct '26.xlsx", ["2026-10"]),
        ("Report 2026 Sept.xlsx", ["2026-09"]),
        ("2026-10 sales.xlsx", ["2026-10"]),
        ("sales_202610.xlsx", ["2026-10"]),
        ("10.2026.xlsx", ["2026-10"]),
        ("Jan 2026 - Mar 2026.pdf", ["2026-01", "2026-03"]),
        ("export 2026-10-05.xlsx", []),
        ("export 20261005.xlsx", []),
        ("export 10-05-2026.xlsx", []),
        ("Statement.xlsx", []),
        ("Mayfield 2026.xlsx", []),
        ("INV 1202610.xlsx", []),
    ],
)
def test_the_months_that_a_name_says(name: str, months: list[str]) -> None:
    assert [f"{month:%Y-%m}" for month in sorted(months_named(name))] == months


def test_a_name_that_says_another_month_is_a_warning_and_no_more() -> None:
    content = cygnus(date(2025, 9, 1))

    outcome = read("cygnus", content, date(2025, 10, 1), "Cygnus Oct 2026.xlsx")

    assert outcome.lines is not None
    (warning,) = outcome.problems
    assert warning.severity == "warning"
    assert "names 2026-10, but is in the folder of 2025-10" in warning.problem
    assert read("cygnus", content, date(2025, 10, 1), "Cygnus Oct 2025.xlsx").problems == []


def test_a_revenue_month_after_the_commission_month_is_refused_once() -> None:
    sample = make_sample("summit_medical", date(2025, 4, 1), lines=5, seed=1)
    march, april = date(2025, 3, 1), date(2025, 4, 1)
    from shs_pipeline.samples.plan import Plan
    from shs_pipeline.samples.summit_medical import summit_xlsx

    content = summit_xlsx(Plan("summit_medical", april, 5, 1)).content
    assert sample

    assert read("summit_medical", content, april, revenue=march).errors == []
    (problem,) = read("summit_medical", content, march, revenue=april).errors
    assert "probably belongs in 2025-04" in problem.problem
    assert "early=ok/rev=2025-04" in problem.remedy
    assert read("summit_medical", content, march, revenue=april, early=True).errors == []


def test_a_run_refuses_the_month_and_early_ok_loads_it(zone: Zone) -> None:
    content = make_sample("cygnus", OCTOBER_2026, lines=6, seed=1).content
    refused = zone.drop("incoming/cygnus/2025-10/a.xlsx", content)
    zone.run()
    assert "probably belongs in 2026-10" in zone.problem(refused)

    meant = zone.move(refused, "incoming/cygnus/2025-10/early=ok/a.xlsx")
    zone.run()

    assert dict(zone.statuses())[meant] == "loaded"
    assert zone.query("select distinct commission_month from raw.cygnus") == [(date(2025, 10, 1),)]
