"""How a payout is explained: the figures, the lines that add up to it, and the cells of their files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from shs_pipeline.base.errors import ShsError
from shs_pipeline.casting.cells import match_key
from shs_pipeline.casting.columns import cast_cells
from shs_pipeline.cli.main import build_app, problem_of
from shs_pipeline.file_reader.cell_text import CellText
from shs_pipeline.file_reader.paid_cells import FileText, loaded_files, read_cell_texts
from shs_pipeline.file_reader.reader import FileReader
from shs_pipeline.landing.names import SOURCE_NAMES
from shs_pipeline.marts.explain import (
    Payout,
    PayoutLine,
    exact,
    explain_payouts,
    held_in_words,
    in_words,
    rates_in_words,
    rounded_in_words,
)
from shs_pipeline.marts.explain_basis import (
    NobodysLine,
    basis_of,
    missing_in_words,
    nobodys_in_words,
)
from shs_pipeline.samples.tree import make_sample
from shs_pipeline.sources.registry import source_named

if TYPE_CHECKING:
    from tests.conftest import Zone

JANUARY, FEBRUARY, MARCH = (date(2025, month, 1) for month in (1, 2, 3))


@pytest.fixture
def connection(built: Zone) -> Iterator[psycopg.Connection]:
    with psycopg.connect(built.database_url) as opened:
        yield opened


def all_payouts(connection: psycopg.Connection) -> list[Payout]:
    found = connection.execute("select distinct rep_name, commission_month from marts.commission_payouts")
    return [payout for rep, month in found.fetchall() for payout in explain_payouts(connection, rep, month)]


# --- the lines behind a payout -------------------------------------------------------------


def test_the_lines_of_every_payout_add_up_to_it_to_the_cent(connection: psycopg.Connection) -> None:
    payouts = all_payouts(connection)

    count = connection.execute("select count(*) from marts.commission_payouts").fetchone()
    assert count == (len(payouts),)
    assert {payout.lines_total - payout.payout for payout in payouts} == {Decimal(0)}
    fates = {line.fate for payout in payouts for line in payout.lines if line.difference}
    assert fates == {"paid", "deferred", "unpayable", "released"}
    unpayable = {p.threshold for p in payouts for line in p.lines if line.fate == "unpayable"}
    assert unpayable == {None}


def test_the_parts_of_a_payout_are_the_sums_of_its_lines(connection: psycopg.Connection) -> None:
    for payout in all_payouts(connection):
        sums = {
            fate: sum((line.difference for line in payout.lines if line.fate == fate), Decimal(0))
            for fate in ("paid", "deferred", "unpayable", "released")
        }
        own = [line for line in payout.lines if line.line_month == payout.commission_month]
        assert sum((line.tier_1 for line in payout.lines), Decimal(0)) == payout.commission_tier_1
        assert (sums["deferred"] + sums["unpayable"], sums["released"]) == (payout.deferred, payout.released)
        assert sums["paid"] == payout.commission_tier_2_diff - payout.deferred
        assert sum((line.sales_actual for line in own), Decimal(0)) == payout.sales_actual


def test_rep_and_product_line_are_found_in_any_case(connection: psycopg.Connection) -> None:
    rep, line = first_payout(connection)

    (found,) = explain_payouts(connection, f" {rep.upper()} ", JANUARY, line.lower())

    assert (found.rep_name, found.product_line, found.commission_month) == (rep, line, JANUARY)


def first_payout(connection: psycopg.Connection) -> tuple[str, str]:
    row = connection.execute(
        "select rep_name, product_line from marts.commission_payouts"
        " where commission_month = %s and rep_name <> 'Theo Marsh' order by payout desc limit 1",
        [JANUARY],
    ).fetchone()
    assert row is not None
    return row


@pytest.mark.parametrize(
    ("rep", "month", "line", "said"),
    [
        ("Dana Whitfeld", JANUARY, None, "Did you mean Dana Whitfield? Reps with payouts: Caleb Ostrander"),
        ("dana", JANUARY, None, "Did you mean Dana Whitfield?"),
        ("Zorro", JANUARY, None, "There is no rep called 'Zorro'. Reps with payouts: Caleb"),
        ("Dana Whitfield", date(2024, 1, 1), None, "There are payouts in 3 months from 2025-01 to 2025-03"),
        ("Harriet Lindqvist", JANUARY, None, "Harriet Lindqvist has no payout: no line is credited"),
        ("Dana Whitfield", JANUARY, "Cignus", "Did you mean Cygnus? In 2025-01 there are"),
        (
            "Dana Whitfield",
            MARCH,
            "novo",
            "There is no product line called 'novo'. In 2025-03 there are Cygnus.",
        ),
        (
            "Dana Whitfield",
            MARCH,
            "logiquip",
            "Dana Whitfield has no payout for Logiquip in 2025-03. In 2025-03 there are Cygnus.",
        ),
    ],
)
def test_what_does_not_exist_is_answered_with_what_does(
    connection: psycopg.Connection, rep: str, month: date, line: str | None, said: str
) -> None:
    with pytest.raises(ShsError) as raised:
        explain_payouts(connection, rep, month, line)

    assert said in str(raised.value)


def test_payouts_of_one_month_are_in_one_month(connection: psycopg.Connection) -> None:
    connection.execute("delete from marts.commission_payouts where commission_month <> %s", [JANUARY])

    with pytest.raises(ShsError, match="There are payouts in 1 month; the nearest: 2025-01"):
        explain_payouts(connection, "Dana Whitfield", date(2024, 1, 1))

    connection.rollback()


def test_without_marts_a_sentence_says_so(database: str) -> None:
    with (
        psycopg.connect(database) as connection,
        pytest.raises(ShsError, match="No payouts have been published"),
    ):
        explain_payouts(connection, "Dana Whitfield", JANUARY)


# --- in words ------------------------------------------------------------------------------

PAYOUT = Payout(
    payee_id="P-1",
    rep_name="Ann Gray",
    product_line_id="L-1",
    product_line="Cygnus",
    commission_month=FEBRUARY,
    sales_actual=Decimal(400),
    cumulative_sales=Decimal("900.005"),
    threshold=Decimal("1000.00"),
    tier=1,
    tier_2_month=None,
    commission_tier_1=Decimal("30.00"),
    commission_tier_2_diff=Decimal("10.00"),
    deferred=Decimal("10.00"),
    released=Decimal("0.00"),
    deferred_balance=Decimal("15.00"),
    payout=Decimal("30.00"),
    payout_ytd=Decimal("50.00"),
)
SOLD = "Sales of 400.00 in 2025-02 bring 2025 to "


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, "900.005, which is 99.995 below the threshold of 1,000.00: tier 1."),
        ({"threshold": None}, "900.005. No threshold is set for 2025, so tier 2 is never reached."),
        (
            {"cumulative_sales": Decimal(1000), "tier": 2, "tier_2_month": FEBRUARY},
            "1,000.00 and so reach the threshold of 1,000.00: tier 2 from this month on.",
        ),
        (
            {"cumulative_sales": Decimal(1500), "tier": 2, "tier_2_month": JANUARY},
            "1,500.00; the threshold of 1,000.00 was reached in 2025-01: tier 2.",
        ),
        (
            {"tier": 2, "tier_2_month": JANUARY},
            (
                "900.005. That is below the threshold, but the threshold of 1,000.00 was reached in 2025-01, "
                "and it stays reached all year: tier 2."
            ),
        ),
        (
            {"tier": 2, "tier_2_month": FEBRUARY, "opening_month": JANUARY, "opening_sales": Decimal(1000)},
            "900.005; the threshold of 1,000.00 was reached before: tier 2.",
        ),
    ],
)
def test_the_sentence_holds_the_sales_to_date_against_the_threshold(
    changed: dict[str, Any], words: str
) -> None:
    assert in_words(replace(PAYOUT, **changed)) == SOLD + words


def test_amounts_keep_their_fractions_of_cents_and_rates_are_percentages() -> None:
    assert [exact(Decimal(text)) for text in ("1234.5", "-0.125", "1E+3")] == [
        "1,234.50",
        "-0.125",
        "1,000.00",
    ]
    assert rates_in_words(Decimal("0.300000"), Decimal("0.455000")) == "30 % / 45.5 %"


def test_an_amount_that_was_rounded_is_shown_with_what_the_file_says() -> None:
    assert rounded_in_words(Decimal("1234.50"), None) == "1,234.50"
    assert rounded_in_words(Decimal("0.08"), Decimal("0.0840")) == "0.084 → 0.08"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, "held back: 10.00 of this month, 15.00 since January"),
        (
            {"threshold": None},
            "no threshold set, so it is never paid: 10.00 of this month, 15.00 since January",
        ),
        ({"tier": 2, "tier_2_month": JANUARY}, ""),
    ],
)
def test_what_no_threshold_can_release_is_not_called_held_back(changed: dict[str, Any], words: str) -> None:
    assert held_in_words(replace(PAYOUT, **changed)) == words


# --- what a payout rests on ----------------------------------------------------------------


def test_each_rate_and_each_owner_is_named_with_its_row(connection: psycopg.Connection) -> None:
    in_file: set[str] = {
        credit_id
        for (credit_id,) in connection.execute(
            "select credit_id from marts.harmonised_sales where rep_in_file is not null"
        )
    }
    seen = set()
    for payout in all_payouts(connection):
        basis = basis_of(connection, payout)
        rates = {
            (line.tier_1_rate, line.tier_2_rate) for line in payout.lines if line.tier_1_rate is not None
        }
        assert {(row.tier_1_rate, row.tier_2_rate) for row in basis.rates} == rates
        owned = [line for line in payout.lines if line.credit_id not in in_file]
        assert sum(row.lines for row in basis.owners) == len(owned)
        for row in basis.owners:
            found = connection.execute(
                "select customer_field || ': ' || data_field_value, sales_rep_name"
                " from reference.territories where source_row = %s",
                [row.source_row],
            ).fetchone()
            assert found is not None
            assert match_key(found[0]) == match_key(row.territory)
            assert match_key(found[1]) == match_key(payout.rep_name)
        seen |= {"rate"} if basis.rates else set()
        seen |= {"owner"} if basis.owners else set()
        seen |= {"in file"} if len(owned) < len(payout.lines) else set()
        lacks_rate = any(line.tier_1_rate is None for line in payout.lines)
        has_tier_2 = any(line.tier_2_rate is not None for line in payout.lines)
        assert len(basis.missing) == lacks_rate + (payout.threshold is None and has_tier_2)
        seen |= {"no rate"} if lacks_rate else set()
    assert seen == {"rate", "no rate", "owner", "in file"}


def test_what_is_missing_is_said_with_what_to_type() -> None:
    line = PayoutLine(
        "1/R/5", "1/R/5", "cygnus", None, None, None, "a.xlsx", "R", 5, JANUARY, JANUARY, *[Decimal(10)] * 2,
        None, None, None, None, Decimal(0), Decimal(0), "paid",
    )  # fmt: skip
    paid = replace(line, tier_1_rate=Decimal("0.3"), tier_2_rate=Decimal("0.4"))
    (rate, threshold) = missing_in_words(replace(PAYOUT, threshold=None, lines=(line, paid)))

    who = f"Sales Rep Name {PAYOUT.rep_name}, Product Line {PAYOUT.product_line}"
    month = PAYOUT.commission_month
    assert rate == (
        f"1 line without a rate in {month:%Y-%m}: add a row to commission_tiers with {who} "
        f"(or blank for all), Valid from {month} or earlier, and the rates."
    )
    assert threshold.endswith(
        f"add a row to tier_thresholds with {who}, Year {month.year}, and the threshold."
    )
    assert missing_in_words(replace(PAYOUT, lines=(paid,))) == []
    # A house account, or whoever has one rate, needs no threshold.
    only_one = replace(paid, tier_2_rate=None)
    assert missing_in_words(replace(PAYOUT, threshold=None, lines=(only_one,))) == []


def test_what_nobody_owns_is_said_with_what_to_type() -> None:
    amounts = ("1200", "-30", "7", "1")
    lines = [
        NobodysLine("no_territory", "cygnus", "Name: Mercy: East", None, "a.xlsx, R 7", Decimal(amounts[0])),
        NobodysLine("unknown_rep", "inspektor", None, "Wren C.", "b.xlsx, R 8", Decimal(amounts[1])),
        NobodysLine("unknown_rep", "quickbooks", None, None, "c.xlsx, R 9", Decimal(amounts[2])),
        NobodysLine("no_territory", "novo", None, None, "d.xlsx, R 9", Decimal(amounts[3])),
    ]

    first, owner, rep, _, more = nobodys_in_words(lines, JANUARY)

    assert first == "4 lines of 2025-01 credited to nobody, 1,178.00 in sales."
    assert owner == (
        "  1,200.00, a.xlsx, R 7: add a row to territories with Source cygnus, Customer field Name, "
        "Data field value Mercy: East, the owner, and Valid from."
    )
    assert rep == "  -30.00, b.xlsx, R 8: add Wren C. to sales_reps, or say in aliases who that is."
    assert more == "  … and 1 more: shs preview, dashboard Admin"
    assert nobodys_in_words([], JANUARY) == []


def test_the_lines_of_ternio_are_explained_from_the_digits_of_the_file(
    connection: psycopg.Connection,
) -> None:
    rows = connection.execute(
        "select explanation, rev_actual, rev_before_rounding, tier_1_rate, amount"
        " from marts.payout_explanations where source = 'ternio' and part = 'tier 1'"
        " and rev_before_rounding is not null and tier_1_rate is not null"
    ).fetchall()
    assert len(rows) > 5
    for explanation, revenue, before, rate, amount in rows:
        percent, digits = (rate * 100).normalize(), before.normalize()
        assert explanation == f"Tier 1: {percent:f} % of {revenue:,.2f} ({digits:f} rounded)"
        assert amount == (revenue * rate).quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)
    assert (rates_in_words(Decimal("0.3"), None), rates_in_words(None, None)) == ("30 %", "no rate")


# --- cells ---------------------------------------------------------------------------------


def texts_of(zone: Zone, connection: psycopg.Connection, path: str) -> FileText:
    """The cells of all lines of a file."""
    rows = connection.execute(
        "select source_sheet, source_row from marts.harmonised_sales where source_file = %s", [path]
    ).fetchall()
    (file,) = loaded_files(connection, [path])
    return read_cell_texts(zone.landing, READER, file, set(rows))


READER = FileReader()


@pytest.fixture(scope="module", autouse=True)
def _end_of_reader() -> Iterator[None]:
    yield
    READER.close()


def path_of(connection: psycopg.Connection, source: str, month: date = FEBRUARY) -> str:
    row = connection.execute(
        "select path from ops.files where source = %s and commission_month = %s and status = 'loaded'",
        [source, month],
    ).fetchone()
    assert row is not None
    return str(row[0])


def amount_in(cell: CellText) -> Decimal:
    text = cell.text.removeprefix("'").removesuffix("'") if cell.text != "empty" else ""
    (value,), errors = cast_cells([text], "amount")
    assert not errors
    return value or Decimal(0)


@pytest.mark.parametrize("source", [name for name in SOURCE_NAMES if name != "summit_medical"])
@pytest.mark.parametrize("month", [JANUARY, FEBRUARY])
def test_the_cells_shown_are_those_that_the_amounts_came_from(
    built: Zone, connection: psycopg.Connection, source: str, month: date
) -> None:
    found = texts_of(built, connection, path := path_of(connection, source, month))

    lines = connection.execute(
        "select source_sheet, source_row, coalesce(sales_before_rounding, sales_actual),"
        " coalesce(rev_before_rounding, rev_actual) from marts.harmonised_sales where source_file = %s",
        [path],
    ).fetchall()
    assert (found.trouble, len(found.cells)) == ("", len(lines))
    for sheet, row, sales, revenue in lines:
        cells = found.cells[sheet, row]
        amounts = [amount_in(cell) for cell in cells[: len(source_named(source).amounts)]]
        assert amounts[0] == sales
        if source == "quickbooks":
            price, quantity = (amount_in(cell) for cell in cells[1:3])
            assert amounts[0] - price * quantity == revenue
        elif source == "ternio":
            assert amounts[0] * Decimal("0.07") == revenue
        else:
            assert amounts[1] == revenue
        is_computed = any(cell.text.startswith("computed: ") for cell in cells)
        assert is_computed == (source in ("quickbooks", "ternio"))


def test_a_cell_that_is_written_once_says_in_which_row(built: Zone, connection: psycopg.Connection) -> None:
    found = texts_of(built, connection, path_of(connection, "logiquip"))

    dates = {place: cells[-1] for place, cells in found.cells.items()}
    written_above = {place[1]: cell for place, cell in dates.items() if cell.remark}
    assert written_above
    for row, cell in written_above.items():
        above = int("".join(filter(str.isdigit, cell.place)))
        assert above < row
        assert cell.remark == f"written once in row {above} for the rows below it"
        assert cell.text not in ("empty", "not in the file")


def test_an_amount_on_the_row_of_the_invoice_says_so(built: Zone, connection: psycopg.Connection) -> None:
    found = texts_of(built, connection, path_of(connection, "ternio"))

    for (_, row), cells in found.cells.items():
        (invoiced,) = (cell for cell in cells if cell.column == "Invoiced")
        assert invoiced.remark == f"in row {row + 1}, which belongs to this line"


def test_a_line_of_a_pdf_is_shown_as_printed_and_a_pivot_names_the_month_of_its_folder(
    built: Zone, connection: psycopg.Connection
) -> None:
    paths = [path_of(connection, "summit_medical", month) for month in (JANUARY, FEBRUARY)]
    (pdf,) = (path for path in paths if path.endswith(".pdf"))
    (pivot,) = (path for path in paths if path.endswith(".xlsx"))
    lines = connection.execute(
        "select source_sheet, source_row, invoice_number from marts.harmonised_sales where source_file = %s",
        [pdf],
    ).fetchall()

    printed, cells = (texts_of(built, connection, path) for path in (pdf, pivot))

    assert lines
    for sheet, row, invoice in lines:
        assert invoice in printed.cells[sheet, row][0].text
    given = {found[-1].text for found in cells.cells.values()}
    assert given == {f"{month}, from the folder rev={month}" for month in [pivot.split("rev=")[1][:7]]}


def test_a_file_that_changed_since_says_so(built: Zone, connection: psycopg.Connection) -> None:
    path = path_of(connection, "novo")
    content = built.landing.read(path)
    assert content is not None
    try:
        built.drop(path, make_sample("novo", FEBRUARY, lines=3, seed=9).content)
        changed = texts_of(built, connection, path)
        built.drop(path, b"no workbook")
        broken = texts_of(built, connection, path)
        built.delete(path)
        gone = texts_of(built, connection, path)
    finally:
        built.drop(path, content)

    assert f"{path} has changed since it was loaded on " in changed.trouble
    assert "has changed since" in broken.trouble
    assert "not an Excel workbook" in broken.trouble
    assert (gone.trouble, gone.cells) == (
        f"{path} is no longer in the landing zone, so its cells cannot be shown.",
        {},
    )
    assert texts_of(built, connection, path).trouble == ""


# --- the command ---------------------------------------------------------------------------


@pytest.fixture
def shs(built: Zone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command line on the built system."""
    monkeypatch.setattr("shs_pipeline.settings.settings.dotenv", dict)
    monkeypatch.setenv("SHS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SHS_LANDING", str(built.folder))
    monkeypatch.setenv("SHS_DATABASE_URL", built.database_url)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(build_app(), ["explain", *arguments])

    return run


def test_the_command_prints_figures_lines_and_cells(shs: Any, connection: psycopg.Connection) -> None:
    rep, line = first_payout(connection)
    (payout,) = explain_payouts(connection, rep, JANUARY, line)

    result = shs("--rep", rep.lower(), "--month", "2025-01", "--line", line, "--cell")

    assert result.exit_code == 0, result.exception
    assert f"{rep}, {line}, commission month 2025-01: {payout.payout:,.2f}" in result.output
    assert in_words(payout) in result.output
    assert f"add up to {payout.payout:,.2f}, the payout." in result.output
    for row in basis_of(connection, payout).rates:
        assert f"  Rate: {rates_in_words(row.tier_1_rate, row.tier_2_rate)} from {row.valid_from}" in (
            result.output
        )
    assert "reference/commission_tiers.xlsx, row " in result.output
    for behind in payout.lines:
        assert behind.source_file in result.output
        assert f"{behind.source_sheet} row {behind.source_row}: " in result.output


def test_json_holds_exact_amounts_and_cells(shs: Any, connection: psycopg.Connection) -> None:
    rep, _ = first_payout(connection)

    found = json.loads(shs("--rep", rep, "--month", "2025-01", "--json", "--cell").output)

    payouts = explain_payouts(connection, rep, JANUARY)
    assert [Decimal(row["payout"]) for row in found] == [payout.payout for payout in payouts]
    for row in found:
        assert sum(Decimal(line["paid"]) for line in row["lines"]) == Decimal(row["payout"])
        assert all(line["cells"] and not line["file_trouble"] for line in row["lines"])


@pytest.mark.parametrize(
    ("table", "column", "command"),
    [
        ("commission_payouts", "payout", ("explain", "--rep", "{rep}", "--month", "2025-01")),
        ("publications", "published_at", ("diff", "1", "1")),
        ("publications", "published_at", ("status",)),
    ],
)
def test_marts_of_an_older_version_are_said_in_a_sentence(
    built: Zone, connection: psycopg.Connection, shs: Any, table: str, column: str, command: tuple[str, ...]
) -> None:
    """Between an upgrade and the next run a column is not there yet."""
    rep, _ = first_payout(connection)
    connection.rollback()
    with psycopg.connect(built.database_url, autocommit=True) as owner:
        owner.execute(f"alter table marts.{table} rename column {column} to of_before")
        try:
            result = CliRunner().invoke(build_app(), [part.format(rep=rep) for part in command])
        finally:
            owner.execute(f"alter table marts.{table} rename column of_before to {column}")

    assert result.exception is not None, result.output
    problem = problem_of(result.exception)
    assert problem is not None
    assert problem.problem.startswith("The marts were published by an older version of shs (column ")
    assert "Run shs run" in problem.remedy


def test_what_is_no_month_is_a_sentence(shs: Any) -> None:
    result = shs("--rep", "Dana Whitfield", "--month", "March")

    assert isinstance(result.exception, ShsError)
    assert "--month 'March' is not a month." in str(result.exception)


def test_looking_into_a_system_that_never_ran_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shs_pipeline.settings.settings.dotenv", dict)
    monkeypatch.delenv("SHS_DATABASE_URL", raising=False)
    monkeypatch.setenv("SHS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SHS_LANDING", str(tmp_path / "landing"))

    for arguments in (["explain", "--rep", "Ann", "--month", "2025-01"], ["diff", "2025-01-01"]):
        result = CliRunner().invoke(build_app(), arguments)
        assert isinstance(result.exception, ShsError)
        assert "No payouts have been published here yet." in str(result.exception)
    assert not (tmp_path / "home" / "postgres").exists()
