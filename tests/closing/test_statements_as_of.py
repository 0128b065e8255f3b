"""A statement as it was known at a moment: a closed one by the ledger, an open one as published then."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from shs_pipeline.base.errors import ShsError
from shs_pipeline.closing.reading_past import statements_at
from shs_pipeline.closing.statement import Statement
from tests.engine.worlds import Change
from tests.helpers.closed_house import APRIL, FEBRUARY, JANUARY, House, month_file, opened

pytestmark = pytest.mark.slow


def now(house: House) -> datetime:
    ((moment,),) = house.rows("select clock_timestamp()")
    assert isinstance(moment, datetime)
    return moment


def ann_at(house: House, month: date, moment: datetime) -> tuple[Statement, str]:
    found, known = statements_at(house.connection, month, moment)
    house.connection.rollback()
    (own,) = [one for one in found if one.payee_id == "P-ANN"]
    return own, known


def test_a_statement_is_given_as_it_was_known_then(house: House) -> None:
    ((first,),) = house.rows("select published_at from marts.publications where publication_id = 1")
    before = first - timedelta(minutes=1)
    second = now(house)
    house.do(month_file(JANUARY, "1200"), month_file(FEBRUARY, "400"))
    third = now(house)
    house.do(Change("pay_periods", (opened(JANUARY, "A rate was wrong."),)))
    fourth = now(house)

    open_then, known = ann_at(house, JANUARY, first)
    assert (open_then.state, open_then.number, str(open_then.amounts.earned)) == ("provisional", "", "300.00")
    assert [(line.customer, str(line.paid)) for line in open_then.lines] == [("North Clinic", "300.00")]
    assert [(one.product_line, str(one.sales)) for one in open_then.product_lines] == [("Cygnus", "10000.00")]
    assert "provisional: publication 1 (" in known

    for moment in (second, third):
        closed_then, known = ann_at(house, JANUARY, moment)
        assert (closed_then.number, str(closed_then.amounts.paid)) == ("2025-01-P-ANN-1", "300.00")
        assert "from the ledger: closed on " in known
        assert known.endswith("receipt 1.")
    again, known = ann_at(house, JANUARY, fourth)
    assert (again.state, str(again.amounts.earned)) == ("provisional", "360.00")
    assert "publication 4 (" in known

    february = [ann_at(house, FEBRUARY, moment)[0].amounts for moment in (second, third)]
    assert [(str(amounts.earned), str(amounts.restated)) for amounts in february] == [
        ("60.00", "0.00"),
        ("120.00", "60.00"),
    ]
    assert statements_at(house.connection, APRIL, fourth)[0] == []

    with pytest.raises(ShsError) as refused:
        statements_at(house.connection, JANUARY, before)
    assert "2025-01 was not closed at " in str(refused.value)
    assert "of open months only what this database has published is known" in str(refused.value)
    assert "The first state is publication 1 (" in str(refused.value)
