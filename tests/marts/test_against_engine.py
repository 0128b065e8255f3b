"""The marts against the second implementation of the rules: each line and each payout, step by step.

Random histories of drops, corrections, withdrawals and changes of the reference data are put into a
warehouse. After each step the marts are built incrementally and must equal what the engine computes
from the state of that moment; in the end a full refresh must change nothing.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from psycopg import sql
from psycopg.rows import dict_row

from shs_pipeline.landing.names import SOURCE_NAMES
from tests.engine.model import CommissionTier, Reference, SalesRep, Territory, match_key
from tests.engine.payouts import Results, compute
from tests.engine.warehouse_rows import WarehouseRows, read_warehouse
from tests.engine.worlds import LONG_AGO, Batch, Change, Drop, History, Loaded, histories, openings, sale

if TYPE_CHECKING:
    from tests.conftest import Zone

# To shrink an example would take hundreds of builds; printed as it is it hides what went wrong.
# The same histories each time; SHS_TEST_HISTORIES=100 has the soak go on to others.
MANY = int(os.environ.get("SHS_TEST_HISTORIES", "12"))
over_histories = settings(
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    verbosity=Verbosity.quiet,
    suppress_health_check=list(HealthCheck),
)

KEYS = {
    "harmonised_sales": ("credit_id",),
    "repeated_lines": ("line_id",),
    "commission_payouts": ("rep_name", "product_line", "commission_month"),
    "sales_performance_monthly": ("rep_name", "product_line", "month"),
    "company_performance_monthly": ("product_line", "month"),
}

Row = Mapping[str, Any]


def build(database: str, run_id: str, *, full_refresh: bool = False) -> None:
    from shs_pipeline.marts.build import build_marts

    build_marts(database, run_id, full_refresh=full_refresh)


def expected_of(results: Results) -> dict[str, list[Row]]:
    """What each mart must hold."""
    found: dict[str, Iterable[Any]] = {
        "harmonised_sales": results.lines,
        "commission_payouts": results.payouts,
        "sales_performance_monthly": results.reps,
        "company_performance_monthly": results.company,
        "repeated_lines": results.repeats,
    }
    return {mart: [asdict(row) for row in rows] for mart, rows in found.items()}


def read_mart(connection: psycopg.Connection, mart: str, columns: Sequence[str]) -> Sequence[Row]:
    query = sql.SQL("select {} from {}").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier("marts", mart)
    )
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query).fetchall()


def comparable(row: Row) -> dict[str, Any]:
    """Bring a row to the form in which it is compared: what the rules leave open is made equal."""
    changed = dict(row)
    for name in ("customer", "rep_in_file", "rep_named", "rep_meant"):
        # Files, not the reference data, name these.
        if row.get(name) is not None:
            changed[name] = match_key(row[name])
    if row.get("attainment") is not None:
        changed["attainment"] = row["attainment"].quantize(Decimal("0.000001"), rounding=ROUND_HALF_UP)
    if row.get("credit_status", "credited") != "credited":
        # A line that pays nothing may say so with a blank.
        for name in ("commission_tier_1", "commission_tier_2_diff"):
            changed[name] = row[name] or Decimal(0)
    return changed


def differences(mart: str, expected: Sequence[Row], found: Sequence[Row]) -> list[str]:
    """Say in words where a mart is not what it must be."""
    keys = KEYS[mart]
    by_key = [{tuple(row[key] for key in keys): row for row in rows} for rows in (expected, found)]
    wanted, there = by_key
    said = [f"{mart}: {len(found) - len(there)} rows stand twice"] if len(there) < len(found) else []
    said += [f"{mart}: no row {key}" for key in wanted.keys() - there.keys()]
    said += [f"{mart}: nobody expects {key}: {there[key]}" for key in there.keys() - wanted.keys()]
    for key in wanted.keys() & there.keys():
        one, other = comparable(wanted[key]), comparable(there[key])
        said += [
            f"{mart} {key}: {name} is {other[name]!r} and must be {one[name]!r}"
            for name in one
            if one[name] != other[name]
        ]
    return said


def check_marts(connection: psycopg.Connection, results: Results, reference: Reference, when: str) -> None:
    """Hold every mart whose rows the engine knows against the engine."""
    said: list[str] = []
    columns = {mart: _columns(mart) for mart in KEYS}
    for mart, expected in expected_of(results).items():
        said += differences(mart, expected, read_mart(connection, mart, columns[mart]))
    uncredited = Counter(line.credit_id for line in results.lines if line.credit_status != "credited")
    listed = Counter(row["credit_id"] for row in read_mart(connection, "uncredited_sales", ["credit_id"]))
    if listed != uncredited:
        said.append(f"uncredited_sales: {listed - uncredited} too many, {uncredited - listed} too few")
    by_source = Counter(line.source for line in results.lines)
    for source in SOURCE_NAMES:
        history = sql.Identifier("marts", f"sales_history_{source}")
        ((count,),) = connection.execute(sql.SQL("select count(*) from {}").format(history)).fetchall()
        if count != by_source[source]:
            said.append(f"sales_history_{source}: {count} lines, and must be {by_source[source]}")
    said += _rounding_differences(connection, results)
    said += _commission_differences(connection)
    said += _explanation_differences(connection)
    people = {row["rep_name"] for row in read_mart(connection, "people", ["rep_name"])}
    if people != {rep.sales_rep_name for rep in reference.sales_reps}:
        said.append(f"people: {people}")
    connection.rollback()
    assert not said, "\n".join([f"After {when}:", *said[:20], f"… {len(said)} differences in all"])


def _commission_differences(connection: psycopg.Connection) -> list[str]:
    """Say where the commission of a month's lines is not what the explanations of all payouts pay on them."""
    return [
        f"commission of {product_line} in {month}: {shown}, and the explanations pay {paid}"
        for product_line, month, shown, paid in connection.execute("""
            select product_line, month, company.commission, explained.paid
            from marts.company_performance_monthly as company
            full join (
                select product_line, revenue_month as month, sum(amount_paid) as paid
                from (select * from marts.payout_explanations where credit_id is not null) as of_lines
                cross join lateral (select date_trunc('month', revenue_date)::date as revenue_month) as months
                group by product_line, revenue_month
            ) as explained using (product_line, month)
            where coalesce(company.commission, 0) <> coalesce(explained.paid, 0)
        """)
    ]


def _explanation_differences(connection: psycopg.Connection) -> list[str]:
    """Say where the parts of a payout do not add up to it, or where one does not say where it stands."""
    return [
        f"{rep} {product_line} in {month}: {payout} is paid, the parts pay {paid}, {nowhere} without a place"
        for rep, product_line, month, payout, paid, nowhere in connection.execute("""
            select rep_name, product_line, commission_month, payout, paid, nowhere
            from marts.commission_payouts as payouts
            left join (
                select payee_id, product_line_id, commission_month, sum(amount_paid) as paid,
                    count(*) filter (where num_nulls(source_file, source_sheet, source_row, explanation) > 0)
                        as nowhere
                from marts.payout_explanations
                group by payee_id, product_line_id, commission_month
            ) as parts using (payee_id, product_line_id, commission_month)
            where payout is distinct from paid or nowhere > 0
        """)
    ]


def _rounding_differences(connection: psycopg.Connection, results: Results) -> list[str]:
    """Say where the uploads do not show what rounding moved, by source and month and by file."""
    keys = {
        "upload_detail": (lambda line: (line.source, line.commission_month), "source, month"),
        "upload_files": (lambda line: line.source_file, "path"),
    }
    said = []
    for mart, (key_of, key) in keys.items():
        moved: dict[Any, list[Decimal]] = {}
        for line in results.lines:
            own = moved.setdefault(key_of(line), [Decimal(0), Decimal(0)])
            for place, amount, before in (
                (0, line.sales_actual, line.sales_before_rounding),
                (1, line.rev_actual, line.rev_before_rounding),
            ):
                own[place] += 0 if before is None else amount - before
        for *names, sales, rev, both in connection.execute(
            f"select {key}, sales_rounding, rev_rounding, rounding from marts.{mart}".encode()
        ):
            found = names[0] if len(names) == 1 else tuple(names)
            wanted = moved.pop(found, [Decimal(0), Decimal(0)])
            if [sales, rev, both] != [*wanted, sum(wanted)]:
                said.append(f"{mart} {found}: rounding is {sales}, {rev}, {both} and must be {wanted}")
        said += [f"{mart}: no row {missing}" for missing in moved]
    return said


def _columns(mart: str) -> list[str]:
    from tests.engine.model import CompanyMonth, Payout, RepMonth, SaleLine
    from tests.engine.sales import Repeat

    row_types: dict[str, Any] = {
        "harmonised_sales": SaleLine,
        "commission_payouts": Payout,
        "sales_performance_monthly": RepMonth,
        "company_performance_monthly": CompanyMonth,
        "repeated_lines": Repeat,
    }
    return list(row_types[mart].__dataclass_fields__)


def snapshot(connection: psycopg.Connection) -> dict[str, list[str]]:
    """Every row of every relation of the marts as text, but the books of the publications."""
    names = connection.execute(
        "select relname from pg_class where relnamespace = 'marts'::regnamespace"
        " and relkind in ('r', 'p', 'v', 'm') and relname not in ('publications', 'payout_changes')"
        " order by relname"
    ).fetchall()
    found = {}
    for (name,) in names:
        query = sql.SQL("select r::text from {} as r").format(sql.Identifier("marts", name))
        found[name] = sorted(row for (row,) in connection.execute(query))
    connection.rollback()
    return found


def check_full_refresh_changes_nothing(connection: psycopg.Connection, database: str, run_id: str) -> None:
    before = snapshot(connection)
    build(database, run_id, full_refresh=True)
    after = snapshot(connection)
    assert after.keys() == before.keys()
    said = []
    for name, rows in after.items():
        gone, come = Counter(before[name]) - Counter(rows), Counter(rows) - Counter(before[name])
        said += [f"{name} had {row}" for row in gone] + [f"{name} has {row}" for row in come]
    assert not said, "\n".join(
        ["A full refresh changed the marts:", *said[:20], f"… {len(said)} rows in all"]
    )


def in_words(batch: Batch) -> str:
    """What was done, without the rows of whole tables."""
    return "; ".join(
        f"Change {action.table} ({len(action.rows)} rows)"
        if isinstance(action, Change)
        else f"{type(action).__name__} {action.path}"
        for action in batch
    )


def test_the_comparison_finds_a_cent_a_missing_row_and_one_too_many() -> None:
    line = sale("cygnus", "100", "10", on=date(2025, 1, 1))
    loaded = Loaded(1, Drop("cygnus", date(2025, 1, 1), "sales.xlsx", (line,)))
    reference = Reference(
        sales_reps=(SalesRep("Ann Gray"),),
        commission_tiers=(CommissionTier("Ann Gray", None, LONG_AGO, None, Decimal("0.3"), None),),
        territories=(Territory("cygnus", "Name", "North Clinic", "Ann Gray", LONG_AGO, None),),
    )
    (row,) = expected_of(compute(loaded.lines(), reference))["commission_payouts"]
    as_read = {**row, "payout": Decimal("3.000")}
    assert differences("commission_payouts", [row], [as_read]) == []
    (said,) = differences("commission_payouts", [row], [{**row, "payout": Decimal("3.01")}])
    assert "payout is Decimal('3.01') and must be Decimal('3.00')" in said
    assert len(differences("commission_payouts", [row], [])) == 1
    assert len(differences("commission_payouts", [], [row])) == 1
    assert len(differences("commission_payouts", [row], [row, row])) == 1


def test_what_is_put_into_the_warehouse_is_what_the_engine_works_on(database: str) -> None:
    with psycopg.connect(database) as connection:
        warehouse = WarehouseRows(connection)

        @settings(over_histories, max_examples=5)
        @given(histories())
        def check(history: History) -> None:
            warehouse.empty()
            for step, batch in enumerate(history):
                warehouse.apply(batch, f"run {step}")
                lines, reference = read_warehouse(connection)
                state = warehouse.state
                assert reference == state.reference
                assert compute(sorted(lines, key=_place), reference) == compute(
                    sorted(state.raw_lines(), key=_place), reference
                )
                in_force = connection.execute("select count(*) from ops.files where status = 'loaded'")
                tables = connection.execute(
                    "select count(*) from reference.versions where in_force_until is null"
                )
                ((files,),), ((versions,),) = in_force.fetchall(), tables.fetchall()
                assert files == len(state.files) + versions

        check()


def _place(line: Any) -> tuple[int, int]:
    return line.file_id, line.source_row


@pytest.mark.slow
@pytest.mark.usefixtures("mass_changes_are_accepted")
@pytest.mark.parametrize("count", [1, pytest.param(MANY, marks=pytest.mark.soak)], ids=["few", "many"])
def test_the_marts_equal_the_engine_after_each_step_and_a_full_refresh_changes_nothing(
    database: str, count: int
) -> None:
    seen: Counter[str] = Counter()
    with psycopg.connect(database) as connection:
        warehouse = WarehouseRows(connection)
        examples = iter(range(1000))

        # The first history is the simplest there is, and has nothing to offer.
        # A seed of its own: that of `derandomize` is made from this text, and every edit would bring others.
        # This one's next history has all that is wanted below in three steps.
        @seed(1975)
        @settings(over_histories, max_examples=count + 1, derandomize=False)
        @given(histories())
        def check(history: History) -> None:
            example = next(examples)
            if example == 0:
                return
            warehouse.empty()
            dice = random.Random(f"openings {example}")
            for step, batch in enumerate(history):
                run_id = f"history {example} step {step}"
                if dice.random() < 0.7:
                    batch = (*batch, openings(dice))
                warehouse.apply(batch, run_id)
                # What the history before this one left is cleared by a full refresh.
                build(database, run_id, full_refresh=step == 0 and example > 1)
                results = compute(warehouse.state.raw_lines(), warehouse.state.reference)
                check_marts(connection, results, warehouse.state.reference, f"{run_id}: {in_words(batch)}")
                seen.update(kinds_of(batch, results))
            check_full_refresh_changes_nothing(connection, database, f"history {example} in full")

        check()
    # The histories are the same each time: they must go on to hold what is worth comparing.
    wanted = {"Drop", "Withdraw", "Change", "credited", "no_territory", "unknown_rep", "no_tier_rate"}
    wanted |= {"tier 1", "tier 2", "released", "rounded", "repeated", "counted on", "opening released"}
    assert wanted <= seen.keys(), seen


def kinds_of(batch: Batch, results: Results) -> list[str]:
    """What a step has to offer."""
    return [
        *(type(action).__name__ for action in batch),
        *(line.credit_status for line in results.lines),
        *(f"tier {row.tier}" for row in results.payouts),
        *("released" for row in results.payouts if row.released),
        *("counted on" for row in results.payouts if row.opening_month),
        *("opening released" for row in results.payouts if row.released and row.opening_held_back),
        *("repeated" for _ in results.repeats),
        *("rounded" for line in results.lines if line.rev_before_rounding is not None),
    ]


def test_the_marts_of_the_made_up_company_equal_the_engine(built: Zone) -> None:
    """As every source is really read; that what is added comes out the same is a matter of the histories."""
    with psycopg.connect(built.database_url) as connection:
        lines, reference = read_warehouse(connection)
        assert {line.source for line in lines} == set(SOURCE_NAMES)
        check_marts(connection, compute(lines, reference), reference, "the first build")
