"""What looks odd in the reference workbooks is told with the money that moves when it is corrected."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from shs_pipeline.base.errors import ShsError
from shs_pipeline.files.contract import columns_of
from shs_pipeline.files.reading import CopyLines, SourceFile
from shs_pipeline.marts.build import build_marts
from shs_pipeline.marts.dry_build import findings_with
from shs_pipeline.notices.happenings import Mark, published
from shs_pipeline.notices.texts import Notice
from shs_pipeline.reference.registry import table_named
from shs_pipeline.samples.workbook import Percent, write_workbook
from tests.conftest import FILES, Zone
from tests.engine.model import (
    Alias,
    BusinessObjective,
    CommissionTier,
    SalesRep,
    ServiceToProduct,
    Territory,
    TierThreshold,
)
from tests.engine.warehouse_rows import WarehouseRows
from tests.engine.worlds import Change, Drop, sale

pytestmark = pytest.mark.slow

DECEMBER, JANUARY, FEBRUARY, MARCH = date(2024, 12, 1), *(date(2025, month, 1) for month in (1, 2, 3))
LONG_AGO = date(2024, 1, 1)
ANN, BO, CY, DEE, ELI = "Ann Gray", "Bo Marsh", "Cy Lindqvist", "Dee Okafor", "Eli Thornbury"
FAY, GUS, HAL, IVY, JO = "Fay Ustinova", "Gus Wexford", "Hal Yarrow", "Ivy Zamora", "Jo Pemberton"
REPS = (ANN, BO, CY, DEE, ELI, FAY, GUS, HAL, IVY, JO)
TABLES = (
    "sales_reps", "commission_tiers", "tier_thresholds", "business_objectives", "territories",
    "service_to_product",
)  # fmt: skip
Books = dict[str, tuple[Any, ...]]


def rates(
    name: str,
    tier_1: str = "0.3",
    tier_2: str | None = "0.4",
    begin: date = LONG_AGO,
    until: date | None = None,
) -> CommissionTier:
    return CommissionTier(
        name, None, begin, until, Decimal(tier_1), None if tier_2 is None else Decimal(tier_2)
    )


def good_books() -> Books:
    """Workbooks that nothing is to be said of: every rep sells Trays, Ann also to a customer of cygnus."""
    plain = [rates(name) for name in REPS if name not in (GUS, HAL, IVY)]
    sold = [(name, "Trays") for name in REPS] + [(ANN, "Cygnus")]
    return {
        "sales_reps": tuple(
            SalesRep(name, "Field", f"{name.split()[0].lower()}@example.com") for name in REPS
        ),
        "commission_tiers": (
            *plain,
            rates(GUS, until=MARCH), rates(GUS, "0.35", "0.45", MARCH),
            rates(HAL, until=FEBRUARY), rates(HAL, "0.35", "0.45", FEBRUARY),
            rates(IVY, tier_2=None),
        ),
        "tier_thresholds": tuple(
            TierThreshold(name, line, year, Decimal(150))
            for name, line in sold
            for year in (2024, 2025)
            if (name, line, year) not in ((JO, "Trays", 2024), (ANN, "Cygnus", 2024))
        ),
        "business_objectives": tuple(
            BusinessObjective(name, line, year, (Decimal(100),) * 12)
            for name, line in sold
            for year in (2024, 2025)
        ),
        "territories": (Territory("cygnus", "Name", "North Clinic", ANN, LONG_AGO, None),),
        "service_to_product": (ServiceToProduct("Trays", "Trays"),),
    }  # fmt: skip


def drops() -> list[Drop]:
    lines = {
        month: [
            sale("quickbooks", "100", "33.33", on=month, service_lines="Trays", rep=name)
            for name in REPS
            if (name, month) != (JO, DECEMBER)
        ]
        for month in (DECEMBER, JANUARY, FEBRUARY, MARCH)
    }
    return [Drop("quickbooks", month, "sales.xlsx", tuple(drafts)) for month, drafts in lines.items()] + [
        Drop("cygnus", month, "sales.xlsx", (sale("cygnus", "120", "45.67", on=month),))
        for month in (JANUARY, FEBRUARY)
    ]


def changed(rows: tuple[Any, ...], name: str, **values: Any) -> tuple[Any, ...]:
    return tuple(replace(row, **values) if row.sales_rep_name == name else row for row in rows)


def without(rows: tuple[Any, ...], *names: str) -> tuple[Any, ...]:
    return tuple(row for row in rows if row.sales_rep_name not in names)


def bad_books() -> Books:
    """The same with one mistake for each rep."""
    books = good_books()
    tiers = without(books["commission_tiers"], BO, GUS, HAL)
    tiers = changed(tiers, CY, sales_rep_name="Cy Lindkvist")
    tiers = changed(
        tiers, FAY, commission_tier_1_rate=Decimal("0.03"), commission_tier_2_rate=Decimal("0.04")
    )
    tiers = changed(tiers, IVY, commission_tier_2_rate=Decimal("0.2"))
    middle = date(2025, 2, 15)
    tiers += (
        rates(GUS, until=FEBRUARY), rates(GUS, "0.35", "0.45", MARCH),
        rates(HAL, until=middle), rates(HAL, "0.35", "0.45", middle),
    )  # fmt: skip
    thresholds = tuple(
        replace(row, product_line="Trayss")
        if (row.sales_rep_name, row.year) == (ELI, 2025)
        else replace(row, year=2024) if row.sales_rep_name == JO else row
        for row in books["tier_thresholds"]
    )  # fmt: skip
    return books | {
        "sales_reps": without(books["sales_reps"], DEE),
        "commission_tiers": tiers,
        "tier_thresholds": thresholds,
        "business_objectives": tuple(
            row for row in books["business_objectives"] if (row.sales_rep_name, row.year) != (BO, 2025)
        ),
        "territories": (Territory("cygnus", "Name", "North Clinicc", ANN, LONG_AGO, None),),
    }


class Office:
    """A warehouse whose workbooks an admin changes."""

    def __init__(self, connection: psycopg.Connection, url: str) -> None:
        self.connection, self.url, self.books = connection, url, {}
        self.warehouse = WarehouseRows(connection)
        self.warehouse.apply(tuple(drops()), "files")

    def put(self, books: Books, *, note: str = "") -> None:
        """Put the workbooks in force that differ, with a note in every row of the rates, and publish."""
        for table, rows in books.items():
            if rows != self.books.get(table) or (note and table == "commission_tiers"):
                self.warehouse.apply((Change(table, rows),), table)
        self.books = books
        if note:
            self.connection.execute(
                "update reference.commission_tiers set note = %s where file_id in"
                " (select file_id from reference.versions where in_force_until is null)",
                [note],
            )
            self.connection.commit()
        build_marts(self.url, "office")

    def rows(self, query: str) -> list[Any]:
        found = self.connection.execute(query.encode()).fetchall()
        self.connection.rollback()
        return found

    def findings(self, where: str = "true") -> list[tuple[Any, ...]]:
        return self.rows(
            "select rule, table_name, column_name, value, nearest_name, amount, problem"
            f" from marts.reference_findings where {where} order by finding_id"
        )

    def publication(self) -> int:
        ((number,),) = self.rows("select max(publication_id) from marts.publications")
        return int(number)

    def payouts(self) -> dict[str, Decimal]:
        """What each rep is paid in all, by the name of today."""
        return dict(self.rows("select rep_name, sum(payout) from marts.commission_payouts group by rep_name"))


LEFT_BEHIND = (
    "select (select count(*) from ops.files), (select count(*) from reference.versions),"
    " (select count(*) from reference.commission_tiers), (select max(change_no) from ops.files),"
    " (select max(publication_id) from marts.publications), (select count(*) from pg_class),"
    " (select sum(payout) from marts.commission_payouts)"
)


def tiers_workbook(rows: tuple[CommissionTier, ...]) -> CopyLines:
    header = [column.header for column in columns_of(table_named("commission_tiers").rows)][:6]
    cells = [
        [
            row.sales_rep_name, row.product_line, row.valid_from, row.valid_until,
            Percent(row.commission_tier_1_rate),
            None if row.commission_tier_2_rate is None else Percent(row.commission_tier_2_rate),
        ]
        for row in rows
    ]  # fmt: skip
    content = write_workbook({"Rates": [header, *cells]})
    outcome = FILES.read("commission_tiers", SourceFile("commission_tiers.xlsx", content), 1 << 20)
    assert isinstance(outcome.lines, CopyLines)
    return outcome.lines


@pytest.fixture(scope="module")
def office(module_zone: Zone) -> Iterator[Office]:
    with psycopg.connect(module_zone.database_url) as connection:
        made = Office(connection, module_zone.database_url)
        made.put(good_books())
        yield made


@pytest.fixture(scope="module")
def moved(office: Office) -> dict[str, Decimal]:
    """What the mistakes take from, or give, each rep; the office has them in force afterwards."""
    assert office.findings() == []
    good = office.payouts()
    office.put(bad_books())
    bad = office.payouts()
    return {name: good[name] - bad.get(name, Decimal(0)) for name in REPS}


@pytest.mark.parametrize(
    ("rep", "rule", "table", "column", "value", "nearest"),
    [
        (ANN, "unknown_name", "territories", "Data field value", "North Clinicc", "North Clinic"),
        (BO, "taken_away", "commission_tiers", "Sales Rep Name", BO, None),
        (CY, "unknown_name", "commission_tiers", "Sales Rep Name", "Cy Lindkvist", CY),
        (DEE, "taken_away", "sales_reps", "Sales Rep Name", DEE, None),
        (ELI, "unknown_name", "tier_thresholds", "Product Line", "Trayss", "Trays"),
        (FAY, "rate", "commission_tiers", "Commission tier 1 rate", "3 %", None),
        (GUS, "gap", "commission_tiers", "Valid until", "02/01/2025", None),
        (HAL, "mid_month", "commission_tiers", "Valid from", "02/15/2025", None),
        (IVY, "tier_2_below_tier_1", "commission_tiers", "Commission tier 2 rate", "20 %", None),
        (JO, "idle_threshold", "tier_thresholds", "Year", "2024", None),
    ],
)
def test_a_mistake_is_told_with_what_moves_when_it_is_corrected(
    office: Office, moved: dict[str, Decimal], rep: str, rule: str, table: str, column: str, value: str,
    nearest: str | None,
) -> None:  # fmt: skip
    found = [row for row in office.findings() if row[:5] == (rule, table, column, value, nearest)]

    assert [row[5] for row in found] == [abs(moved[rep])], office.findings(f"rule = '{rule}'")
    assert moved[rep] != 0


def test_nothing_else_is_told(office: Office, moved: dict[str, Decimal]) -> None:
    others = [row for row in office.findings() if row[5] == 0]

    assert len(office.findings()) - len(others) == len(moved)
    # Bo has no objective, on which no money hangs.
    assert {(row[0], row[1], row[3]) for row in others} == {("no_objective", "business_objectives", "2025")}


def test_a_note_silences_what_is_odd_about_its_row(office: Office, moved: dict[str, Decimal]) -> None:
    office.put(bad_books(), note="agreed with the board")

    silenced = office.findings("is_silenced")
    assert {row[1] for row in silenced} == {"commission_tiers"}
    assert {row[0] for row in silenced} == {"unknown_name", "rate", "gap", "mid_month", "tier_2_below_tier_1"}
    # A row that is gone has no note.
    assert [row[3] for row in office.findings("not is_silenced and table_name = 'commission_tiers'")] == [BO]


def test_what_is_put_right_is_told_no_longer(office: Office, moved: dict[str, Decimal]) -> None:
    before = office.publication()

    office.put(good_books())

    assert office.findings() == []
    assert told_to_admins(office, before) == []


def test_a_check_says_what_a_workbook_would_bring_and_what_it_brought_is_told_to_admins_without_amounts(
    office: Office, moved: dict[str, Decimal]
) -> None:
    good, bad = good_books(), bad_books()
    tiers = {"commission_tiers": bad["commission_tiers"]}
    before, number = office.rows(LEFT_BEHIND), office.publication()

    found = findings_with(
        office.url, table_named("commission_tiers"), tiers_workbook(tiers["commission_tiers"]), 20
    )

    assert office.rows(LEFT_BEHIND) == before
    assert office.findings() == []
    office.put(good | tiers | {"business_objectives": bad["business_objectives"]})
    published = office.rows(
        "select finding_id, amount, problem from marts.reference_findings"
        " where table_name = 'commission_tiers'"
        " order by amount desc, table_name, source_row, problem"
    )
    assert [(finding.finding_id, finding.amount, finding.problem) for finding in found] == published
    assert {finding.rule for finding in found} == {
        "taken_away", "unknown_name", "rate", "gap", "mid_month", "tier_2_below_tier_1"
    }  # fmt: skip

    (notice,) = told_to_admins(office, number)
    assert notice.rep_name is None
    assert "6 things look odd" in notice.body
    assert "commission_tiers: 6\n" in notice.body
    assert "business_objectives" not in notice.body
    assert not re.search(r"\d[.,]\d", notice.body)
    assert told_to_admins(office, number + 1) == []

    # A check of what puts it right finds nothing.
    workbook = tiers_workbook(good["commission_tiers"])
    assert [
        one
        for one in findings_with(office.url, table_named("commission_tiers"), workbook, 20)
        if one.table_name == "commission_tiers"
    ] == []


def told_to_admins(office: Office, since: int) -> list[Notice]:
    """The notices of findings that publications after this one bring."""
    notices, _ = published(
        office.connection, Mark(DECEMBER, 0, 0, since), "https://a.example.com", Decimal(1)
    )
    office.connection.rollback()
    return [notice for notice in notices if notice.key.startswith("findings/")]


def test_a_rename_in_two_workbooks_is_no_finding_and_an_alias_is_a_name_and_means_one(
    office: Office, moved: dict[str, Decimal]
) -> None:
    """A territory may name a team; what an alias means has to be somebody."""
    good = good_books()
    books = {table: changed(good[table], ANN, sales_rep_name="Ann Moss") for table in TABLES[:5]}
    teams = [
        tuple(Alias("rep", None, "Team North", name, Decimal("0.5")) for name in ("Ann Moss", second))
        for second in (BO, "Bo Marhs")
    ]
    books["territories"] = tuple(replace(row, sales_rep_name="Team North") for row in good["territories"])

    # Bo has neither threshold nor objective for what he has a half of now.
    others = "rule not in ('no_threshold', 'no_objective')"
    office.put(good | books | {"aliases": teams[0]})
    assert office.findings(others) == []
    right = office.payouts()

    in_one = changed(good["commission_tiers"], ANN, sales_rep_name="Ann Fox")
    office.put(good | books | {"commission_tiers": in_one, "aliases": teams[1]})
    of_alias, of_rates = sorted(office.findings(others), key=lambda row: row[1])
    assert of_rates[:2] + of_rates[3:5] == ("unknown_name", "commission_tiers", "Ann Fox", "Ann Moss")
    assert of_alias[:5] == ("unknown_name", "aliases", "Means", "Bo Marhs", BO)
    assert of_alias[5] == right[BO] - office.payouts()[BO] > 0


def test_the_samples_have_the_findings_that_they_are_made_with(built: Zone) -> None:
    found = built.query(
        "select rule, count(*), count(*) filter (where amount > 0) from marts.reference_findings group by 1"
    )

    # One rep has no rate, every sixth line no threshold, every ninth no objective.
    assert {rule for rule, *_ in found} == {"no_rate", "no_threshold", "no_objective"}
    assert built.query(
        "select count(*) from marts.reference_findings where rule = 'no_rate'"
        " and problem not like 'Theo Marsh has no rate%%'"
    ) == [(0,)]


def test_a_check_waits_for_the_first_publication(database: str) -> None:
    lines = tiers_workbook(good_books()["commission_tiers"])

    with pytest.raises(ShsError, match="shs run"):
        findings_with(database, table_named("commission_tiers"), lines, 20)
