"""What changed between two published states: every difference explained to the cent, in the right words."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openpyxl
import psycopg
import pytest
from typer.testing import CliRunner, Result

from shs_pipeline.cli import build_app
from shs_pipeline.errors import ShsError
from shs_pipeline.months import month_text
from shs_pipeline.payout_diff import (
    Comparison,
    Line,
    PayoutChange,
    Published,
    compare_payouts,
    pair_lines,
    state_at,
)
from shs_pipeline.samples.broken import with_bad_cell
from shs_pipeline.samples.workbook import write_workbook

if TYPE_CHECKING:
    from tests.conftest import Zone

JANUARY, FEBRUARY, MARCH = (date(2025, month, 1) for month in (1, 2, 3))
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

    def compare(self, first: int, second: int, rep: str | None = None) -> Comparison:
        with psycopg.connect(self.zone.database_url) as connection:
            earlier, later = (state_at(connection, f"#{number}") for number in (first, second))
            return compare_payouts(connection, earlier, later, rep)


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
    from shs_pipeline.marts import build_marts

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


# --- reasons -------------------------------------------------------------------------------


def test_the_lines_of_a_deleted_file_are_removed_and_those_of_a_new_one_added(corrected: Corrected) -> None:
    comparison = corrected.compare(1, 2)

    removed, added = parts_of(comparison, "removed"), parts_of(comparison, "added")
    assert {line.shown.source_file.split("/")[1] for _, part in removed for line in part.lines} == {"novo"}
    assert {change.commission_month for change, _ in removed} == {MARCH}
    assert {line.shown.source_file for _, part in added for line in part.lines} == {
        "incoming/ternio/2025-02/Ternio.xlsx"
    }
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
        f"since it was changed from {threshold_of(corrected, corrected.lowered)} to 0.00"
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
        "the threshold is not reached any more; it was in 2025-01, since it was changed from "
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
    why = f"2025 has no threshold any more; that of {threshold} was reached in 2025-01"
    assert words
    assert all(said.endswith(f" held back: {why}") for said in words.values()), words
    back = tier_2_words(corrected.compare(2, 3), corrected.cancelled)
    assert all(said.endswith(f"since a threshold of {threshold} was set") for said in back.values())


def test_what_a_month_below_its_threshold_gains_is_held_back_in_part(corrected: Corrected) -> None:
    words = {part.words.split(": ")[1] for _, part in parts_of(corrected.compare(1, 2), "tier 2")}

    assert any(said.startswith("no threshold is set for 2025") for said in words)
    assert any(said.startswith("the threshold is not reached in this month, so") for said in words)


# --- matching lines ------------------------------------------------------------------------

LINE = Line(
    line_id="1/Report/5",
    source="cygnus",
    product_line="Cygnus",
    rep_name="Ann Gray",
    rep_named="Ann Gray",
    credit_status="credited",
    customer="North Clinic",
    invoice_number="I-1",
    item="SKU",
    source_file="incoming/cygnus/2025-01/a.xlsx",
    source_sheet="Report",
    source_row=5,
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
    return [replace(LINE, line_id=number, sales_actual=Decimal(sales)) for number, sales in numbers_and_sales]


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
    added = [replace(LINE, line_id="2/R/5", invoice_number="I-2")]

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
        ("2020-02-03", "Nothing was published yet at 2020-02-03 00:00 UTC. The first state is that of publ"),
        ("#9", "There is no publication 9. There are those from 1 to 3."),
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
    with pytest.raises(ShsError, match="Name the earlier state first"):
        compare_payouts(connection, states[1], states[0])


# --- the command ---------------------------------------------------------------------------


@pytest.fixture
def shs(corrected: Corrected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setattr("shs_pipeline.settings.dotenv", dict)
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
    assert "… " in result.output
    only = shs("1", "2", "--rep", rep.upper()).output
    assert all(line.startswith(rep) for line in only.splitlines() if " before, " in line)


def test_json_holds_parts_that_add_up(shs: Callable[..., Result]) -> None:
    found = json.loads(shs("1", "2", "--json").output)

    for row in found["changes"]:
        assert sum(Decimal(part["amount"]) for part in row["parts"]) == Decimal(row["difference"])
    assert sum(Decimal(row["difference"]) for row in found["changes"]) == Decimal(found["difference"])


def test_nothing_changed_is_said(shs: Callable[..., Result]) -> None:
    assert "Nothing changed: both are publication 3 (" in shs("3").output
    assert "Nothing changed in the payouts." in shs("1", "now").output


def test_an_unknown_rep_is_a_sentence(shs: Callable[..., Result]) -> None:
    result = shs("1", "2", "--rep", "Nobody")

    assert isinstance(result.exception, ShsError)
    assert "There is no rep called 'Nobody'." in str(result.exception)
