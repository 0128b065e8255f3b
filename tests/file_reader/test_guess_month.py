"""In which commission month a file belongs: its name, its lines, and what is there already."""

from __future__ import annotations

from datetime import date

import pytest

from shs_pipeline.base.months import month_after, today
from shs_pipeline.file_reader.guess_month import guess_month, guess_revenue_month, months_named

MARCH, APRIL, MAY = date(2025, 3, 1), date(2025, 4, 1), date(2025, 5, 1)


def days(month: date, count: int) -> list[date]:
    return [month.replace(day=day) for day in range(1, count + 1)]


@pytest.mark.parametrize(
    ("name", "months"),
    [
        ("Cygnus commission 2025-03.xlsx", [MARCH]),
        ("cygnus_2025_03_final.xlsx", [MARCH]),
        ("report 202503.xlsx", [MARCH]),
        ("Sunoptic commissions 03-2025.xlsx", [MARCH]),
        ("x 3.2025.xlsx", [MARCH]),
        ("Commission Detail Mar 2025.xlsx", [MARCH]),
        ("March, 2025 (corrected).xlsx", [MARCH]),
        ("2025 march.xlsx", [MARCH]),
        ("Mar'25.xlsx", [MARCH]),
        ("March report.xlsx", [MARCH]),
        ("2025-03 and 2025-04.xlsx", [MARCH, APRIL]),
        # The day of a statement or an export is not the month of payment.
        ("Summit statement 2025-02-28.pdf", []),
        ("export 04.03.2025.xlsx", []),
        ("export 20250304.xlsx", []),
        # No months: parts of words and numbers, months that the system does not know.
        ("Marching band 12.xlsx", []),
        ("invoice 1202503.xlsx", []),
        ("2019-03.xlsx", []),
        ("2025-13.xlsx", []),
        ("report.xlsx", []),
    ],
)
def test_the_months_that_a_name_names(name: str, months: list[date]) -> None:
    assert months_named(name, near=date(2025, 2, 1)) == months


def test_a_month_without_a_year_is_the_next_one_after_the_lines() -> None:
    assert months_named("January report.xlsx", near=date(2024, 12, 1)) == [date(2025, 1, 1)]
    assert months_named("January report.xlsx", near=MAY) == []
    assert months_named("January report.xlsx") == []


def test_name_and_lines_that_agree_settle_it_and_both_are_said() -> None:
    found = guess_month("report 2025-04.xlsx", days(MARCH, 9), present=())

    assert found.month == APRIL
    assert [*found.evidence] == ["its name says 2025-04", "its lines are dated 2025-03"]


@pytest.mark.parametrize("named", ["2025-02", "2025-09"])
def test_a_name_that_the_lines_contradict_is_not_believed(named: str) -> None:
    found = guess_month(f"report {named}.xlsx", days(MARCH, 9), present=())

    assert found.month is None
    assert {MARCH, APRIL} < set(found.candidates)


def test_a_month_that_has_only_just_begun_in_the_lines_is_the_one() -> None:
    found = guess_month("report.xlsx", [*days(MARCH, 9), *days(APRIL, 2)], present=())

    assert found.month == APRIL


@pytest.mark.parametrize(
    ("present", "month"),
    [((), None), ((MARCH,), APRIL), ((APRIL,), MARCH), ((MARCH, APRIL), None)],
)
def test_lines_of_one_month_are_paid_in_it_or_in_the_next_whichever_is_free(
    present: tuple[date, ...], month: date | None
) -> None:
    found = guess_month("report.xlsx", days(MARCH, 9), present)

    assert found.month == month
    if month is None:
        assert [*found.candidates] == [MARCH, APRIL]


def test_without_name_and_lines_nothing_is_guessed() -> None:
    found = guess_month("report.xlsx", [], present=(MARCH,))

    assert (found.month, [*found.candidates]) == (None, [])


def test_a_month_far_ahead_is_no_guess() -> None:
    far = month_after(today().replace(day=1), 12)

    assert guess_month("report.xlsx", [*days(month_after(far, -1), 9), *days(far, 1)], ()).month is None


def test_the_revenue_month_follows_the_earlier_files_where_they_agree() -> None:
    assert guess_revenue_month(MAY, {APRIL: MARCH, MARCH: date(2025, 2, 1)}) == APRIL
    assert guess_revenue_month(MAY, {APRIL: MARCH, MARCH: MARCH}) is None
    assert guess_revenue_month(MAY, {}) is None
