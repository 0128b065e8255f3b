from __future__ import annotations

from decimal import Decimal

import pytest

from conftest import DEPLOY
from shs_deploy.prices import ALARMS, ENDPOINTS, FIXED_SECRETS, KEYS, estimate, table, total
from shs_deploy.sizes import SIZES
from written import Written


def test_the_tables_of_the_docs_are_those_of_the_sizes() -> None:
    assert table() in (DEPLOY.parent / "docs/deploy.md").read_text()


@pytest.mark.parametrize("size", list(SIZES))
def test_amounts_are_exact_and_none_is_missing(size: str) -> None:
    lines = estimate(SIZES[size])
    assert all(isinstance(line.usd, Decimal) and line.usd > 0 for line in lines)
    assert total(SIZES[size]) == sum(line.usd for line in lines)


def test_what_is_counted_is_there(medium: Written) -> None:
    endpoints = medium.resources("AWS::EC2::VPCEndpoint").values()
    assert sum(one["Properties"]["VpcEndpointType"] == "Interface" for one in endpoints) == ENDPOINTS
    assert abs(len(medium.resources("AWS::CloudWatch::Alarm")) - ALARMS) <= 3
    made_by_rds = len(medium.resources("AWS::RDS::DBInstance"))
    assert len(medium.resources("AWS::SecretsManager::Secret")) + made_by_rds == FIXED_SECRETS
    assert len(medium.resources("AWS::KMS::Key")) == KEYS
    assert medium.resources("AWS::EC2::NatGateway") == {}
