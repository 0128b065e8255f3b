"""Every Metabase API call in use, with the major version that introduced it; pure.

From: the API pages that Metabase published for each version until v0.50, its changelog of the API, the
OpenAPI document of v0.60, and the pull requests that added the younger ones (#42476 the trash, #70464 and its
backport #71156 the password link). Where only an upper bound is known, that stands here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from shs_pipeline.metabase.versions import OLDEST, major_of

Call = tuple[str, str]
"""Verb and path, as `("put", "/api/card/{id}")`."""

_LONG_AGO = 47
PASSWORD_LINK: Call = ("post", "/api/user/{id}/password-reset-url")

CALLS: Mapping[Call, int] = {
    ("get", "/api/session/properties"): _LONG_AGO,
    ("post", "/api/setup"): _LONG_AGO,
    ("post", "/api/session"): _LONG_AGO,
    ("delete", "/api/session"): _LONG_AGO,
    ("get", "/api/api-key"): 49,
    ("post", "/api/api-key"): 49,
    ("put", "/api/api-key/{id}/regenerate"): 49,
    ("delete", "/api/api-key/{id}"): 49,
    ("get", "/api/user/current"): _LONG_AGO,
    ("get", "/api/setting"): _LONG_AGO,
    ("put", "/api/setting"): _LONG_AGO,
    ("get", "/api/database"): _LONG_AGO,
    ("post", "/api/database"): _LONG_AGO,
    ("put", "/api/database/{id}"): _LONG_AGO,
    ("delete", "/api/database/{id}"): _LONG_AGO,
    ("get", "/api/database/{id}/metadata"): _LONG_AGO,
    ("post", "/api/database/{id}/sync_schema"): _LONG_AGO,
    ("put", "/api/table/{id}"): _LONG_AGO,
    ("put", "/api/field/{id}"): _LONG_AGO,
    ("get", "/api/permissions/group"): _LONG_AGO,
    ("post", "/api/permissions/group"): _LONG_AGO,
    ("put", "/api/permissions/group/{id}"): _LONG_AGO,
    ("delete", "/api/permissions/group/{id}"): _LONG_AGO,
    # In today's form, with view-data and create-queries.
    ("get", "/api/permissions/graph"): 50,
    ("put", "/api/permissions/graph"): 50,
    ("get", "/api/permissions/membership"): _LONG_AGO,
    ("post", "/api/permissions/membership"): _LONG_AGO,
    ("delete", "/api/permissions/membership/{id}"): _LONG_AGO,
    ("get", "/api/collection"): _LONG_AGO,
    ("post", "/api/collection"): _LONG_AGO,
    ("put", "/api/collection/{id}"): _LONG_AGO,
    ("delete", "/api/collection/{id}"): 56,
    # With show_dashboard_questions; older ones have no questions saved in dashboards.
    ("get", "/api/collection/{id}/items"): 53,
    ("get", "/api/collection/trash"): 51,
    ("get", "/api/collection/graph"): _LONG_AGO,
    ("put", "/api/collection/graph"): _LONG_AGO,
    # With `type` instead of `dataset`.
    ("get", "/api/card/{id}"): 49,
    ("post", "/api/card"): 49,
    ("put", "/api/card/{id}"): 49,
    ("delete", "/api/card/{id}"): _LONG_AGO,
    # Asked only where a list names a document.
    ("get", "/api/document/{id}"): 58,
    ("post", "/api/dashboard"): _LONG_AGO,
    ("get", "/api/dashboard/{id}"): _LONG_AGO,
    # With cards and tabs.
    ("put", "/api/dashboard/{id}"): 47,
    ("delete", "/api/dashboard/{id}"): _LONG_AGO,
    ("post", "/api/dataset"): _LONG_AGO,
    ("get", "/api/user"): _LONG_AGO,
    ("post", "/api/user"): _LONG_AGO,
    ("put", "/api/user/{id}"): _LONG_AGO,
    ("delete", "/api/user/{id}"): _LONG_AGO,
    ("put", "/api/user/{id}/reactivate"): _LONG_AGO,
    ("put", "/api/user/{id}/password"): _LONG_AGO,
    PASSWORD_LINK: 60,
}
"""What an apply, a link or a destroy may call; what is younger than v0.58 is called from its version on."""


def has_call(properties: Mapping[str, Any], call: Call) -> bool:
    """Whether a Metabase has a call; one that does not say its version is taken for the oldest.

    Args:
        properties: `/api/session/properties`.
    """
    return (major_of(properties) or 0) >= CALLS[call] or CALLS[call] <= OLDEST


def calls_of(major: int) -> list[Call]:
    """Return the calls that are made to a Metabase of this major version."""
    return [call for call, since in CALLS.items() if since <= major]


def missing_calls(document: Mapping[str, Any], calls: Iterable[Call]) -> list[str]:
    """Return the calls that an OpenAPI document does not list, as `POST /api/card`."""
    listed = {
        (verb, _anonymous(path))
        for path, verbs in document.get("paths", {}).items()
        for verb in verbs
    }  # fmt: skip
    return [f"{verb.upper()} {path}" for verb, path in calls if (verb, _anonymous(path)) not in listed]


def _anonymous(path: str) -> str:
    """Return a path whose parameters have no names, and that ends without a slash."""
    steps = path.rstrip("/").split("/")
    return "/".join("{}" if step.startswith("{") else step for step in steps)
