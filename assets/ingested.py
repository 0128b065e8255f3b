"""One asset per source, partitioned by commission month; one per reference table; one for misplaced files."""

from collections.abc import Sequence

import dagster as dg

from assets.catalogue import OWNERS
from assets.metadata import metadata_of
from assets.partitions import COMMISSION_MONTHS
from assets.warehouse import Warehouse, said_in_a_sentence
from shs_pipeline.base.months import parse_month
from shs_pipeline.files.contract import columns_of
from shs_pipeline.files.source import Declaration, MonthlyFiles, ReferenceTable
from shs_pipeline.ingest.changes import UNKNOWN_FOLDER, Folder, partition_folder, reference_folder
from shs_pipeline.ingest.folder_report import FolderReport
from shs_pipeline.ingest.run import trouble_of
from shs_pipeline.landing.zone import LandingError

ACCEPT_TAG = "shs/accept"
"""A run with this tag may withdraw and publish what `shs run --accept` may."""


def source_key(name: str) -> dg.AssetKey:
    """Return the asset of a source: its raw table."""
    return dg.AssetKey(["raw", name])


def reference_key(name: str) -> dg.AssetKey:
    """Return the asset of a reference table."""
    return dg.AssetKey(["reference", name])


def bucket_asset() -> dg.AssetSpec:
    """Return where everything comes from, which admins fill and the system only reads."""
    return dg.AssetSpec(
        BUCKET_KEY,
        group_name="landing",
        kinds={"excel", "pdf"},
        owners=OWNERS,
        description="The landing zone: the files that admins dropped, unchanged.",
    )


BUCKET_KEY = dg.AssetKey(["landing", "bucket"])
UNKNOWN_KEY = dg.AssetKey(["landing", "unknown_places"])


def source_asset(source: MonthlyFiles) -> dg.AssetsDefinition:
    """Return the asset that brings a month of a source, or of the adjustments, in line with its folder."""
    key = source_key(source.name)

    @dg.asset(
        key=key,
        group_name="sources",
        kinds={"excel", "postgres"},
        owners=OWNERS,
        deps=[BUCKET_KEY, *(reference_key(name) for name in source.needs)],
        partitions_def=COMMISSION_MONTHS,
        # A range of months is one run, however many months it has.
        backfill_policy=dg.BackfillPolicy.single_run(),
        description=_description(source),
        metadata={**_columns(source), "dagster/table_name": f"raw.{source.name}"},
    )
    def ingest(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
        months = [month for key in context.partition_keys if (month := parse_month(key))]
        folders = [partition_folder(source.name, month) for month in months]
        return _ingest(context, warehouse, key, folders)

    return ingest


def reference_asset(table: ReferenceTable) -> dg.AssetsDefinition:
    """Return the asset that puts the dropped version of a reference table in force."""
    key = reference_key(table.name)

    @dg.asset(
        key=key,
        group_name="reference",
        kinds={"excel", "postgres"},
        owners=OWNERS,
        deps=[BUCKET_KEY],
        description=_description(table),
        metadata={**_columns(table), "dagster/table_name": f"reference.{table.name}"},
    )
    def ingest(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
        return _ingest(context, warehouse, key, [reference_folder(table.name)])

    return ingest


def unknown_places_asset() -> dg.AssetsDefinition:
    """Return the asset that says where each misplaced file belongs."""

    @dg.asset(
        key=UNKNOWN_KEY,
        group_name="landing",
        kinds={"excel"},
        owners=OWNERS,
        deps=[BUCKET_KEY],
        description="Files in folders that are not read: each is rejected with a note on where it belongs.",
    )
    def ingest(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
        return _ingest(context, warehouse, UNKNOWN_KEY, [Folder(UNKNOWN_FOLDER)])

    return ingest


def _ingest(
    context: dg.AssetExecutionContext, warehouse: Warehouse, key: dg.AssetKey, folders: Sequence[Folder]
) -> dg.MaterializeResult:
    done: list[tuple[Folder, FolderReport]] = []
    with said_in_a_sentence(), warehouse.ingestion(context.run_id) as job:
        job.files.start()
        job.may_withdraw = context.run.tags.get(ACCEPT_TAG) is not None
        for folder in folders:
            try:
                done.append((folder, job.folder(folder)))
            except LandingError as error:
                # The other months of the run are no worse for it.
                job.failures[folder] = error
        trouble = trouble_of(job)
        for folder, report in done:
            _tell(context, key, folder, report, is_failing=trouble is not None)
        if trouble is not None:
            # No build follows that would tell it.
            with warehouse.bucket_told():
                raise trouble
    return dg.MaterializeResult(asset_key=key)


def _tell(
    context: dg.AssetExecutionContext,
    key: dg.AssetKey,
    folder: Folder,
    report: FolderReport,
    *,
    is_failing: bool,
) -> None:
    for file in report.files:
        context.log.info("%s: %s, %d lines", file.path, file.status, file.rows_loaded)
    month = folder.key.split("/")[1] if folder.is_partition else None
    metadata = dict(metadata_of(report))
    if is_failing and not report.is_held:
        # What a step logs is lost when it fails.
        done = dg.AssetMaterialization(asset_key=key, partition=month, metadata=metadata)
        context.instance.report_runless_asset_event(done)
    elif not is_failing:
        context.add_asset_metadata(metadata, asset_key=key, partition_key=month)


def _description(declaration: Declaration) -> str:
    """Return what the declaring module says about the file."""
    module = __import__(declaration.rows.__module__, fromlist=["__doc__"])
    return (module.__doc__ or "").strip()


def _columns(declaration: Declaration) -> dict[str, dg.MetadataValue]:
    columns = [
        dg.TableColumn(
            column.name,
            type=column.sql_type,
            description=f"{column.header}: {column.description}",
            constraints=dg.TableColumnConstraints(nullable=not column.is_required),
        )
        for column in columns_of(declaration.rows)
    ]
    return {"dagster/column_schema": dg.MetadataValue.table_schema(dg.TableSchema(columns))}
