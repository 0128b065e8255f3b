"""The dbt models as assets: one graph from the bucket to the marts, built in one step."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from assets.catalogue import OWNERS
from assets.ingested import ACCEPT_TAG
from assets.warehouse import Warehouse, said_in_a_sentence
from shs_pipeline.base.whole_files import write_whole
from shs_pipeline.base.wording import count_of
from shs_pipeline.marts.build import BuildReport
from shs_pipeline.marts.build_failures import BuildError
from shs_pipeline.marts.dbt_build import NodeResult
from shs_pipeline.marts.restated import nobodys_in_words, restated_in_words


class MartsConfig(dg.Config):
    """What can be typed in the launchpad for a build."""

    accept: bool = Field(
        default=False,
        description="Publish the build that is held: what `shs diff held` shows, and nothing else.",
    )


LOGINS_KEY = dg.AssetKey(["access", "logins"])
PUBLICATIONS_KEY = dg.AssetKey(["marts", "publications"])
# Marts are named by the schema they are published in, not the one in which they are audited.
_SCHEMAS = {"candidate": "marts"}


def marts_assets(project: Path) -> dg.AssetsDefinition:
    """Return the assets of all models, with their tests as checks.

    Args:
        project: folder of the parsed project, as `prepare_manifest` returns it.
    """
    graph = _graph_of(project)
    keys = {model["id"]: dg.AssetKey(model["key"]) for model in graph["models"]}
    checks = {
        test["id"]: dg.AssetCheckSpec(test["name"], asset=dg.AssetKey(test["key"])) for test in graph["tests"]
    }

    def run(context: dg.AssetExecutionContext, is_accepted: bool, warehouse: Warehouse) -> Iterator[Any]:
        with said_in_a_sentence():
            if read_back := warehouse.read_back():
                context.log.info(read_back.in_words())
            try:
                report = warehouse.marts(
                    context.run_id, f"Dagster run {context.run_id}" if is_accepted else ""
                )
            except BuildError as error:
                yield from _check_results(context, error.nodes, checks)
                raise
        context.log.info(_told(report))
        yield from _check_results(context, report.nodes, checks)
        for node in report.nodes:
            key = keys.get(node.unique_id)
            if key in context.selected_asset_keys:
                yield dg.MaterializeResult(asset_key=key, metadata=_metadata(node, report))
        with said_in_a_sentence():
            for one in warehouse.hand_out():
                context.log.info("Handed out: %s/", one.folder)

    @dg.multi_asset(
        name="marts",
        specs=[_spec(model) for model in graph["models"]],
        check_specs=list(checks.values()),
        can_subset=True,
    )
    def build(context: dg.AssetExecutionContext, config: MartsConfig, warehouse: Warehouse) -> Iterator[Any]:
        is_accepted = config.accept or context.run.tags.get(ACCEPT_TAG) is not None
        # Told last, and also of a build that is held or fails.
        with warehouse.bucket_told():
            yield from run(context, is_accepted, warehouse)

    return build


def books_assets(project: Path) -> list[dg.AssetSpec]:
    """Return the tables of the books and the ledger that models read and no asset makes.

    Args:
        project: as `marts_assets` takes it.
    """
    return [
        dg.AssetSpec(
            dg.AssetKey(table["key"]),
            group_name="books",
            kinds={"postgres"},
            owners=OWNERS,
            description=table["description"],
        )
        for table in _graph_of(project)["books"]
    ]


def _graph_of(project: Path) -> Mapping[str, Any]:
    """Return what dagster-dbt makes of the models, made once beside the manifest.

    It imports most of dbt, which would double the time that every run's process takes to start.
    """
    path = project / "asset_graph.json"
    if not path.is_file():
        write_whole(path, json.dumps(_graph_by_dagster_dbt(project / "manifest.json")))
    graph: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return graph


def _graph_by_dagster_dbt(manifest: Path) -> dict[str, Any]:
    from dagster_dbt import DagsterDbtTranslator, dbt_assets

    class Translator(DagsterDbtTranslator):
        """Names and groups as people know them."""

        def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
            if dbt_resource_props["resource_type"] != "model":
                return super().get_asset_key(dbt_resource_props)
            schema = dbt_resource_props["schema"]
            return dg.AssetKey([_SCHEMAS.get(schema, schema), dbt_resource_props["name"]])

        def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
            # Without the SQL, which stands in the repository.
            return str(dbt_resource_props["description"])

    @dbt_assets(manifest=manifest, exclude="resource_type:unit_test", dagster_dbt_translator=Translator())
    def models():  # type: ignore[no-untyped-def]  # Dagster reads a return annotation as outputs
        ...

    parsed = json.loads(manifest.read_text(encoding="utf-8"))
    nodes, tables = parsed["nodes"], parsed["sources"].values()
    return {
        "books": [
            {"key": list(Translator().get_asset_key(table).path), "description": table["description"]}
            for table in tables
            # The others are assets of their own.
            if table["description"]
        ],
        "models": [
            {
                "id": (unique_id := spec.metadata["dagster_dbt/unique_id"]),
                "key": list(spec.key.path),
                "deps": [list(dep.asset_key.path) for dep in spec.deps],
                "description": spec.description,
                "columns": [
                    [column["name"], column["data_type"] or "", column["description"]]
                    for column in nodes[unique_id]["columns"].values()
                ],
            }
            for spec in models.specs
        ],
        "tests": [
            {
                "id": spec.metadata["dagster_dbt/unique_id"],
                "name": spec.name,
                "key": list(spec.asset_key.path),
            }
            for spec in models.check_specs
        ],
    }


def _spec(model: Mapping[str, Any]) -> dg.AssetSpec:
    columns = [dg.TableColumn(name, type=kind, description=text) for name, kind, text in model["columns"]]
    schema, name = model["key"]
    return dg.AssetSpec(
        dg.AssetKey(model["key"]),
        deps=[dg.AssetKey(dep) for dep in model["deps"]],
        group_name=schema,
        description=model["description"],
        kinds={"dbt", "postgres"},
        owners=OWNERS,
        metadata={
            "dagster/table_name": f"{schema}.{name}",
            "dagster/column_schema": dg.TableSchema(columns=columns),
        },
    )


def logins_asset() -> dg.AssetsDefinition:
    """Return the asset that lets the login roles follow the people who were published."""

    @dg.asset(
        key=LOGINS_KEY,
        group_name="access",
        deps=[dg.AssetKey(["marts", "people"]), PUBLICATIONS_KEY],
        kinds={"postgres"},
        owners=OWNERS,
        description="The login roles of reps and admins, according to the accepted sales_reps workbook.",
    )
    def sync(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
        with said_in_a_sentence():
            changes = warehouse.sync_logins()
        for change in changes:
            context.log.info(str(change))
        return dg.MaterializeResult(metadata={"changes": dg.MetadataValue.int(len(changes))})

    return sync


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
    kind = "Everything" if report.is_full_refresh else f"{count_of(report.slices, 'month')} of sources"
    done = (
        f"Publication {report.publication.publication_id}: {kind} recomputed, "
        f"{count_of(report.lines, 'line')}, in {report.seconds:.1f} s."
    )
    unpaid = nobodys_in_words(report.nobodys)
    return " ".join([done, *restated_in_words(report.restated), *([f"{unpaid}."] if unpaid else [])])


def _metadata(node: NodeResult, report: BuildReport) -> dict[str, Any]:
    return {
        "publication": dg.MetadataValue.int(report.publication.publication_id),
        "seconds": dg.MetadataValue.float(round(node.seconds, 3)),
    }
