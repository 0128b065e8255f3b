"""Ask Dagster's webserver over GraphQL whether it has loaded the code location."""

from __future__ import annotations

from typing import Any

from shs_pipeline.base.errors import ShsError

_LOCATIONS = """
{ workspaceOrError {
    __typename
    ... on Workspace { locationEntries { loadStatus locationOrLoadError {
        __typename ... on PythonError { message } } } }
    ... on PythonError { message } } }
"""


def is_loaded(url: str, module: str, log: str) -> bool:
    """Whether the webserver there answers and has loaded everything.

    Args:
        module: the module with Dagster's definitions.
        log: where the code server says more.

    Raises:
        ShsError: the module cannot be loaded.
    """
    entries = _locations(url)
    if not entries or any(entry["loadStatus"] != "LOADED" for entry in entries):
        return False
    found = entries[0]["locationOrLoadError"]
    if found and found["__typename"] == "PythonError":
        lines = [line for line in found["message"].splitlines() if line.strip()] or ["no message"]
        raise ShsError(
            f"The module {module} cannot be loaded: {lines[-1].strip()}",
            f"Fix the problem shown in {log} and start again.",
        )
    return True


def _locations(url: str) -> list[dict[str, Any]]:
    """Return the code locations as the webserver sees them, empty while it does not answer."""
    import requests

    with requests.Session() as session:
        # A proxy of the environment has no business with 127.0.0.1.
        session.trust_env = False
        try:
            answer = session.post(f"{url}/graphql", json={"query": _LOCATIONS}, timeout=10)
            workspace = answer.json()["data"]["workspaceOrError"] or {}
        except (requests.RequestException, KeyError, TypeError):
            return []
    entries: list[dict[str, Any]] = workspace.get("locationEntries", [])
    return entries
