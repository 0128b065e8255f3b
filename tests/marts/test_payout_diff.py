"""What changed between two published states: every difference explained to the cent, in the right words."""

from __future__ import annotations

import io
import json
import os
import pwd
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import openpyxl
import psycopg
import pytest
from typer.testing import CliRunner, Result

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.months import month_text
from shs_pipeline.cli.main import build_app
from shs_pipeline.files.contract import columns_of
from shs_pipeline.landing.names import REFERENCE_NAMES
from shs_pipeline.marts.explain import payee_named
from shs_pipeline.marts.line_changes import LineChange, effects_on, pair_lines
from shs_pipeline.marts.payout_diff import Comparison, PayoutChange, compare_payouts
from shs_pipeline.marts.payout_states import Line
from shs_pipeline.marts.publications import Published, state_at
from shs_pipeline.marts.reference_history import (
    _KEYS,
    RowChange,
    effect_in_words,
    row_changes,
    row_in_words,
    table_history,
)
from shs_pipeline.marts.restated import RestatedMonth, restated_in_words, restated_months
from shs_pipeline.reference.registry import table_named
from shs_pipeline.samples.broken import with_bad_cell
from shs_pipeline.samples.workbook import write_workbook

if TYPE_CHECKING:
    from tests.conftest import Zone

JANUARY, FEBRUARY, MARCH, APRIL = (date(2025, month, 1) for month in (1, 2, 3, 4))
NEW_MONTH = "incoming/novo/2025-04/Novo.xlsx"
Rows = list[list[Any]]
Payouts = dict[tuple[str, str, date], Decimal]


@dataclass
class Corrected:
    """The warehouse after a round of corrections, and another that took them back.

    Attributes:
        states: the payouts by publication.
        old_owner, new_owner: of a customer whose territory changed hands.
        corrected_line: (rep, sheet row) of the line whose amount was corrected.
        rated: the rep whose rate was changed.
        lowered, cancelled, raised: (rep, product line) whose threshold was changed.
    """

    zone: Zone
    states: dict[int, Payouts]
    old_owner: str
    new_owner: str
    corrected_line: tuple[str, int]
    rated: str
    lowered: tuple[str, str]
    cancelled: tuple[str, str]
    raised: tuple[str, str]

    def compare(
        self, first: int, second: int, rep: str | None = None, months: tuple[date, date] | None = None
    ) -> Comparison:
        with psycopg.connect(self.zone.database_url) as connection:
            earlier, later = (state_at(connection, f"#{number}") for number in (first, second))
            payee_id = payee_named(connection, rep).payee_id if rep else None
            return compare_payouts(connection, earlier, later, payee_id, months)


def rewritten(content: bytes, change: Callable[[Rows], Rows]) -> bytes:
    """A reference workbook with its rows changed."""
    sheet = openpyxl.load_workbook(io.BytesIO(content)).worksheets[0]
    header, *rows = (list(row) for row in sheet.iter_rows(values_only=True))
    days = [[cell.date() if isinstance(cell, datetime) else cell for cell in row] for row in rows]
    return write_workbook({sheet.title: [header, *change(days)]})


def payouts_now(zone: Zone) -> Payouts:
    rows = zone.query("select rep_name, product_line, commission_month, payout from marts.commission_payouts")
    return {(rep, line, month): payout for rep, line, month, payout in rows}


def one(zone: Zone, query: str, *values: object) -> Any:
    return zone.query(query, *values)[0]


@pytest.fixture(scope="module")
def corrected(module_zone: Zone) -> Corrected:
    """Three publications: as delivered, all kinds of corrections, and as delivered again."""
    from shs_pipeline.marts.build import build_marts

    zone = module_zone
    zone.drop_references()
    for month in ("2025-01", "2025-02", "2025-03"):
        for source in ("cygnus", "novo", "quickbooks", "inspektor", "logiquip"):
            zone.drop_sample(source, month, lines=40, seed=int(month[-1]))
    zone.run()
    build_marts(zone.database_url, "run as delivered")
    before = {drop.path: zone.landing.read(drop.path) for drop in zone.landing.drops()}
    states = {1: payouts_now(zone)}
    found = correct(zone, states)
    zone.run()
    build_marts(zone.database_url, "run of corrections")
    states[2] = payouts_now(zone)
    for path, content in before.items():
        assert content is not None
        zone.drop(path, content)
    zone.delete("incoming/ternio/2025-02/Ternio.xlsx")
    zone.delete(NEW_MONTH)
    zone.run()
    build_marts(zone.database_url, "run as delivered again")
    states[3] = payouts_now(zone)
    return found


def correct(zone: Zone, states: dict[int, Payouts]) -> Corrected:
    """Do to files and reference tables what people do to them."""
    zone.delete(
        one(zone, "select path from ops.files where source = 'novo' and commission_month = %s", MARCH)[0]
    )
    zone.drop_sample("ternio", "2025-02", lines=20, seed=7, name="Ternio.xlsx")
    zone.drop_sample("novo", "2025-04", lines=20, seed=4, name=PurePosixPath(NEW_MONTH).name)
    corrected_line = correct_an_amount(zone)
    customer, old_owner = one(
        zone,
        "select customer, rep_name from marts.harmonised_sales where source = 'cygnus'"
        " and credit_status = 'credited' and commission_tier_1 <> 0 and commission_month = %s"
        " and rep_name not in ('Wren Calloway', 'Lena Hofstra') order by rev_actual desc limit 1",
        JANUARY,
    )
    new_owner, rated = "Wren Calloway", "Lena Hofstra"
    change(zone, "territories", lambda rows: [
        [*row[:3], new_owner, *row[4:]] if row[0] == "cygnus" and row[2].lower() == customer.lower() else row
        for row in rows
    ])  # fmt: skip
    change(zone, "commission_tiers", lambda rows: [
        [*row[:4], Decimal("0.34"), Decimal("0.45")] if row[0] == rated else row for row in rows
    ])  # fmt: skip
    lowered, cancelled, raised = thresholds_to_change(zone)
    new = {lowered: Decimal(0), cancelled: None, raised: Decimal(10_000_000)}
    change(zone, "tier_thresholds", lambda rows: [
        [*row[:3], new.get((row[0], row[1]), row[3])] for row in rows
        if new.get((row[0], row[1]), row[3]) is not None
    ])  # fmt: skip
    return Corrected(zone, states, old_owner, new_owner, corrected_line, rated, lowered, cancelled, raised)


def change(zone: Zone, table: str, how: Callable[[Rows], Rows]) -> None:
    content = zone.landing.read(f"reference/{table}.xlsx")
    assert content is not None
    zone.drop(f"reference/{table}.xlsx", rewritten(content, how))


def correct_an_amount(zone: Zone) -> tuple[str, int]:
    path, rep, row = one(
        zone,
        "select source_file, rep_name, source_row from marts.harmonised_sales where source = 'inspektor'"
        " and commission_month = %s and credit_status = 'credited' and rev_actual > 0"
        " and rep_name not in ('Wren Calloway', 'Lena Hofstra') order by source_row limit 1",
        FEBRUARY,
    )
    content = zone.landing.read(path)
    assert content is not None
    zone.drop(path, with_bad_cell(content, "Formula", row, 777.77))
    return rep, row


def thresholds_to_change(zone: Zone) -> list[tuple[str, str]]:
    """One that is reached late or not, and two that are reached; of payouts with differences."""
    query = (
        "select rep_name, product_line from marts.commission_payouts"
        " where product_line in ('Logiquip', 'Consulting', 'Disposables', 'Service & Repair')"
        " and threshold is not null and rep_name not in ('Theo Marsh', 'Lena Hofstra', 'Priya Venkatesan')"
        " group by rep_name, product_line"
        " having {} and sum(abs(commission_tier_2_diff)) > 0 order by rep_name, product_line limit {}"
    )
    late = zone.query(query.format(f"min(tier_2_month) > '{JANUARY}'", 1))
    reached = zone.query(query.format(f"min(tier_2_month) = '{JANUARY}'", 2))
    assert (len(late), len(reached)) == (1, 2)
    return [(rep, line) for rep, line in (*late, *reached)]


def parts_of(comparison: Comparison, reason: str) -> list[tuple[PayoutChange, Any]]:
    return [(found, part) for found in comparison.changes for part in found.parts if part.reason == reason]


# --- sums ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 3)])
def test_every_changed_payout_is_there_and_its_parts_add_up_to_the_cent(
    corrected: Corrected, first: int, second: int
) -> None:
    comparison = corrected.compare(first, second)

    before, after = corrected.states[first], corrected.states[second]
    wanted = {
        key: (before.get(key), after.get(key))
        for key in {*before, *after}
        if before.get(key, Decimal(0)) != after.get(key, Decimal(0))
    }
    found = {
        (change.rep_name, change.product_line, change.commission_month): (change.before, change.after)
        for change in comparison.changes
    }
    assert found == wanted
    assert len(found) > 20
    for one_change in comparison.changes:
        assert sum(part.amount for part in one_change.parts) == one_change.difference
        for part in one_change.parts:
            assert not part.lines or sum(line.amount for line in part.lines) == part.amount
    assert comparison.difference == sum(after.values()) - sum(before.values())


def test_what_was_taken_back_in_between_is_no_change(corrected: Corrected) -> None:
    assert corrected.states[1] == corrected.states[3]
    assert not corrected.compare(1, 3).changes
    assert not corrected.compare(2, 2).changes


def test_one_rep_can_be_looked_at_alone(corrected: Corrected) -> None:
    everybody = corrected.compare(1, 2).changes

    alone = corrected.compare(1, 2, corrected.rated).changes

    assert list(alone) == [change for change in everybody if change.rep_name == corrected.rated]


def test_months_that_were_published_before_are_restated_and_the_others_new(corrected: Corrected) -> None:
    comparison = corrected.compare(1, 2)

    new = [change for change in comparison.changes if change.commission_month == APRIL]
    assert comparison.new == sum(change.difference for change in new) != 0
    assert comparison.restated == comparison.difference - comparison.new
    assert [change.is_new for change in comparison.changes] == [
        change in new for change in comparison.changes
    ]
    # Taken back, the month was published before.
    assert corrected.compare(2, 3).new == 0


def test_a_span_of_months_can_be_looked_at_alone(corrected: Corrected) -> None:
    everything = corrected.compare(1, 2)

    spring = corrected.compare(1, 2, months=(FEBRUARY, MARCH))

    assert list(spring.changes) == [
        change for change in everything.changes if FEBRUARY <= change.commission_month <= MARCH
    ]
    assert {change.commission_month for change in spring.changes} == {FEBRUARY, MARCH}


def test_a_publication_says_which_earlier_months_it_changed(
    corrected: Corrected, connection: psycopg.Connection
) -> None:
    comparison = corrected.compare(1, 2)
    second = restated_months(connection, 2)

    expected: dict[date, list[Decimal]] = {}
    for change in comparison.changes:
        if change.difference:
            expected.setdefault(change.commission_month, []).append(change.difference)
    # The latest month is still coming in; now that is March.
    assert [(each.month, each.payouts, each.amount) for each in second] == [
        (month, len(expected[month]), sum(expected[month])) for month in (JANUARY, FEBRUARY)
    ]
    assert not restated_months(connection, 1)
    assert restated_in_words(second)[0].startswith(f"{second[0].payouts} payouts of 2025-01 change, ")
    assert restated_in_words([RestatedMonth(JANUARY, 1, Decimal("-2302.1"))]) == [
        "1 payout of 2025-01 changes, -2,302.10."
    ]
    year = [RestatedMonth(date(2024 + past // 12, past % 12 + 1, 1), 1, Decimal(1)) for past in range(13)]
    assert restated_in_words(year)[:2] == [
        "1 payout of earlier months changes, +1.00.", "1 payout of 2024-02 changes, +1.00.",
    ]  # fmt: skip


# --- rates, thresholds and objectives --------------------------------------------------------


def test_what_changed_in_rates_and_thresholds_is_told_row_by_row(corrected: Corrected) -> None:
    rules = corrected.compare(1, 2).rules

    assert set(rules) == {"commission_tiers", "tier_thresholds"}
    (rate, *_) = [row_in_words("commission_tiers", change) for change in rules["commission_tiers"]]
    assert rate.startswith(f"{corrected.rated}, ")
    assert "Commission tier 1 rate 33 % → 34 %, Commission tier 2 rate 43 % → 45 %" in rate
    words = [row_in_words("tier_thresholds", change) for change in rules["tier_thresholds"]]
    rep, line = corrected.raised
    assert f"{rep}, {line}, 2025: Commission tier threshold " in " ".join(words)
    assert corrected.compare(1, 3).rules == {}


def test_of_one_rep_and_other_years_only_those_rows_are_told(corrected: Corrected) -> None:
    rep, _ = corrected.cancelled

    alone = corrected.compare(1, 2, rep).rules
    later = corrected.compare(1, 2, months=(date(2030, 1, 1), date(2030, 12, 1))).rules

    assert {
        (change.after or change.before or {})["sales_rep_name"]
        for changes in alone.values() for change in changes
    } == {rep}  # fmt: skip
    assert "tier_thresholds" not in later


def test_a_rate_is_named_though_tier_1_and_the_difference_cancel_out() -> None:
    before = replace(
        LINE, rev_actual=Decimal(1000), tier_1_rate=Decimal("0.3"), tier_2_rate=Decimal("0.4"),
        commission_tier_1=Decimal(300), commission_tier_2_diff=Decimal(100),
    )  # fmt: skip
    after = replace(
        before,
        tier_1_rate=Decimal("0.32"),
        commission_tier_1=Decimal(320),
        commission_tier_2_diff=Decimal(80),
    )
    assert before.key is not None

    (effect,) = effects_on([(before, after)], {before.key}, {before.key})[before.key]

    assert effect == (
        "rate", "paid at 32 % / 40 % instead of 30 % / 40 %", LineChange(before, after, Decimal(20))
    )  # fmt: skip
    # Where tier 2 is paid, nothing changes.
    assert effects_on([(before, after)], {before.key}) == {}


# --- reasons -------------------------------------------------------------------------------


def test_the_lines_of_a_deleted_file_are_removed_and_those_of_a_new_one_added(corrected: Corrected) -> None:
    comparison = corrected.compare(1, 2)

    removed, added = parts_of(comparison, "removed"), parts_of(comparison, "added")
    assert {line.shown.source_file.split("/")[1] for _, part in removed for line in part.lines} == {"novo"}
    assert {change.commission_month for change, _ in removed} == {MARCH}
    assert {line.shown.source_file for _, part in added for line in part.lines} == {
        "incoming/ternio/2025-02/Ternio.xlsx", NEW_MONTH
    }  # fmt: skip
    assert all(change.before is None for change, part in added if len(change.parts) == 1)


def test_a_corrected_amount_is_one_line_and_the_rest_of_its_file_none(corrected: Corrected) -> None:
    ((found, part),) = parts_of(corrected.compare(1, 2), "corrected")

    rep, row = corrected.corrected_line
    (line,) = part.lines
    assert (found.rep_name, found.product_line, found.commission_month) == (rep, "InspeKtor", FEBRUARY)
    assert part.words == "with a corrected amount"
    assert (line.before.source_row, line.after.source_row) == (row, row)
    assert line.after.rev_actual == Decimal("777.77")
    assert line.amount == line.after.commission - line.before.commission


def test_a_territory_that_changed_hands_moves_its_lines_from_one_rep_to_the_other(
    corrected: Corrected,
) -> None:
    comparison = corrected.compare(1, 2)

    here, elsewhere = parts_of(comparison, "credited here"), parts_of(comparison, "credited elsewhere")
    assert {(found.rep_name, part.words) for found, part in here} == {
        (corrected.new_owner, f"re-credited from {corrected.old_owner}")
    }
    assert {(found.rep_name, part.words) for found, part in elsewhere} == {
        (corrected.old_owner, f"re-credited to {corrected.new_owner}")
    }
    gone = {line.before.line_id for _, part in elsewhere for line in part.lines}
    assert gone == {line.after.line_id for _, part in here for line in part.lines}


def test_a_changed_rate_names_both(corrected: Corrected) -> None:
    parts = parts_of(corrected.compare(1, 2), "rate")

    assert {found.rep_name for found, _ in parts} == {corrected.rated}
    assert {part.words for _, part in parts} == {"paid at 34 % / 45 % instead of 33 % / 43 %"}
    back = parts_of(corrected.compare(2, 3), "rate")
    assert {part.words for _, part in back} == {"paid at 33 % / 43 % instead of 34 % / 45 %"}


def tier_2_words(comparison: Comparison, whose: tuple[str, str]) -> dict[date, str]:
    return {
        found.commission_month: part.words
        for found, part in parts_of(comparison, "tier 2")
        if (found.rep_name, found.product_line) == whose
    }


def threshold_of(corrected: Corrected, whose: tuple[str, str]) -> str:
    """The threshold in the books of today, which is that of the first state."""
    query = (
        "select distinct threshold from marts.commission_payouts where (rep_name, product_line) = (%s, %s)"
    )
    (found,) = corrected.zone.query(query, *whose)
    return f"{found[0]:,.2f}"


def test_a_lowered_threshold_is_reached_earlier(corrected: Corrected) -> None:
    words = tier_2_words(corrected.compare(1, 2), corrected.lowered)

    (month,) = one(
        corrected.zone,
        "select min(tier_2_month) from marts.commission_payouts where (rep_name, product_line) = (%s, %s)",
        *corrected.lowered,
    )
    why = (
        f"the threshold is reached earlier, in 2025-01 instead of {month_text(month)}, "
        f"because it was changed from {threshold_of(corrected, corrected.lowered)} to 0.00"
    )
    assert words
    assert all(said.endswith(f": {why}") for said in words.values()), words
    assert " less held back: " in words[JANUARY]
    assert " less released from earlier months: " in words[month]
    later = tier_2_words(corrected.compare(2, 3), corrected.lowered)
    assert f"the threshold is reached later, in {month_text(month)} instead of 2025-01" in later[JANUARY]


def test_a_raised_threshold_is_not_reached_any_more(corrected: Corrected) -> None:
    words = tier_2_words(corrected.compare(1, 2), corrected.raised)

    why = (
        "the threshold is no longer reached; it was reached in 2025-01, because it was changed from "
        f"{threshold_of(corrected, corrected.raised)} to 10,000,000.00"
    )
    assert words
    assert all(f" held back: {why}" in said for said in words.values()), words
    back = tier_2_words(corrected.compare(2, 3), corrected.raised)
    assert all(
        "the threshold is now reached in 2025-01, and was not reached before" in said
        for said in back.values()
    )


def test_a_threshold_that_was_taken_away_is_said(corrected: Corrected) -> None:
    words = tier_2_words(corrected.compare(1, 2), corrected.cancelled)

    threshold = threshold_of(corrected, corrected.cancelled)
    why = f"2025 no longer has a threshold; that of {threshold} was reached in 2025-01"
    assert words
    assert all(said.endswith(f" held back: {why}") for said in words.values()), words
    back = tier_2_words(corrected.compare(2, 3), corrected.cancelled)
    assert all(said.endswith(f"because a threshold of {threshold} was set") for said in back.values())


def test_what_a_month_below_its_threshold_gains_is_held_back_in_part(corrected: Corrected) -> None:
    words = {part.words.split(": ")[1] for _, part in parts_of(corrected.compare(1, 2), "tier 2")}

    assert any(said.startswith("no threshold is set for 2025") for said in words)
    assert any(said.startswith("the threshold is not reached in this month, so") for said in words)


# --- matching lines ------------------------------------------------------------------------

LINE = Line(
    credit_id="1/Report/5",
    line_id="1/Report/5",
    source="cygnus",
    product_line_id="L-1",
    product_line="Cygnus",
    payee_id="P-1",
    rep_name="Ann Gray",
    rep_named="Ann Gray",
    rep_meant=None,
    credit_status="credited",
    customer="North Clinic",
    invoice_number="I-1",
    item="SKU",
    source_file="incoming/cygnus/2025-01/a.xlsx",
    source_sheet="Report",
    source_row=5,
    credit_share=Decimal(1),
    sales_actual=Decimal(100),
    rev_actual=Decimal(10),
    tier_1_rate=Decimal("0.3"),
    tier_2_rate=None,
    commission_tier_1=Decimal("3.00"),
    commission_tier_2_diff=Decimal("0.00"),
    revenue_date=JANUARY,
    commission_month=JANUARY,
)


def lines(*numbers_and_sales: tuple[str, int]) -> list[Line]:
    return [
        replace(LINE, credit_id=number, line_id=number, sales_actual=Decimal(sales))
        for number, sales in numbers_and_sales
    ]


def ids(pairs: Sequence[tuple[Line | None, Line | None]]) -> set[tuple[str | None, str | None]]:
    return {(before.line_id if before else None, after.line_id if after else None) for before, after in pairs}


def test_a_line_is_matched_by_its_place_before_anything_else() -> None:
    removed, added = lines(("1/R/5", 100), ("1/R/6", 200)), lines(("1/R/6", 100), ("1/R/5", 200))

    assert ids(pair_lines(removed, added)) == {("1/R/5", "1/R/5"), ("1/R/6", "1/R/6")}


def test_a_sale_in_a_corrected_file_is_matched_with_the_one_of_the_same_amount() -> None:
    removed, added = lines(("1/R/5", 100), ("1/R/6", 200)), lines(("2/R/5", 200), ("2/R/6", 150))

    assert ids(pair_lines(removed, added)) == {("1/R/6", "2/R/5"), ("1/R/5", "2/R/6")}


def test_each_of_several_equal_lines_is_matched_once() -> None:
    removed, added = (
        lines(("1/R/5", 100), ("1/R/6", 100), ("1/R/7", 100)),
        lines(("2/R/5", 100), ("2/R/6", 100)),
    )

    assert ids(pair_lines(removed, added)) == {("1/R/5", "2/R/5"), ("1/R/6", "2/R/6"), ("1/R/7", None)}


def test_another_invoice_is_another_sale() -> None:
    added = [replace(LINE, credit_id="2/R/5", line_id="2/R/5", invoice_number="I-2")]

    assert ids(pair_lines([LINE], added)) == {(LINE.line_id, None), (None, "2/R/5")}


# --- points in time ------------------------------------------------------------------------


@pytest.fixture
def connection(corrected: Corrected) -> Iterator[psycopg.Connection]:
    with psycopg.connect(corrected.zone.database_url) as opened:
        yield opened


@pytest.fixture
def states(connection: psycopg.Connection) -> list[Published]:
    return [state_at(connection, number) for number in ("1", "2", "3")]


def test_a_state_is_found_by_number_run_or_time(
    connection: psycopg.Connection, states: list[Published]
) -> None:
    second = states[1]
    at = second.published_at.astimezone(UTC)
    east = (at + timedelta(hours=2)).replace(tzinfo=None).isoformat()
    for typed in ("2", "#2", " 2 ", "run of corrections", "run of", at.isoformat(), f"{east}+02:00",
                  at.replace(tzinfo=None).isoformat()):  # fmt: skip
        assert state_at(connection, typed) == second, typed
    for typed in ("now", "NOW", "2099-01-01", "run as delivered again"):
        assert state_at(connection, typed) == states[2], typed
    assert state_at(connection, "run as delivered") == states[0]
    just_before = (at - timedelta(microseconds=1)).isoformat()
    assert state_at(connection, just_before) == states[0]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("2020-02-03", "Nothing had been published by 2020-02-03 00:00 UTC. The first state is publ"),
        ("#9", "There is no publication 9. The publications are 1 to 3."),
        ("0", "There is no publication 0."),
        ("yesterday", "'yesterday' is not a time, a run that published anything, or the number"),
        ("2025-02-30", "'2025-02-30' is not a time"),
        ("run as", "'run as' is not a time"),
        ("", "'' is not a time"),
        ("0001-01-01T00:00+14:00", "is not a time"),
    ],
)
def test_what_is_no_state_is_answered_with_those_there_are(
    connection: psycopg.Connection, typed: str, said: str
) -> None:
    with pytest.raises(ShsError) as raised:
        state_at(connection, typed)

    assert said in str(raised.value)


def test_the_earlier_state_comes_first(connection: psycopg.Connection, states: list[Published]) -> None:
    with pytest.raises(ShsError, match="Put the earlier state first"):
        compare_payouts(connection, states[1], states[0])


# --- the command ---------------------------------------------------------------------------


@pytest.fixture
def shs(corrected: Corrected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setattr("shs_pipeline.settings.settings.dotenv", dict)
    monkeypatch.setenv("SHS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SHS_LANDING", str(corrected.zone.folder))
    monkeypatch.setenv("SHS_DATABASE_URL", corrected.zone.database_url)
    return lambda *arguments: CliRunner().invoke(build_app(), ["diff", *arguments])


def test_the_command_says_what_changed_with_file_sheet_and_row(
    shs: Callable[..., Result], corrected: Corrected
) -> None:
    comparison = corrected.compare(1, 2)

    result = shs("1", "2", "--lines", "1")

    assert result.exit_code == 0, result.exception
    assert (
        f"{len(comparison.changes)} payouts changed, {comparison.difference:+,.2f} in all." in result.output
    )
    rep, row = corrected.corrected_line
    assert "1 line with a corrected amount" in result.output
    assert f"Report row {row}, " in result.output
    assert "revenue 777.77 at " in result.output
    assert "no payout now" in result.output
    assert f"New:      {comparison.new:+14,.2f} in " in result.output
    assert f"Restated: {comparison.restated:+14,.2f} in " in result.output
    assert "\nThresholds that changed\n" in result.output
    assert "of 2025-04\n" in result.output
    assert "… " in result.output
    only = shs("1", "2", "--rep", rep.upper()).output
    assert all(line.startswith(rep) for line in only.splitlines() if " before, " in line)


def test_json_holds_parts_that_add_up(shs: Callable[..., Result]) -> None:
    found = json.loads(shs("1", "2", "--json").output)

    for row in found["changes"]:
        assert sum(Decimal(part["amount"]) for part in row["parts"]) == Decimal(row["difference"])
    assert sum(Decimal(row["difference"]) for row in found["changes"]) == Decimal(found["difference"])
    assert Decimal(found["new"]) + Decimal(found["restated"]) == Decimal(found["difference"])


def test_months_are_typed_as_one_or_as_a_span(shs: Callable[..., Result]) -> None:
    march = json.loads(shs("1", "2", "--month", "2025-03", "--json").output)

    assert {row["commission_month"] for row in march["changes"]} == {"2025-03-01"}
    assert "is not a month" in str(shs("1", "2", "--month", "2025-01..soon").exception)
    assert "ends before it begins" in str(shs("1", "2", "--month", "2025-03..2025-01").exception)


def test_nothing_changed_is_said(shs: Callable[..., Result]) -> None:
    assert "Nothing changed: both are publication 3 (" in shs("3").output
    assert "Nothing changed in the payouts." in shs("1", "now").output


def test_an_unknown_rep_is_a_sentence(shs: Callable[..., Result]) -> None:
    result = shs("1", "2", "--rep", "Nobody")

    assert isinstance(result.exception, ShsError)
    assert "There is no rep called 'Nobody'." in str(result.exception)


# --- who changed a reference table -----------------------------------------------------------


@pytest.fixture
def reference(shs: Callable[..., Result]) -> Callable[..., Result]:
    del shs  # it has set where the commands look
    return lambda *arguments: CliRunner().invoke(build_app(), ["reference", *arguments])


def test_the_history_of_a_table_says_who_changed_what_and_what_it_did_to_pay(
    corrected: Corrected, reference: Callable[..., Result]
) -> None:
    comparison = corrected.compare(1, 2)

    found = json.loads(reference("history", "Commission Tiers", "--json").output)

    assert [version["version"] for version in found] == [3, 2, 1]
    assert {version["actor"] for version in found} == {pwd.getpwuid(os.getuid()).pw_name}
    assert [version["standing"] for version in found] == ["published", "published", "first publication"]
    kinds = [
        [(change["before"] is None, change["after"] is None) for change in version["changes"]]
        for version in found
    ]
    assert set(kinds[0]) == set(kinds[1]) == {(False, False)}
    assert set(kinds[2]) == {(True, False)}
    names = {change["after"]["sales_rep_name"] for change in found[1]["changes"]}
    assert names == {corrected.rated}
    effect = found[1]["effect"]
    assert (effect["publication_id"], effect["payouts"]) == (2, len(comparison.changes))
    assert Decimal(effect["amount"]) == comparison.difference
    # The same publication brought other changes, so that not all of it is this table's doing.
    assert effect["together"] == ["territories", "tier_thresholds", "4 changed files"]


def test_the_history_in_words_fits_the_terminal(
    corrected: Corrected, reference: Callable[..., Result]
) -> None:
    comparison = corrected.compare(1, 2)

    result = reference("history", "commission_tiers", "--rows", "1", "--last", "2")

    assert result.exit_code == 0, result.exception
    said = (
        f"{len(comparison.changes)} payouts changed, {comparison.difference:+,.2f} in all, together with "
        "territories, tier_thresholds and 4 changed files."
    )
    assert said in result.output
    assert "Commission tier 1 rate 33 % → 34 %" in result.output
    assert "… and 1 earlier; --last 3 shows all." in result.output


def test_a_version_that_nothing_was_published_with_says_so(
    connection: psycopg.Connection,
) -> None:
    connection.execute(
        "update marts.publications set reference_versions = reference_versions - 'territories'"
        " where publication_id > 1"
    )

    waiting, overtaken, first = table_history(connection, "territories")

    connection.rollback()
    assert effect_in_words(waiting) == "Not published yet: shs run builds the marts."
    assert effect_in_words(overtaken).startswith("Replaced by the next version before anything was published")
    assert effect_in_words(first).endswith("the first, was made with it.")


def test_of_two_versions_between_publications_the_later_names_the_other(
    connection: psycopg.Connection,
) -> None:
    connection.execute(
        "update marts.publications as second set reference_versions = first.reference_versions"
        " from marts.publications as first where first.publication_id = 1 and second.publication_id = 2"
    )

    third, second, _ = table_history(connection, "territories")

    connection.rollback()
    assert second.standing == "overtaken"
    assert third.effect is not None
    assert third.effect.together[0] == "version 2"


def test_tables_come_back_as_they_were(
    corrected: Corrected, reference: Callable[..., Result], tmp_path: Path
) -> None:
    query = "select in_force_from from reference.versions where table_name = 'commission_tiers' order by 1"
    _, second, third = (moment.astimezone(UTC) for (moment,) in corrected.zone.query(query))

    def rates(folder: str, *arguments: str) -> set[Any]:
        result = reference("export", str(tmp_path / folder), *arguments)
        assert result.exit_code == 0, result.exception
        sheet = openpyxl.load_workbook(tmp_path / folder / "commission_tiers.xlsx").worksheets[0]
        header, *rows = sheet.iter_rows(values_only=True)
        place = header.index("Commission tier 1 rate")
        return {row[place] for row in rows if row[0] == corrected.rated}

    assert rates("then", "--as-of", second.isoformat()) == {0.34}
    assert rates("before", "--as-of", (second - timedelta(microseconds=1)).isoformat()) == {0.33}
    # Of a day its end, of today what there is so far.
    assert rates("today", "--as-of", f"{third:%Y-%m-%d}") == rates("now") == {0.33}


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("2020-01-01", "No reference table was in force at 2020-01-02 00:00 UTC. The first version, of "),
        ("soon", "--as-of 'soon' is neither a day nor a time."),
        ("2025-02-30", "--as-of '2025-02-30' is neither a day nor a time."),
        ("2199-01-01", "--as-of 2199-01-01 is in the future."),
    ],
)
def test_a_day_without_tables_is_a_sentence(
    reference: Callable[..., Result], tmp_path: Path, typed: str, said: str
) -> None:
    result = reference("export", str(tmp_path / "as of"), "--as-of", typed)

    assert isinstance(result.exception, ShsError)
    assert said in str(result.exception)
    assert not (tmp_path / "as of").exists()


def test_a_source_has_no_history_of_a_table(reference: Callable[..., Result]) -> None:
    result = reference("history", "cygnus")

    assert "cygnus is a source, not a reference table." in str(result.exception)


@pytest.mark.parametrize("table", REFERENCE_NAMES)
def test_every_table_says_what_names_a_row(table: str) -> None:
    names = {column.name for column in columns_of(table_named(table).rows)}

    assert all(set(key) <= names for key in _KEYS.get(table, ()))


def test_a_row_with_another_value_is_changed_and_one_of_two_alike_removed() -> None:
    def tier(rep: str, rate: str, line: str | None = None) -> dict[str, object]:
        return {"sales_rep_name": rep, "product_line": line, "valid_from": MARCH, "rate": Decimal(rate)}

    before = [tier("Ann", "0.3"), tier("Ann", "0.3", "Novo"), tier("Bo", "0.1"), tier("Bo", "0.1")]
    after = [tier("ann ", "0.32"), tier("Ann", "0.3", "Novo"), tier("Bo", "0.1"), tier("Cy", "0.2")]

    assert row_changes("commission_tiers", before, after) == [
        RowChange(before[0], after[0]), RowChange(None, after[3]), RowChange(before[2], None)
    ]  # fmt: skip


def test_a_rep_of_another_name_is_known_by_the_address() -> None:
    before = [{"sales_rep_name": "Ann Moss", "email": "ann@example.com", "payee_id": None}]
    after = [{"sales_rep_name": "Ann Reed", "email": "ann@example.com", "payee_id": None}]

    assert row_changes("sales_reps", before, after) == [RowChange(before[0], after[0])]


# --- ids -------------------------------------------------------------------------------------


def test_a_part_of_a_line_is_matched_with_that_of_the_same_payee() -> None:
    parts = [
        replace(LINE, credit_id=f"1/R/5/part {number}", line_id="1/R/5", payee_id=payee)
        for number, payee in ((1, "P-1"), (2, "P-2"))
    ]
    whole = replace(LINE, credit_id="1/R/5", line_id="1/R/5", payee_id="P-2")

    assert pair_lines([whole], parts) == [(whole, parts[1]), (None, parts[0])]


def test_another_name_of_the_same_payee_is_no_other_payout() -> None:
    assert replace(LINE, rep_name="Ann Moss", product_line="Signus").key == LINE.key
