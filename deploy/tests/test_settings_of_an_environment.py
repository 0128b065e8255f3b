from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import CERTIFICATE, CONNECTION, DEPLOY, MAIL, NEEDED, OIDC, ZONE
from shs_deploy.config import load_config, read_environment
from shs_deploy.context import ConfigError

LEAST = {**NEEDED, "certificate_arn": CERTIFICATE}


def load(context: dict[str, object], folder: Path = Path("nowhere")):
    return load_config(context.get, folder)


def test_the_least_that_is_needed_makes_a_small_system() -> None:
    config = load(LEAST)
    assert (config.prefix, config.size.name) == ("shs-prod", "small")
    assert (config.mail, config.oidc, config.zone, config.repository) == (None, None, None, None)


@pytest.mark.parametrize("key", NEEDED)
def test_what_is_needed_and_missing_is_named_with_where_to_set_it(key: str) -> None:
    context = {name: value for name, value in LEAST.items() if name != key}
    with pytest.raises(ConfigError, match=rf"^{key} is not set\. Add it to .*docs/deploy\.md"):
        load(context)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"certificate_arn": None}, "nothing is served without TLS"),
        ({"certificate_arn": "my-certificate"}, "certificate_arn is 'my-certificate'"),
        ({"size": "huge"}, "Choose one of small, medium, large"),
        ({"metabase_host": "https://sales.example.com"}, "metabase_host is"),
        ({"environment": "Production!"}, "environment is 'Production!'"),
        ({"alarm_mail": "nobody"}, "alarm_mail is 'nobody'"),
        ({"allowed_networks": "everybody"}, "'everybody', which is not an IPv4 network"),
        ({"allowed_networks": "203.0.113.7/24"}, "has host bits set"),
        ({"allowed_networks": ["203.0.113.0/24", "2001:db8::/32"]}, "'2001:db8::/32', which is not an IPv4"),
        ({"allowed_networks": "0.0.0.0/0"}, "say everywhere if that is what you mean"),
        ({"allowed_networks": "0.0.0.0/1,128.0.0.0/1"}, "a large part of the internet"),
        ({"allowed_networks": "everywhere,203.0.113.0/24"}, "Keep either the networks or the word"),
        ({"keep_years": 0}, "keep_years is '0'"),
        ({"backup_region": "Ireland"}, "backup_region is 'Ireland'"),
        ({"due_day": 31}, "due_day is '31'"),
        ({"zones": "us-east-1a"}, "Name two or more"),
        ({"max_runs": 0}, "max_runs is '0'"),
        ({"multi_az": "yes"}, "multi_az is 'yes'. Set it to true or false"),
        ({"mail_domain": "example.com"}, "mail_sender is not"),
        ({**MAIL, "mail_sender": "me@example.org"}, "is not an address of mail_domain"),
        ({**MAIL, "statement_links": "3d"}, "statement_links is '3d'"),
        ({"statement_links": "2h"}, "mail_domain is not: nobody would get them"),
        ({"connection_arn": CONNECTION}, "repository is not"),
        ({"dagster_host": "dagster.example.com"}, "would be open to everybody"),
        ({**OIDC, "dagster_host": None}, "dagster_group is set, and dagster_host is not"),
        ({**OIDC, "dagster_host": None, "dagster_group": None}, "nothing uses it"),
        ({**OIDC, "dagster_group": None}, "everybody whom your provider knows"),
        ({**OIDC, "dagster_group_claim": "two words"}, "dagster_group_claim is 'two words'"),
        ({**OIDC, "oidc_scope": "groups"}, "oidc_scope is 'groups'"),
        ({"metabase_oidc": "true"}, "oidc_issuer is not set"),
        ({**OIDC, "oidc_secret": None}, "oidc_secret is not"),
        ({**OIDC, "oidc_token_endpoint": "http://login.example.com"}, "oidc_token_endpoint is"),
        ({**ZONE, "hosted_zone_name": "example.org"}, "is not in the hosted zone example.org"),
        ({"hosted_zone_id": "Z1"}, "hosted_zone_name is not"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_sentence(changed: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load({**LEAST, **changed})
    assert sentence in str(refused.value)


def test_the_file_of_an_environment_is_read_and_the_command_line_goes_before_it(tmp_path: Path) -> None:
    (tmp_path / "prod.json").write_text(json.dumps({**LEAST, "size": "medium", "due_day": 10}))
    config = load({"due_day": "12", "alarm_mail": "a@example.com, b@example.com"}, tmp_path)
    assert (config.size.name, config.due_day) == ("medium", 12)
    assert config.alarm_mail == ("a@example.com", "b@example.com")


def test_a_key_that_nobody_reads_is_named_and_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "prod.json").write_text(json.dumps({**LEAST, "metabse_host": "x.example.com"}))
    with pytest.raises(ConfigError, match="sets metabse_host, which is not a setting"):
        read_environment("prod", tmp_path)
    (tmp_path / "prod.json").write_text("{")
    with pytest.raises(ConfigError, match="is not valid JSON"):
        read_environment("prod", tmp_path)


def test_second_zone_replica_and_runs_can_be_set_apart_from_the_size() -> None:
    assert load({**LEAST, "multi_az": "true"}).size.warehouse.is_multi_az
    assert load({**LEAST, "max_runs": "6"}).size.max_runs == 6
    assert load({**LEAST, "replica": True}).size.replica == "db.t4g.small"
    assert not load({**LEAST, "size": "large", "replica": "false"}).size.replica


def test_metabase_is_the_version_of_the_compose_file_unless_another_is_named() -> None:
    compose = (DEPLOY.parent / "docker-compose.yml").read_text()
    assert load(LEAST).metabase_version in compose
    assert load({**LEAST, "metabase_version": "v1.65.4.1"}).metabase_version == "v1.65.4.1"


@pytest.mark.parametrize(
    ("version", "problem"),
    [
        (
            "v0.58.38",
            "v0.58.38 has security holes that can be exploited without a login. Upgrade to v0.58.39 or newer",
        ),
        ("v1.60.2.3", "v1.60.2.3 has security holes that can be exploited without a login"),
        ("v0.57.9", "v0.57.9 is too old"),
        ("v0.58", "metabase_version"),
    ],
)
def test_a_metabase_with_known_holes_is_not_deployed(version: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load({**LEAST, "metabase_version": version})


def test_the_example_can_be_used_as_it_is() -> None:
    config = load_config({"environment": "example"}.get)
    assert config.mail
    assert config.zone


def test_the_program_says_what_is_missing_instead_of_a_traceback() -> None:
    # A process of its own: the Node behind the CDK keeps the environment that it was started with.
    context = {"CDK_CONTEXT_JSON": json.dumps({"environment": "nowhere"})}
    ended = subprocess.run(
        [sys.executable, DEPLOY / "app.py"],
        env={**os.environ, **context}, cwd=DEPLOY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stderr.startswith("owner is not set.")


def test_everywhere_is_said_in_words() -> None:
    assert load({**LEAST, "allowed_networks": "everywhere"}).allowed_networks == ("0.0.0.0/0",)
    assert load({**LEAST, "allowed_networks": "10.0.0.0/8"}).allowed_networks == ("10.0.0.0/8",)


def test_dagsters_group_is_named_or_the_provider_is_said_to_assign_people() -> None:
    named = load({**LEAST, **OIDC, "dagster_group_claim": "cognito:groups"}).dagster_group
    assert named
    assert (named.name, named.claim) == ("tracker-admins", "cognito:groups")
    assert load({**LEAST, **OIDC, "dagster_group": "assigned by the provider"}).dagster_group is None


def test_the_provider_can_be_for_metabase_alone() -> None:
    alone = {key: value for key, value in OIDC.items() if key.startswith("oidc_")}
    config = load({**LEAST, **alone, "metabase_oidc": True})
    assert (config.has_metabase_oidc, config.dagster_host) == (True, "")


@pytest.mark.parametrize(
    ("changed", "example"),
    [
        ({"metabase_host": "Sales"}, "Write it like this: sales.example.com."),
        ({"cidr": "10.40.0.0/24"}, "10.40.0.0/16 (always with /16)"),
        ({"keep_years": "ten"}, "10 (1 to 99)"),
        ({**OIDC, "oidc_user_info_endpoint": "login"}, "https://login.example.com/userinfo"),
    ],
)
def test_what_has_another_form_is_answered_with_an_example(changed: dict[str, object], example: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load({**LEAST, **changed})
    assert example in str(refused.value)
    assert "\\d" not in str(refused.value)


def test_every_example_of_a_form_can_be_used() -> None:
    from shs_deploy.context import EXAMPLES

    first = {key: text.partition(" (")[0] for key, text in EXAMPLES.items()}
    arns = {
        key: text.replace("REGION", "us-east-1").replace("ACCOUNT", "123456789012").replace("ID", "1a-2b")
        for key, text in first.items()
        if key.endswith("_arn")
    }
    context = {**OIDC, **LEAST, **first, **arns}
    assert load(context).metabase_host == "sales.example.com"
