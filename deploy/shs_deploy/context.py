"""Reading single settings out of the CDK's context, each refused with a sentence that says how to fix it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

EXAMPLES: Mapping[str, str] = {
    "environment": "prod (at most ten lowercase letters and digits)",
    "name": "shs (at most ten lowercase letters and digits)",
    "owner": "Sales Operations",
    "metabase_host": "sales.example.com",
    "dagster_host": "dagster.example.com",
    "dagster_group": "tracker-admins",
    "dagster_group_claim": "groups",
    "admin_mail": "admin@example.com",
    "alarm_mail": "admin@example.com",
    "mail_domain": "sales.example.com",
    "mail_sender": "Sales Tracker <tracker@sales.example.com>",
    "cidr": "10.40.0.0/16 (always with /16)",
    "zones": "us-east-1a,us-east-1b",
    "max_runs": "4 (1 to 999)",
    "due_day": "20 (1 to 28)",
    "statement_links": "2h (1h to 6h, or off)",
    "keep_years": "10 (1 to 99)",
    "backup_region": "eu-west-1",
    "metabase_version": "v0.58.39",
    "certificate_arn": "arn:aws:acm:REGION:ACCOUNT:certificate/ID",
    "connection_arn": "arn:aws:codeconnections:REGION:ACCOUNT:connection/ID",
    "repository": "example-company/sales-tracker",
    "oidc_scope": "openid groups (openid comes first)",
    **{
        f"oidc_{part}_endpoint": f"https://login.example.com/{part.replace('_', '')}"
        for part in ("authorization", "token", "user_info")
    },
    "oidc_issuer": "https://login.example.com",
}
"""How each setting is written that has a form, for whoever wrote it otherwise."""

HOST = r"(?!-)[a-z0-9-]+(\.[a-z0-9-]+)+"


class ConfigError(ValueError):
    """A setting that is missing or cannot be used, as a sentence that says how to fix it."""


def needed(context: Mapping[str, Any], key: str) -> str:
    """Return a setting that has to be there."""
    if key not in context:
        raise ConfigError(
            f"{key} is not set. Add it to deploy/environments/<environment>.json, or pass -c {key}=…; "
            "docs/deploy.md lists the settings."
        )
    return str(context[key])


def matching(key: str, value: str, form: str) -> str:
    """Return a value that has the form of a regular expression."""
    if not re.fullmatch(form, value):
        example = EXAMPLES.get(key, f"a text that matches {form}")
        raise ConfigError(f"{key} is {value!r}, which is not valid. Write it like this: {example}.")
    return value


def together(context: Mapping[str, Any], keys: tuple[str, ...]) -> bool:
    """Whether all of these are set; none of them is False.

    Raises:
        ConfigError: only some are.
    """
    missing = [key for key in keys if key not in context]
    if missing and len(missing) < len(keys):
        given = ", ".join(key for key in keys if key in context)
        raise ConfigError(
            f"{given} is set, but {', '.join(missing)} is not. They go together: set all or none."
        )
    return not missing


def several(value: Any) -> tuple[str, ...]:
    """Return a list of texts, which is a list in a file and has commas on the command line."""
    parts = value if isinstance(value, list | tuple) else str(value).split(",")
    return tuple(part.strip() for part in map(str, parts) if part.strip())


def flag(context: Mapping[str, Any], key: str, default: bool = False) -> bool:
    """Return a setting that is true or false."""
    value = str(context.get(key, default)).lower()
    if value not in ("true", "false"):
        raise ConfigError(f"{key} is {value!r}. Set it to true or false.")
    return value == "true"
