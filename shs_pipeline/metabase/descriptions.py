"""Descriptions and meanings of columns on the admins' connection, from the dbt models by `dbt-metabase`.

The connections of reps need none of it: the publication writes the same texts as comments of tables and
columns, which Metabase reads when it looks at a connection.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shs_pipeline.metabase.desired import ADMINS

if TYPE_CHECKING:
    from shs_pipeline.metabase.client import MetabaseClient
    from shs_pipeline.metabase.state import ObjectStore

_SYNC_SECONDS = 120
_READERS = ("rep", "everyone", "admin")
_MEANINGS = {"numeric(15,2)": "type/Currency", "numeric(9,6)": "type/Percentage"}


def describe(client: MetabaseClient, store: ObjectStore) -> list[str]:
    """Write the descriptions if they or the connection changed; return what did not work, in words."""
    database = store.get("database", ADMINS)
    if database is None or database.metabase_id is None:
        return []
    manifest = published_manifest(_parsed_manifest())
    text = json.dumps(manifest, sort_keys=True)
    mark = f"{database.metabase_id} {sha256(text.encode()).hexdigest()[:32]}"
    row = store.get("descriptions", ADMINS)
    if row is not None and row.content_hash == mark:
        return []
    said = _export(client, text, database.name)
    if said:
        return [f"The descriptions of tables and columns could not be written: {said}."]
    store.note("descriptions", ADMINS, None, mark)
    return []


def published_manifest(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest with the marts where people read them, and nothing that Metabase does not show.

    The same as parsing with the target `published`, without another parse.
    """
    nodes: dict[str, Any] = {}
    for name, node in manifest["nodes"].items():
        meta = node.get("config", {}).get("meta", {}) or node.get("meta", {})
        is_mart = node.get("resource_type") == "model" and node.get("schema") in ("candidate", "marts")
        if not is_mart or meta.get("readers") not in _READERS:
            continue
        columns = {key: _with_meaning(column) for key, column in node.get("columns", {}).items()}
        nodes[name] = {**node, "schema": "marts", "columns": columns}
    return {
        "metadata": manifest.get("metadata", {}), "nodes": nodes, "sources": {}, "groups": {},
        "exposures": {}, "metrics": {}, "child_map": {name: [] for name in nodes},
        "parent_map": {}, "disabled": {}, "docs": {}, "macros": {}, "selectors": {},
    }  # fmt: skip


def _with_meaning(column: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(column.get("data_type") or "").replace(" ", "")
    if kind not in _MEANINGS:
        return dict(column)
    meta = {"metabase.semantic_type": _MEANINGS[kind], **column.get("meta", {})}
    return {**column, "meta": meta, "config": {**column.get("config", {}), "meta": meta}}


def _parsed_manifest() -> dict[str, Any]:
    from shs_pipeline.marts.dbt_build import prepare_manifest

    found: dict[str, Any] = json.loads((prepare_manifest() / "manifest.json").read_text())
    return found


def _export(client: MetabaseClient, manifest: str, database: str) -> str:
    """Let dbt-metabase write; return what it says is wrong, empty for nothing."""
    import logging

    import requests
    from dbtmetabase import DbtMetabase
    from dbtmetabase.errors import MetabaseStateError

    from shs_pipeline.metabase.client import ApiKey
    from shs_pipeline.metabase.transport import READ_SECONDS

    key = client.credentials.value if isinstance(client.credentials, ApiKey) else None
    # It logs whole answers; what counts is returned.
    logging.getLogger("dbtmetabase").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "manifest.json"
        path.write_text(manifest)
        try:
            exporter = DbtMetabase(
                manifest_path=path, metabase_url=client.url, metabase_api_key=key, http_timeout=READ_SECONDS
            )
            exporter.export_models(
                metabase_database=database, skip_sources=True, sync_timeout=_SYNC_SECONDS, order_fields=False
            )
        except (MetabaseStateError, requests.RequestException) as error:
            return str(error).rstrip(".") or type(error).__name__
    return ""
