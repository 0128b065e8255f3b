"""Reading single settings out of the CDK's context, each refused with a sentence that says how to fix it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HOST = r"(?!-)[a-z0-9-]+(\.[a-z0-9-]+)+"


class ConfigError(ValueError):
    """A setting that is missing or cannot be used, as a sentence that says how to fix it."""


def needed(context: Mapping[str, Any], key: str) -> str:
    """Return a setting that has to be there."""
    if key not in context:
        raise ConfigError(
            f"{key} is not set. Write it into deploy/environments/<environment>.json, or say -c {key}=…; "
            "docs/deploy.md lists the settings."
        )
    return str(context[key])


def matching(key: str, value: str, form: str) -> str:
    """Return a value that has the form of a regular expression."""
    if not re.fullmatch(form, value):
        raise ConfigError(f"{key} is {value!r}, which cannot be used (it has to match {form}). Correct it.")
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
            f"{given} is set, and {', '.join(missing)} is not. They go together: set all or none."
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
        raise ConfigError(f"{key} is {value!r}. Say true or false.")
    return value == "true"
