"""The rules of docs/rules.md, case by case: the unit tests of the dbt models, run on a warehouse.

A unit test gives a model its rows and says which ones must come out; it is named as the rule that it
proves. `RULES` is the list of what must be proved, so that a unit test that is deleted or renamed is
missed here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from shs_pipeline.marts import dbt_build
from shs_pipeline.marts.dbt_build import NodeResult, run_dbt

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

    from tests.conftest import Zone

pytestmark = pytest.mark.slow

RULES: Mapping[str, Sequence[str]] = {
    "threshold met exactly": ["threshold_met_exactly_opens_tier_2"],
    "threshold missed by a cent": ["threshold_missed_by_a_cent_stays_in_tier_1"],
    "no threshold": ["no_threshold_never_reaches_tier_2"],
    "threshold 0": ["threshold_0_is_met_by_the_first_month", "threshold_0_is_not_met_below_0"],
    "negative first month": ["negative_first_month_is_paid_and_deferred_as_negative"],
    "crossing in December": ["crossing_in_december_releases_the_whole_year"],
    "year rollover without carry-over": ["year_rollover_carries_nothing_over"],
    "return after crossing": ["return_after_crossing_leaves_tier_2_open"],
    "return before crossing": ["return_before_crossing_puts_the_crossing_off"],
    "how far tier 2 is": [
        "progress_says_what_is_missing_and_when_it_is_reached",
        "no_threshold_means_that_nothing_waits",
        "opening_sales_bring_the_threshold_nearer_and_have_no_rate",
    ],
    "start within a year": [
        "latest_row_with_cumulative_sales_opens_the_year",
        "opening_balance_stands_for_the_months_up_to_it",
        "threshold_reached_by_the_opening_pays_tier_2_at_once",
    ],
    "gap months": ["gap_months_are_passed_over"],
    "late-paid line in a later month": [
        "late_paid_line_counts_in_the_month_in_which_it_is_paid",
        "late_paid_line_is_sold_in_its_revenue_month",
        "late_paid_line_is_sold_in_one_month_and_paid_in_another",
    ],
    "case-variant names": [
        "case_variant_names_are_one",
        "case_variant_customers_and_product_lines_are_one",
        "case_variant_territories_have_one_key",
        "case_variant_names_of_a_rate_have_one_key",
        "threshold_is_found_whatever_the_case_of_its_names",
        "objective_is_a_known_reps_whatever_the_case_of_its_names",
    ],
    "two sources feeding one product line": ["two_sources_feed_one_product_line"],
    "a year for each rep and product line": ["every_rep_and_product_line_has_its_own_year"],
    "blank tier 2 rate": ["blank_tier_2_rate_makes_no_difference"],
    "mid-year rate change": ["mid_year_rate_change_counts_from_the_next_commission_month"],
    "product-line rate beating the general one": ["product_line_rate_beats_the_general_one"],
    "half-cent ties in both directions": [
        "half_cent_ties_round_away_from_zero",
        "tier_2_difference_is_rounded_once",
    ],
    "cents once per line": [
        "amounts_are_rounded_to_the_cent_once",
        "amounts_are_rounded_to_the_cent_before_any_rate",
        "ternio_revenue_is_7_percent_and_rounded_with_the_line",
        "rounding_is_what_the_raw_rows_lack",
    ],
    "territory handed over mid-year": ["territory_handed_over_mid_year_changes_owner_with_the_month"],
    "territory handed over mid-month": [
        "territory_handed_over_mid_month_changes_owner_on_the_day",
        "logiquip_territory_goes_by_the_day",
        "ternio_territory_goes_by_the_day",
        "cygnus_territory_goes_by_the_month",
        "summit_medical_territory_goes_by_the_month",
        "sunoptic_territory_goes_by_the_month",
        "novo_territory_goes_by_the_month",
        "chemence_territory_goes_by_the_month",
    ],
    "client, then zip, then state": ["summit_client_beats_zip_beats_state"],
    "rep named in the file": ["inspektor_rep_is_the_one_in_the_file"],
    "no tier rate": [
        "no_tier_rate_keeps_the_rep_and_pays_nothing",
        "only_lines_that_are_somebodys_count_towards_a_threshold",
        "month_without_a_rate_counts_towards_the_threshold",
    ],
    "unknown rep": ["unknown_rep_is_nobodys"],
    "no territory": ["no_territory_is_nobodys", "nobodys_customer_has_no_owner"],
    "uncredited lines are listed": ["whatever_is_not_credited_is_listed_with_its_reason"],
    "rows to add": ["a_customer_without_owner_is_one_row_however_it_is_spelled"],
    "inactive rep": ["inactive_rep_keeps_the_credit"],
    "margin of QuickBooks with blanks": ["quickbooks_margin_counts_a_blank_price_or_quantity_as_0"],
    "unmapped service line": ["quickbooks_unmapped_service_line_keeps_its_own_name"],
    "attainment": [
        "attainment_is_sales_over_objective_to_six_decimals",
        "attainment_is_null_without_an_objective_or_with_one_of_0",
        "blank_month_is_no_objective_and_0_is_one",
    ],
    "margin of the company": [
        "margin_is_revenue_less_the_commission_of_the_same_lines",
        "commission_of_a_line_counts_in_its_revenue_month",
    ],
    "former names": [
        "rate_of_todays_name_goes_before_that_of_a_former_one",
        "threshold_of_todays_name_goes_before_that_of_a_former_one",
        "owner_of_a_renamed_customer_is_found_under_todays_name",
        "renamed_customer_takes_its_rows_along",
    ],
    "aliases": [
        "alias_of_a_source_goes_before_one_for_all",
        "alias_of_a_product_line_goes_by_the_commission_month",
        "alias_of_a_customer_finds_the_owner_and_shows_the_file",
    ],
    "divided lines": [
        "divided_line_adds_up_to_the_cent",
        "part_of_a_line_is_credited_to_its_payee",
        "shared_customer_has_one_name_for_all_who_share_it_on_a_day",
        "shared_customer_is_divided_among_those_who_share_it",
    ],
    "dated maps": [
        "service_line_moves_from_a_month_on",
        "quickbooks_service_line_moves_with_the_commission_month",
        "objective_counts_in_its_months",
    ],
    "leavers": [
        "leaver_is_paid_the_last_rate_for_what_came_before",
        "leaver_without_pay_is_credited_and_paid_nothing",
        "house_account_is_credited_and_paid_nothing",
    ],
    "released, balance and year to date": ["released_deferred_balance_and_payout_ytd_follow_the_year"],
    "complete months": [
        "month_is_complete_once_every_source_has_loaded_a_later_one",
        "source_that_stopped_half_a_year_ago_is_not_waited_for",
        "file_of_the_far_future_stops_no_other_source",
        "first_month_ever_loaded_makes_no_month_complete",
        "objectives_without_a_file_make_months_that_are_still_coming_in",
        "month_is_compared_only_with_one_that_was_whole_too",
    ],
    "adjustments": ["adjustment_is_the_payees_whatever_the_name"],
    "draws": [
        "draw_is_paid_at_once_and_recovered_from_later_months",
        "draw_is_not_recovered_from_what_is_taken_back",
        "nothing_is_recovered_before_the_first_close",
        "what_is_recovered_goes_to_the_oldest_draw",
    ],
    "restatements": ["a_restatement_says_the_reason_that_was_noted_of_it"],
    "line back to its cell": ["line_is_found_by_file_sheet_and_row"],
    "ids of lines": ["line_is_known_by_its_sale_and_month_and_which_of_them_it_is"],
}


@dataclass(frozen=True)
class Break:
    """A rule that is broken on purpose: in a model, one piece of text is put in the place of another."""

    rule: str
    model: str
    text: str
    instead: str


BREAKS = [
    Break(
        "draws",
        "amounts_due",
        "earned + restated + adjustments - drawn, 0)",
        "earned + restated + adjustments, 0)",
    ),
    Break("ids of lines", "sale_lines", "lines.source_row\n", "lines.source_row desc\n"),
    Break("divided lines", "divisions", "- sales_down desc, part_no", "- sales_down, part_no"),
    Break("leavers", "harmonised_sales", "lines.revenue_date < lines.left_on", "true"),
    Break("aliases", "line_aliases", "when periods.source is null", "when false"),
    Break("former names", "rates", "'is_former_name', ", ""),
    Break(
        "threshold met exactly",
        "commission_payouts",
        "cumulative_sales >= threshold",
        "cumulative_sales > threshold",
    ),
    Break(
        "half-cent ties in both directions",
        "harmonised_sales",
        "{{ tier_2_difference('lines.rev_credited', 'lines.tier_1_rate', 'lines.tier_2_rate') }}",
        "coalesce(round(lines.rev_credited * lines.tier_2_rate, 2)"
        " - round(lines.rev_credited * lines.tier_1_rate, 2), 0)",
    ),
    Break(
        "cents once per line",
        "harmonised_sales",
        "{{ tier_1_commission('lines.rev_credited', 'lines.tier_1_rate') }}",
        "round(lines.rev_exact * lines.tier_1_rate, 2)",
    ),
    Break("cents once per line", "named_lines", "round(sales_actual, 2)", "trunc(sales_actual, 2)"),
    Break(
        "complete months",
        "revenue_months",
        "select min(last_month) - interval '1 month' from waited_for",
        "select max(last_month) - interval '1 month' from waited_for",
    ),
    Break(
        "territory handed over mid-month",
        "stg_ternio",
        "lines.revenue_date as territory_date",
        "date_trunc('month', lines.revenue_date)::date as territory_date",
    ),
]


@pytest.fixture(scope="module")
def warehouse(built: Zone) -> str:
    """The URL of a warehouse that holds every relation that a model reads: dbt asks them for their columns.

    A build hands the marts' candidates over to the schema that people read; the next one makes them anew.
    """
    with psycopg.connect(built.database_url, autocommit=True) as owner:
        handed_over = owner.execute(
            "select relname from pg_class where relkind = 'r' and relnamespace = 'marts'::regnamespace"
        ).fetchall()
        for (name,) in handed_over:
            owner.execute(f"create table if not exists candidate.{name} (like marts.{name})".encode())
    return built.database_url


@pytest.fixture(scope="module", autouse=True)
def _columns_are_asked_for_once() -> Iterator[None]:
    """dbt asks for the columns of a relation for each input of each unit test; no model is built here."""
    from dbt.adapters.postgres import PostgresAdapter

    really_ask = PostgresAdapter.get_columns_in_relation
    known: dict[str, list[Any]] = {}

    def ask_once(self: PostgresAdapter, relation: Any) -> list[Any]:
        name = str(relation)
        if name not in known:
            known[name] = list(really_ask(self, relation))
        return known[name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PostgresAdapter, "get_columns_in_relation", ask_once)
        yield


@pytest.fixture(scope="module")
def outcomes(warehouse: str) -> dict[str, NodeResult]:
    """What became of each unit test, by its name."""
    return unit_tests(warehouse, "test_type:unit")


def unit_tests(warehouse: str, selected: str) -> dict[str, NodeResult]:
    found = run_dbt(["test", "--select", *selected.split()], warehouse, {})
    assert len({result.name for result in found}) == len(found), "two unit tests have one name"
    return {result.name: result for result in found}


@pytest.mark.parametrize("rule", RULES)
def test_the_models_keep_the_rule(rule: str, outcomes: Mapping[str, NodeResult]) -> None:
    assert [name for name in RULES[rule] if name not in outcomes] == [], "there is no such unit test"
    failed = [outcomes[name] for name in RULES[rule] if outcomes[name].status != "success"]
    assert not failed, "\n".join(f"{result.unique_id}: {result.message}" for result in failed)


def test_every_unit_test_stands_in_the_list_of_rules(outcomes: Mapping[str, NodeResult]) -> None:
    listed = [name for names in RULES.values() for name in names]
    assert sorted(outcomes) == sorted(listed)


def rounds() -> Sequence[Sequence[Break]]:
    """All breaks in as few runs as keep them apart: a unit test runs one model, so one break for each."""
    of_model = Counter[str]()
    found: dict[int, list[Break]] = {}
    for broken in BREAKS:
        found.setdefault(of_model[broken.model], []).append(broken)
        of_model[broken.model] += 1
    return list(found.values())


@pytest.mark.soak
@pytest.mark.parametrize("breaks", rounds(), ids=lambda breaks: f"{len(breaks)} models")
def test_a_broken_rule_fails_the_unit_test_of_its_name(
    breaks: Sequence[Break], warehouse: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    really_read = dbt_build._read_manifest

    def read(folder: Path, database: str, *, is_build: bool) -> Manifest:
        # The parsed project with other models in it: to parse all of it again takes longer than its tests.
        manifest = really_read(folder, database, is_build=is_build)
        for broken in breaks:
            model = manifest.nodes[f"model.shs.{broken.model}"]
            assert model.raw_code.count(broken.text) == 1, f"{broken.model} does not say this any more"
            model.raw_code = model.raw_code.replace(broken.text, broken.instead)
        return manifest

    monkeypatch.setattr(dbt_build, "_read_manifest", read)

    asked = (f"{broken.model},{name}" for broken in breaks for name in RULES[broken.rule])
    outcomes = unit_tests(warehouse, " ".join(asked))

    for broken in breaks:
        # Not one that could not be run: its rows came out as other ones.
        assert any(
            f".{broken.model}." in result.unique_id and "actual differs from expected" in result.message
            for result in outcomes.values()
            if result.name in RULES[broken.rule]
        ), f"{broken}: no unit test of its rule saw it"
