"""The second implementation of the rules, held against numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.crediting import credit, uncredited
from tests.engine.model import (
    BusinessObjective,
    CommissionTier,
    Payout,
    RawLine,
    Reference,
    SaleLine,
    SalesRep,
    ServiceToProduct,
    Territory,
    TierThreshold,
    cents,
)
from tests.engine.payouts import Results, compute
from tests.engine.sales import line_ids
from tests.engine.source_rules import rules_of
from tests.engine.worlds import LONG_AGO, Drop, Loaded, State, sale, worlds

D = Decimal
ANN, BO = "Ann Gray", "Bo Lindt"
JANUARY, FEBRUARY, MARCH = date(2025, 1, 1), date(2025, 2, 1), date(2025, 3, 1)
JULY, NOVEMBER, DECEMBER = date(2025, 7, 1), date(2025, 11, 1), date(2025, 12, 1)
NEXT_JANUARY = date(2026, 1, 1)

_file_ids = count(1)


def territory(
    source: str,
    field: str,
    value: str,
    rep: str = ANN,
    since: date = LONG_AGO,
    until: date | None = None,
) -> Territory:
    return Territory(source, field, value, rep, since, until)


def tier(
    first: str,
    second: str | None,
    *,
    rep: str = ANN,
    product_line: str | None = None,
    since: date = LONG_AGO,
    until: date | None = None,
) -> CommissionTier:
    return CommissionTier(rep, product_line, since, until, D(first), None if second is None else D(second))


def threshold(amount: str, year: int = 2025, product_line: str = "Cygnus", rep: str = ANN) -> TierThreshold:
    return TierThreshold(rep, product_line, year, D(amount))


OWNED_BY_ANN = (
    territory("cygnus", "Name", "North Clinic"),
    territory("logiquip", "SteppingStone", "75201; North Clinic"),
    territory("summit_medical", "Client Name", "North Clinic"),
    territory("sunoptic", "Customer ID", "10482"),
    territory("ternio", "Client Name", "North Clinic"),
    territory("novo", "Customer Number", "10482"),
    territory("chemence", "Account Number", "10482"),
)
REFERENCE = Reference(
    sales_reps=(SalesRep(ANN), SalesRep(BO), SalesRep("Cy Marsh", active=False)),
    commission_tiers=(tier("0.3", "0.4"), tier("0.2", "0.3", rep=BO)),
    territories=OWNED_BY_ANN,
    service_to_product=(ServiceToProduct("Consulting", "Capital Equipment"),),
)


def file(source: str, month: date, *drafts: Any) -> list[RawLine]:
    return list(Loaded(next(_file_ids), Drop(source, month, "sales.xlsx", drafts)).lines())


def credited(source: str, draft: Any, reference: Reference = REFERENCE, month: date = JANUARY) -> SaleLine:
    return credit(file(source, month, draft), reference)[0]


def year(
    *months: tuple[date, str, str], limit: str | None = "1000", tiers: tuple[CommissionTier, ...] = ()
) -> list[Payout]:
    """Ann's payouts for one Cygnus line a month: (month, sales, what the company earns)."""
    limits = () if limit is None else (threshold(limit),)
    reference = replace(
        REFERENCE, tier_thresholds=limits, commission_tiers=tiers or REFERENCE.commission_tiers
    )
    lines: list[RawLine] = []
    for month, sales, rev in months:
        lines += file("cygnus", month, sale("cygnus", sales, rev, on=month))
    return compute(lines, reference).payouts


def paid(payouts: list[Payout]) -> list[str]:
    return [str(row.payout) for row in payouts]


class TestProductLineAndMeasures:
    @pytest.mark.parametrize(
        ("source", "product_line"),
        [
            ("cygnus", "Cygnus"),
            ("logiquip", "Logiquip"),
            ("summit_medical", "Summit Medical"),
            ("quickbooks", "Capital Equipment"),
            ("inspektor", "InspeKtor"),
            ("sunoptic", "Sunoptic"),
            ("novo", "Surgical Instruments"),
            ("chemence", "Chemence"),
        ],
    )
    def test_each_source_has_its_columns_and_its_product_line(self, source: str, product_line: str) -> None:
        line = credited(source, sale(source, "500.25", "50.05", on=JANUARY))
        assert (line.product_line, line.credit_status, line.rep_name) == (product_line, "credited", ANN)
        assert (line.sales_actual, line.rev_actual) == (D("500.25"), D("50.05"))
        assert (line.commission_tier_1, line.commission_tier_2_diff) == (D("15.02"), D("5.01"))

    def test_ternio_earns_seven_percent_of_what_was_paid_rounded_before_the_rate(self) -> None:
        line = credited("ternio", sale("ternio", "1.20", on=JANUARY))
        assert (line.product_line, line.rev_actual) == ("Miscellaneous", D("0.08"))
        # 30 % of the exact 0.084 would be 0.03.
        assert (line.rev_before_rounding, line.commission_tier_1) == (D("0.084"), D("0.02"))

        other = credited("ternio", sale("ternio", "59.00", on=JANUARY))
        assert (other.rev_actual, other.rev_before_rounding) == (D("4.13"), None)

    def test_the_margin_of_quickbooks_is_rounded_and_not_its_cost(self) -> None:
        more = {"purchase_price": D("0.335"), "quantity": D("3")}
        line = credited("quickbooks", sale("quickbooks", "10.004", on=JANUARY, **more))
        # 10.004 - 1.005 is 8.999; rounded one by one it would be 10.00 - 1.01.
        assert (line.sales_actual, line.rev_actual) == (D("10.00"), D("9.00"))
        assert (line.sales_before_rounding, line.rev_before_rounding) == (D("10.004"), D("8.999"))

    @pytest.mark.parametrize(
        ("price", "quantity", "margin"),
        [("12.50", "3", "62.50"), (None, "3", "100"), ("12.50", "-0.5", "106.25")],
    )
    def test_quickbooks_earns_the_margin_and_a_blank_price_costs_nothing(
        self, price: str | None, quantity: str, margin: str
    ) -> None:
        cost = None if price is None else D(price)
        line = credited(
            "quickbooks", sale("quickbooks", "100", on=JANUARY, purchase_price=cost, quantity=D(quantity))
        )
        assert (line.sales_actual, line.rev_actual) == (D(100), D(margin))

    def test_a_service_line_that_left_the_map_stands_for_itself(self) -> None:
        line = credited("quickbooks", sale("quickbooks", "1", on=JANUARY, service_lines="Gone"))
        assert line.product_line == "Gone"


class TestCredit:
    def test_names_are_compared_without_case_and_spaces_and_shown_as_in_the_reference_data(self) -> None:
        reference = replace(
            REFERENCE,
            sales_reps=(SalesRep("Ann Gray"),),
            commission_tiers=(tier("0.3", None, rep="ANN  GRAY ", product_line="cygnus"),),
            territories=(territory("cygnus", "name", "NORTH  CLINIC", "ann gray"),),
            tier_thresholds=(threshold("0", product_line="CYGNUS", rep="ann GRAY"),),
        )
        result = compute(
            file("cygnus", JANUARY, sale("cygnus", "1", "1", on=JANUARY, customer="north clinic")), reference
        )
        assert [(line.rep_name, line.credit_status) for line in result.lines] == [(ANN, "credited")]
        # The source says how its product line is spelt, whatever the workbooks type.
        assert [(row.product_line, row.threshold) for row in result.payouts] == [("Cygnus", D(0))]

    def test_two_spellings_of_a_rep_are_one_rep(self) -> None:
        lines = file(
            "inspektor",
            JANUARY,
            sale("inspektor", "100", "10", on=JANUARY, rep="ANN GRAY"),
            sale("inspektor", "200", "20", on=JANUARY, rep="ann gray", number=2),
        )
        payouts = compute(lines, REFERENCE).payouts
        assert [(row.rep_name, row.sales_actual, row.payout) for row in payouts] == [(ANN, D(300), D("9.00"))]

    @pytest.mark.parametrize(
        ("source", "draft", "status", "rep"),
        [
            ("cygnus", sale("cygnus", "1", on=JANUARY, customer="Lost Clinic"), "no_territory", None),
            ("inspektor", sale("inspektor", "1", on=JANUARY, rep="Dee Stranger"), "unknown_rep", None),
            ("quickbooks", sale("quickbooks", "1", on=JANUARY, rep=None), "unknown_rep", None),
            ("inspektor", sale("inspektor", "1", on=JANUARY, rep="Cy Marsh"), "no_tier_rate", "Cy Marsh"),
        ],
    )
    def test_an_uncredited_line_has_a_reason_and_pays_nothing(
        self, source: str, draft: Any, status: str, rep: str | None
    ) -> None:
        line = credited(source, draft)
        assert (line.credit_status, line.rep_name) == (status, rep)
        assert (line.tier_1_rate, line.commission_tier_1, line.commission_tier_2_diff) == (None, D(0), D(0))
        assert uncredited([line]) == [line]

    def test_a_territory_of_somebody_unknown_credits_nobody(self) -> None:
        owner = territory("cygnus", "Name", "North Clinic", "Dee Stranger")
        reference = replace(REFERENCE, territories=(owner,))
        assert credited("cygnus", sale("cygnus", "1", on=JANUARY), reference).credit_status == "unknown_rep"

    def test_a_line_without_rate_counts_towards_the_threshold_and_pays_nothing(self) -> None:
        rates = (tier("0.3", "0.4", since=FEBRUARY),)
        january, february = year((JANUARY, "600", "60"), (FEBRUARY, "400", "40"), tiers=rates)
        assert (january.payout, january.sales_actual, january.tier) == (D("0.00"), D(600), 1)
        assert (february.payout, february.tier) == (D("16.00"), 2)

    def test_somebody_who_left_keeps_the_credit(self) -> None:
        reference = replace(REFERENCE, commission_tiers=(tier("0.3", None, rep="Cy Marsh"),))
        line = credited("inspektor", sale("inspektor", "1", on=JANUARY, rep="Cy Marsh"), reference)
        assert line.credit_status == "credited"


class TestTerritories:
    HANDOVER = date(2025, 6, 11)

    def handed_over(self, source: str, field: str, value: str, on: date) -> Reference:
        return replace(
            REFERENCE,
            territories=(
                territory(source, field, value, ANN, until=on),
                territory(source, field, value, BO, since=on),
            ),
        )

    @pytest.mark.parametrize(
        ("revenue_date", "rep"), [(date(2025, 6, 30), ANN), (date(2025, 7, 1), BO), (date(2025, 7, 31), BO)]
    )
    def test_a_territory_handed_over_in_the_middle_of_the_year(self, revenue_date: date, rep: str) -> None:
        reference = self.handed_over("cygnus", "Name", "North Clinic", date(2025, 7, 1))
        # The commission month does not matter.
        line = credited("cygnus", sale("cygnus", "1", on=revenue_date), reference, month=DECEMBER)
        assert line.rep_name == rep

    @pytest.mark.parametrize(
        ("source", "field", "value"),
        [("logiquip", "SteppingStone", "75201; North Clinic"), ("ternio", "Client Name", "North Clinic")],
    )
    def test_a_handover_in_a_month_counts_by_the_day_for_logiquip_and_ternio(
        self, source: str, field: str, value: str
    ) -> None:
        reference = self.handed_over(source, field, value, self.HANDOVER)
        reps = [
            credited(source, sale(source, "1", on=day), reference).rep_name
            for day in (date(2025, 6, 1), date(2025, 6, 10), date(2025, 6, 11), date(2025, 7, 1))
        ]
        assert reps == [ANN, ANN, BO, BO]

    @pytest.mark.parametrize(
        ("source", "field", "value"),
        [
            ("cygnus", "Name", "North Clinic"),
            ("sunoptic", "Customer ID", "10482"),
            ("novo", "Customer Number", "10482"),
            ("chemence", "Account Number", "10482"),
            ("summit_medical", "Client Name", "North Clinic"),
        ],
    )
    def test_a_handover_in_a_month_counts_from_the_next_month_for_the_others(
        self, source: str, field: str, value: str
    ) -> None:
        reference = self.handed_over(source, field, value, self.HANDOVER)
        reps = [
            credited(source, sale(source, "1", on=day), reference).rep_name
            for day in (date(2025, 6, 10), date(2025, 6, 11), date(2025, 6, 30), date(2025, 7, 1))
        ]
        assert reps == [ANN, ANN, ANN, BO]

    def test_valid_from_is_inclusive_and_valid_until_exclusive(self) -> None:
        reference = replace(
            REFERENCE,
            territories=(territory("ternio", "Client Name", "North Clinic", since=JANUARY, until=FEBRUARY),),
        )
        days = (date(2024, 12, 31), date(2025, 1, 1), date(2025, 1, 31), date(2025, 2, 1))
        found = [credited("ternio", sale("ternio", "1", on=day), reference).credit_status for day in days]
        assert found == ["no_territory", "credited", "credited", "no_territory"]

    def test_summit_medical_is_looked_up_by_client_then_zip_then_state(self) -> None:
        reference = replace(
            REFERENCE,
            sales_reps=(SalesRep(ANN), SalesRep(BO), SalesRep("Cy Marsh")),
            territories=(
                territory("summit_medical", "Client Name", "North Clinic", ANN, until=FEBRUARY),
                territory("summit_medical", "ZIP Code", "75201", BO),
                territory("summit_medical", "State", "TX", "Cy Marsh"),
            ),
        )

        def rep(customer: str, zip_code: str | None, on: date = JANUARY) -> str | None:
            draft = sale("summit_medical", "1", on=on, customer=customer, zip_code=zip_code, state="TX")
            return credited("summit_medical", draft, reference).rep_name

        assert rep("North Clinic", "75201") == ANN
        assert rep("North Clinic", "75201", on=FEBRUARY) == BO
        assert rep("Elm Hospital", "75201") == BO
        assert rep("Elm Hospital", "02114") == "Cy Marsh"
        assert rep("Elm Hospital", None) == "Cy Marsh"

    def test_logiquip_joins_five_digits_and_the_customer(self) -> None:
        with_four_more = sale("logiquip", "1", on=JANUARY, ship_to_zip="75201-1234")
        elsewhere = sale("logiquip", "1", on=JANUARY, ship_to_zip="75202")
        assert credited("logiquip", with_four_more).rep_name == ANN
        assert credited("logiquip", elsewhere).credit_status == "no_territory"


class TestRates:
    def test_a_rate_for_the_product_line_beats_the_general_one(self) -> None:
        reference = replace(
            REFERENCE,
            commission_tiers=(tier("0.3", "0.4"), tier("0.1", "0.15", product_line="Cygnus")),
        )
        by_source = [
            credited(source, sale(source, "1", "100", on=JANUARY), reference).commission_tier_1
            for source in ("cygnus", "novo")
        ]
        assert by_source == [D(10), D(30)]

    def test_the_general_rate_counts_while_the_one_of_the_product_line_is_not_in_force(self) -> None:
        own = tier("0.1", None, product_line="Cygnus", since=FEBRUARY)
        reference = replace(REFERENCE, commission_tiers=(tier("0.3", "0.4"), own))
        paid_in = [
            credited("cygnus", sale("cygnus", "1", "100", on=JANUARY), reference, month).commission_tier_1
            for month in (JANUARY, FEBRUARY)
        ]
        assert paid_in == [D(30), D(10)]

    def test_a_blank_tier_2_rate_makes_no_difference(self) -> None:
        (only,) = year((JANUARY, "1000", "100"), limit="1000", tiers=(tier("0.3", None),))
        assert (only.tier, only.commission_tier_2_diff, only.payout) == (2, D(0), D("30.00"))

    def test_a_rate_changes_with_the_commission_month_not_with_the_sale(self) -> None:
        rates = (tier("0.3", "0.4", until=JULY), tier("0.35", "0.45", since=JULY))
        reference = replace(REFERENCE, commission_tiers=rates)
        draft = sale("cygnus", "1", "100", on=date(2025, 6, 30))
        by_month = [
            credited("cygnus", draft, reference, month).commission_tier_1
            for month in (date(2025, 6, 1), JULY)
        ]
        assert by_month == [D(30), D(35)]

    def test_a_rate_that_begins_in_a_month_counts_from_the_next_month(self) -> None:
        reference = replace(REFERENCE, commission_tiers=(tier("0.3", "0.4", since=date(2025, 1, 2)),))
        found = [
            credited("cygnus", sale("cygnus", "1", on=JANUARY), reference, month).credit_status
            for month in (JANUARY, FEBRUARY)
        ]
        assert found == ["no_tier_rate", "credited"]


class TestRounding:
    @pytest.mark.parametrize(
        ("rev", "tier_1", "difference"),
        [
            ("0.10", "0.03", "0.03"),  # 0.025 and 0.025: away from zero, both
            ("-0.10", "-0.03", "-0.03"),
            ("0.30", "0.08", "0.08"),  # 0.075, where halves to even would give 0.08 too
            ("0.50", "0.13", "0.13"),  # 0.125, where halves to even would give 0.12
            ("-0.50", "-0.13", "-0.13"),
            ("0.0996", "0.03", "0.03"),  # 0.10 is seen, and 25 % of it is a tie
            ("0.0949", "0.02", "0.02"),  # 0.09 is seen
        ],
    )
    def test_half_cents_go_away_from_zero_in_both_directions(
        self, rev: str, tier_1: str, difference: str
    ) -> None:
        reference = replace(REFERENCE, commission_tiers=(tier("0.25", "0.5"),))
        line = credited("cygnus", sale("cygnus", "1", rev, on=JANUARY), reference)
        assert (line.commission_tier_1, line.commission_tier_2_diff) == (D(tier_1), D(difference))

    def test_the_difference_is_rounded_once_and_not_that_of_two_rounded_commissions(self) -> None:
        reference = replace(REFERENCE, commission_tiers=(tier("0.25", "0.35"),))
        line = credited("cygnus", sale("cygnus", "1", "0.18", on=JANUARY), reference)
        # 0.063 - 0.045 is 0.018, so 0.02; rounded first it would be 0.06 - 0.05.
        assert (line.commission_tier_1, line.commission_tier_2_diff) == (D("0.05"), D("0.02"))

    def test_each_line_is_rounded_and_not_their_sum(self) -> None:
        reference = replace(REFERENCE, commission_tiers=(tier("0.25", None),))
        drafts = [sale("cygnus", "1", "0.10", on=JANUARY, number=number) for number in (1, 2)]
        assert paid(compute(file("cygnus", JANUARY, *drafts), reference).payouts) == ["0.06"]


class TestThreshold:
    def test_met_exactly_pays_tier_2_and_what_was_deferred(self) -> None:
        january, february, march = year((JANUARY, "600", "60"), (FEBRUARY, "400", "40"), (MARCH, "10", "1"))
        assert (january.tier, january.tier_2_month, january.threshold) == (1, None, D(1000))
        assert (january.commission_tier_1, january.commission_tier_2_diff) == (D("18.00"), D("6.00"))
        assert (january.deferred, january.released, january.deferred_balance) == (D(6), D(0), D(6))
        assert (january.payout, january.payout_ytd) == (D("18.00"), D("18.00"))
        assert (february.tier, february.tier_2_month, february.cumulative_sales) == (2, FEBRUARY, D(1000))
        assert (february.deferred, february.released, february.deferred_balance) == (D(0), D(6), D(0))
        # 12 + 4 + the 6 of January.
        assert (february.payout, february.payout_ytd) == (D("22.00"), D("40.00"))
        assert (march.tier, march.tier_2_month) == (2, FEBRUARY)
        assert (march.released, march.payout) == (D(0), D("0.40"))

    def test_missed_by_a_cent_defers_on(self) -> None:
        payouts = year((JANUARY, "600", "60"), (FEBRUARY, "399.99", "40"))
        assert paid(payouts) == ["18.00", "12.00"]
        assert [row.deferred_balance for row in payouts] == [D(6), D(10)]

    def test_sales_count_in_whole_cents_as_they_are_seen(self) -> None:
        assert year((JANUARY, "999.995", "1"))[0].tier == 2
        assert year((JANUARY, "999.9949", "1"))[0].tier == 1

    def test_without_a_threshold_tier_2_is_never_reached(self) -> None:
        payouts = year((JANUARY, "1000000", "100"), limit=None)
        assert [(row.threshold, row.tier, row.payout) for row in payouts] == [(None, 1, D("30.00"))]

    def test_a_threshold_of_zero_pays_tier_2_from_the_first_month(self) -> None:
        assert paid(year((JANUARY, "100", "100"), (MARCH, "1", "10"), limit="0")) == ["40.00", "4.00"]

    def test_a_threshold_of_zero_waits_while_the_year_is_below_zero(self) -> None:
        payouts = year((JANUARY, "-100", "-10"), (FEBRUARY, "99.99", "10"), (MARCH, "0.01", "0"), limit="0")
        assert [row.tier for row in payouts] == [1, 1, 2]
        assert paid(payouts) == ["-3.00", "3.00", "0.00"]

    def test_a_negative_first_month_defers_a_negative_difference(self) -> None:
        january, february = year((JANUARY, "-200", "-20"), (FEBRUARY, "1200", "120"))
        assert (january.payout, january.deferred, january.deferred_balance) == (D("-6.00"), D("-2.00"), D(-2))
        # 36 + 12 - 2.
        assert (february.tier, february.released, february.payout) == (2, D("-2.00"), D("46.00"))

    def test_crossing_in_december_releases_the_whole_year(self) -> None:
        payouts = year((JANUARY, "300", "30"), (JULY, "300", "30"), (DECEMBER, "400", "40"))
        assert paid(payouts) == ["9.00", "9.00", "22.00"]
        assert (payouts[-1].released, payouts[-1].deferred_balance) == (D(6), D(0))

    def test_a_new_year_starts_from_nothing(self) -> None:
        payouts = year((NOVEMBER, "900", "90"), (NEXT_JANUARY, "100", "10"))
        assert [(row.cumulative_sales, row.tier, row.threshold) for row in payouts] == [
            (D(900), 1, D(1000)),
            (D(100), 1, None),
        ]
        assert (payouts[1].deferred_balance, payouts[1].payout_ytd) == (D(1), D(3))

    def test_a_year_that_was_reached_gives_nothing_to_the_next(self) -> None:
        reference = replace(REFERENCE, tier_thresholds=(threshold("1000"), threshold("1000", 2026)))
        lines = file("cygnus", DECEMBER, sale("cygnus", "1000", "100", on=DECEMBER))
        lines += file("cygnus", NEXT_JANUARY, sale("cygnus", "999", "100", on=DECEMBER))
        assert [row.tier for row in compute(lines, reference).payouts] == [2, 1]

    def test_a_return_after_the_crossing_leaves_tier_2_open(self) -> None:
        payouts = year((JANUARY, "1000", "100"), (FEBRUARY, "-500", "-50"), (MARCH, "100", "10"))
        assert [row.tier for row in payouts] == [2, 2, 2]
        assert paid(payouts) == ["40.00", "-20.00", "4.00"]

    def test_a_return_before_the_crossing_puts_it_off(self) -> None:
        payouts = year((JANUARY, "800", "80"), (FEBRUARY, "-100", "-10"), (MARCH, "250", "25"))
        assert [row.tier for row in payouts] == [1, 1, 1]
        assert [row.deferred_balance for row in payouts] == [D(8), D(7), D("9.50")]
        assert paid(payouts) == ["24.00", "-3.00", "7.50"]

    def test_a_return_in_the_month_of_the_crossing_counts_first(self) -> None:
        lines = file(
            "cygnus",
            JANUARY,
            sale("cygnus", "1000", "100", on=JANUARY),
            sale("cygnus", "-0.01", "0", on=JANUARY, number=2),
        )
        reference = replace(REFERENCE, tier_thresholds=(threshold("1000"),))
        assert [row.tier for row in compute(lines, reference).payouts] == [1]

    def test_months_without_a_line_have_no_payout_and_break_nothing(self) -> None:
        payouts = year((JANUARY, "500", "50"), (JULY, "500", "50"))
        assert [row.commission_month for row in payouts] == [JANUARY, JULY]
        assert paid(payouts) == ["15.00", "25.00"]

    def test_months_are_taken_in_order_and_not_as_they_came(self) -> None:
        assert year((MARCH, "500", "50"), (JANUARY, "500", "50")) == year(
            (JANUARY, "500", "50"), (MARCH, "500", "50")
        )

    def test_a_line_paid_late_counts_in_its_commission_month_and_sells_in_its_revenue_month(self) -> None:
        lines = file("cygnus", JANUARY, sale("cygnus", "900", "90", on=JANUARY))
        lines += file("cygnus", MARCH, sale("cygnus", "100", "10", on=date(2024, 12, 15)))
        reference = replace(REFERENCE, tier_thresholds=(threshold("1000"),))
        result = compute(lines, reference)
        assert [(row.commission_month, row.tier, row.payout) for row in result.payouts] == [
            (JANUARY, 1, D("27.00")),
            (MARCH, 2, D("13.00")),
        ]
        assert [(row.month, row.sales_actual, row.payout) for row in result.reps] == [
            (date(2024, 12, 1), D(100), D(0)),
            (JANUARY, D(900), D("27.00")),
            (MARCH, D(0), D("13.00")),
        ]

    def test_two_sources_of_one_product_line_share_its_threshold(self) -> None:
        reference = replace(
            REFERENCE,
            service_to_product=(ServiceToProduct("Consulting", "CYGNUS"),),
            tier_thresholds=(threshold("1000"),),
        )
        lines = file("cygnus", JANUARY, sale("cygnus", "600", "60", on=JANUARY))
        lines += file("quickbooks", JANUARY, sale("quickbooks", "400", "40", on=JANUARY))
        payouts = compute(lines, reference).payouts
        assert [(row.product_line, row.sales_actual, row.tier, row.payout) for row in payouts] == [
            ("Cygnus", D(1000), 2, D("40.00"))
        ]

    def test_product_lines_and_reps_have_thresholds_of_their_own(self) -> None:
        reference = replace(
            REFERENCE,
            tier_thresholds=(threshold("100"), threshold("100", rep=BO, product_line="InspeKtor")),
        )
        lines = file("cygnus", JANUARY, sale("cygnus", "100", "10", on=JANUARY))
        lines += file("novo", JANUARY, sale("novo", "100", "10", on=JANUARY))
        lines += file("inspektor", JANUARY, sale("inspektor", "100", "10", on=JANUARY, rep=BO))
        assert [(row.rep_name, row.product_line, row.tier) for row in compute(lines, reference).payouts] == [
            (ANN, "Cygnus", 2),
            (ANN, "Surgical Instruments", 1),
            (BO, "InspeKtor", 2),
        ]


class TestSalesAgainstObjective:
    def objectives(self, *of_january_on: str | None) -> Reference:
        months = [None if amount is None else D(amount) for amount in of_january_on]
        row = BusinessObjective("ann gray", "CYGNUS", 2025, (*months, *[None] * (12 - len(months))))
        spelling = ServiceToProduct("Consulting", "Cygnus")
        return replace(REFERENCE, business_objectives=(row,), service_to_product=(spelling,))

    def test_attainment_is_sales_over_objective_and_null_without_one(self) -> None:
        lines = file(
            "cygnus",
            MARCH,
            sale("cygnus", "250", "25", on=date(2025, 1, 31)),
            sale("cygnus", "100", "10", on=date(2025, 3, 2), number=2),
        )
        rows = compute(lines, self.objectives("1000", "500", None, "0")).reps
        found = [(row.month.month, row.sales_actual, row.objective, row.attainment) for row in rows]
        assert found == [
            (1, D(250), D(1000), D("0.25")),
            (2, D(0), D(500), D(0)),
            (3, D(100), None, None),
            (4, D(0), D(0), None),
        ]
        assert [str(row.payout) for row in rows] == ["0", "0", "10.50", "0"]
        assert {(row.rep_name, row.product_line) for row in rows} == {(ANN, "Cygnus")}

    def test_the_objectives_of_somebody_unknown_belong_to_nobody(self) -> None:
        reference = replace(self.objectives("1000"), sales_reps=(SalesRep(BO),))
        assert compute([], reference).reps == []

    def test_the_company_counts_all_lines_and_its_margin_is_what_it_keeps(self) -> None:
        lines = file(
            "cygnus",
            JANUARY,
            sale("cygnus", "500", "50", on=JANUARY),
            sale("cygnus", "70", "7", on=JANUARY, customer="Lost Clinic", number=2),
        )
        company = compute(lines, self.objectives("1000")).company
        assert [
            (row.product_line, row.month, row.sales_actual, row.rev_actual, row.objective, row.attainment)
            for row in company
        ] == [("Cygnus", JANUARY, D(570), D(57), D(1000), D("0.57"))]
        assert [(row.payout, row.shs_margin, row.uncredited_sales) for row in company] == [
            (D("15.00"), D("42.00"), D(70))
        ]

    def test_sales_of_a_rep_without_rate_are_attained_and_listed_as_uncredited(self) -> None:
        reference = replace(self.objectives("1000"), commission_tiers=())
        result = compute(file("cygnus", JANUARY, sale("cygnus", "500", "50", on=JANUARY)), reference)
        (row,) = result.reps
        assert (row.sales_actual, row.attainment, row.payout) == (D(500), D("0.5"), D(0))
        assert [row.uncredited_sales for row in result.company] == [D(500)]


# --- Properties over made-up worlds -----------------------------------------------------------------------

over_worlds = settings(max_examples=20, suppress_health_check=list(HealthCheck))


def result_of(world: State) -> Results:
    return compute(world.raw_lines(), world.reference)


@over_worlds
@given(worlds(), st.data())
def test_the_order_in_which_lines_come_does_not_matter(world: State, data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(world.raw_lines()))
    one, other = result_of(world), compute(shuffled, world.reference)
    assert (one.payouts, one.reps, one.company) == (other.payouts, other.reps, other.company)
    assert sorted(one.lines, key=lambda line: line.line_id) == sorted(
        other.lines, key=lambda line: line.line_id
    )


def mirrored(line: RawLine, month: date | None = None) -> RawLine:
    """The return of a sale, in the same commission month or a later one."""
    cells = {**line.cells, **{name: -line.cells[name] for name in rules_of(line.source).changes_sign}}
    return replace(line, cells=cells, file_id=-line.file_id, commission_month=month or line.commission_month)


def nobody_left(reference: Reference) -> Reference:
    """The same people, all still there: a return of somebody who left takes a rate that a sale does not."""

    def stayed(reps: tuple[SalesRep, ...]) -> tuple[SalesRep, ...]:
        return tuple(replace(rep, left_on=None) for rep in reps)

    past = tuple((table, stayed(rows) if table == "sales_reps" else rows) for table, rows in reference.past)
    return replace(reference, sales_reps=stayed(reference.sales_reps), past=past)


@over_worlds
@given(worlds())
def test_a_mirror_return_cancels_to_nothing(world: State) -> None:
    lines = world.raw_lines()
    result = compute([*lines, *map(mirrored, lines)], nobody_left(world.reference))
    for row in result.payouts:
        assert (row.sales_actual, row.payout, row.deferred_balance, row.payout_ytd) == (0, 0, 0, 0)
    for company in result.company:
        assert (company.sales_actual, company.rev_actual, company.payout, company.shs_margin) == (0, 0, 0, 0)


@over_worlds
@given(worlds(), st.data())
def test_a_sale_returned_later_in_the_year_pays_nothing_in_the_end(world: State, data: st.DataObject) -> None:
    other = file("ternio", JANUARY, sale("ternio", "1", on=JANUARY))
    line = data.draw(st.sampled_from([*world.raw_lines(), *other]))
    later = line.commission_month.replace(month=12)
    parts = credit([line, mirrored(line, later)], world.reference)
    sold, returned = (
        [
            (part.rep_name, part.product_line, part.tier_1_rate, part.tier_2_rate)
            for part in parts
            if part.commission_month == month
        ]
        for month in (line.commission_month, later)
    )
    if sold == returned:
        payouts = compute([line, mirrored(line, later)], world.reference).payouts
        assert [row.payout_ytd for row in payouts[-1:]] in ([], [D(0)])


@over_worlds
@given(worlds(), st.sampled_from([date(2024, 12, 1), JANUARY, date(2025, 4, 1)]))
def test_months_depend_only_on_lines_up_to_them(world: State, last: date) -> None:
    lines = [line for line in world.raw_lines() if line.commission_month <= last]
    up_to = [row for row in result_of(world).payouts if row.commission_month <= last]
    assert compute(lines, world.reference).payouts == up_to


@over_worlds
@given(worlds())
def test_every_dollar_of_commission_is_paid_or_waits(world: State) -> None:
    result = result_of(world)
    years: dict[tuple[str, str, int], list[Payout]] = {}
    for row in result.payouts:
        paid_now = row.commission_tier_2_diff - row.deferred
        assert row.payout == row.commission_tier_1 + paid_now + row.released
        years.setdefault((row.rep_name, row.product_line, row.commission_month.year), []).append(row)
    for months in years.values():
        earned = sum(row.commission_tier_1 + row.commission_tier_2_diff for row in months)
        assert months[-1].payout_ytd == sum(row.payout for row in months)
        assert earned == months[-1].payout_ytd + months[-1].deferred_balance
        if any(row.tier == 2 for row in months):
            assert months[-1].deferred_balance == 0
            assert sum(row.deferred for row in months) == sum(row.released for row in months)
        else:
            assert sum(row.payout for row in months) == sum(row.commission_tier_1 for row in months)


@over_worlds
@given(worlds())
def test_every_line_is_there_once_and_the_company_has_them_all(world: State) -> None:
    raw, result = world.raw_lines(), result_of(world)
    ids = line_ids(raw)
    assert {line.line_id for line in result.lines} == set(ids.values())
    assert len(set(ids.values())) == len(raw)
    assert len({line.credit_id for line in result.lines}) == len(result.lines)
    assert sum(row.sales_actual for row in result.company) == sum(line.sales_actual for line in result.lines)
    assert sum(row.rev_actual for row in result.company) == sum(line.rev_actual for line in result.lines)
    assert sum(row.payout for row in result.company) == sum(row.payout for row in result.payouts)
    assert sum(row.payout for row in result.reps) == sum(row.payout for row in result.payouts)
    own = sum(row.sales_actual for row in result.reps)
    nobodys = sum(line.sales_actual for line in result.lines if line.rep_name is None)
    assert own + nobodys == sum(row.sales_actual for row in result.company)
    for line in result.lines:
        assert (line.credit_status == "credited") == (line.tier_1_rate is not None)
        assert line.commission_tier_1 == cents(line.commission_tier_1)
