"""The dbt models as assets: one graph from the bucket to the marts, built by one step."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from assets.warehouse import Warehouse, said_in_a_sentence
from shs_pipeline.dbt_build import NodeResult
from shs_pipeline.marts import BuildError, BuildReport

LOGINS_KEY = dg.AssetKey(["access", "logins"])
PUBLICATIONS_KEY = dg.AssetKey(["marts", "publications"])
# What people read is told by its schema of publication, not by the one in which it is audited.
_SCHEMAS = {"candidate": "marts"}


def marts_assets(manifest: Path) -> dg.AssetsDefinition:
    """Return the assets of all models, with their tests as checks.

    Args:
        manifest: `manifest.json` of the parsed project.
    """
    from dagster_dbt import DagsterDbtTranslator, dbt_assets

    class Translator(DagsterDbtTranslator):
        """Names and groups as people know them."""

        def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
            if dbt_resource_props["resource_type"] != "model":
                return super().get_asset_key(dbt_resource_props)
            return _key_of(dbt_resource_props["schema"], dbt_resource_props["name"])

        def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
            return _SCHEMAS.get(dbt_resource_props["schema"], dbt_resource_props["schema"])

    @dbt_assets(
        manifest=manifest,
        name="marts",
        exclude="resource_type:unit_test",
        dagster_dbt_translator=Translator(),
    )
    def build(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Iterator[Any]:
        keys = {
            model: spec.key for spec in build.specs if (model := spec.metadata.get("dagster_dbt/unique_id"))
        }
        checks = {spec.metadata["dagster_dbt/unique_id"]: spec for spec in build.check_specs}
        with said_in_a_sentence():
            try:
                report = warehouse.marts(context.run_id)
            except BuildError as error:
                yield from _check_results(context, error.nodes, checks)
                raise
        context.log.info(_told(report))
        yield from _check_results(context, report.nodes, checks)
        for node in report.nodes:
            key = keys.get(node.unique_id)
            if node.kind == "model" and key in context.selected_asset_keys:
                yield dg.MaterializeResult(asset_key=key, metadata=_metadata(node, report))

    return build


def logins_asset() -> dg.AssetsDefinition:
    """Return the asset that lets the login roles follow the people who were published."""

    @dg.asset(
        key=LOGINS_KEY,
        group_name="access",
        deps=[dg.AssetKey(["marts", "people"]), PUBLICATIONS_KEY],
        kinds={"postgres"},
        description="The login roles of reps and admins, as the accepted sales_reps workbook says.",
    )
    def sync(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
        with said_in_a_sentence():
            changes = warehouse.sync_logins()
        for change in changes:
            context.log.info(str(change))
        return dg.MaterializeResult(metadata={"changes": dg.MetadataValue.int(len(changes))})

    return sync


def _key_of(schema: str, name: str) -> dg.AssetKey:
    return dg.AssetKey([_SCHEMAS.get(schema, schema), name])


def _check_results(
    context: dg.AssetExecutionContext, nodes: Any, checks: Mapping[str, dg.AssetCheckSpec]
) -> Iterator[dg.AssetCheckResult]:
    for node in nodes:
        spec = checks.get(node.unique_id)
        if spec is not None and node.status != "skipped" and spec.key in context.selected_asset_check_keys:
            yield dg.AssetCheckResult(
                asset_key=spec.asset_key,
                check_name=spec.name,
                passed=node.status == "success",
                description=node.message or None,
                metadata={"rows_found": node.failures, "seconds": round(node.seconds, 3)},
            )


def _told(report: BuildReport) -> str:
    if report.was_current:
        return f"Nothing changed since publication {report.publication.publication_id}."
    kind = "Everything" if report.is_full_refresh else f"{report.slices} months of sources"
    return (
        f"Publication {report.publication.publication_id}: {kind} computed anew, {report.lines} lines, in "
        f"{report.seconds:.1f} s."
    )


def _metadata(node: NodeResult, report: BuildReport) -> dict[str, Any]:
    return {
        "publication": dg.MetadataValue.int(report.publication.publication_id),
        "seconds": dg.MetadataValue.float(round(node.seconds, 3)),
    }
