from __future__ import annotations

import json

import pytest

from shs_deploy.smtp_password import secret_of, smtp_password


# Known answers of another program that is used against SES.
@pytest.mark.parametrize(
    ("region", "key", "password"),
    [
        ("eu-central-1", "some+secret+key", "BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2"),
        ("us-west-1", "another+secret+key", "BKVmjjMDFk/qqw8EROW99bjCS65PF8WKvK5bSr4Y6EqF"),
    ],
)
def test_the_password_is_the_one_that_ses_expects(region: str, key: str, password: str) -> None:
    assert smtp_password(key, region) == password


def test_what_the_aws_command_prints_becomes_the_secret() -> None:
    created = json.dumps({"AccessKey": {"AccessKeyId": "KEY", "SecretAccessKey": "some+secret+key"}})
    found = json.loads(secret_of(created, "eu-central-1"))
    assert found["username"] == "KEY"
    assert found["password"].startswith("BMXh")


def test_anything_else_is_refused_without_repeating_it() -> None:
    with pytest.raises(ValueError, match="create-access-key") as refused:
        secret_of('{"SecretAccessKey": "planted-canary"}', "eu-central-1")
    assert "planted-canary" not in str(refused.value)
