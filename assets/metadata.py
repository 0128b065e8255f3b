"""What a person sees of a materialisation in Dagster's UI."""

from collections.abc import Mapping, Sequence

import dagster as dg

from shs_pipeline.ingest.checks import CheckOutcome
from shs_pipeline.ingest.folder_report import FileReport, FolderReport

_SHOWN = 50

Metadata = Mapping[str, dg.MetadataValue]


def metadata_of(report: FolderReport) -> Metadata:
    """Return files, lines, sums, rows left out and errors of one ingested folder."""
    shown = {
        "files": dg.MetadataValue.int(len(report.files)),
        "files_rejected": dg.MetadataValue.int(len(report.rejected)),
        "lines": dg.MetadataValue.int(report.rows_in_force),
        "dagster/partition_row_count": dg.MetadataValue.int(report.rows_in_force),
        "lines_before": dg.MetadataValue.int(sum(old.rows_loaded for old in report.before)),
        "left_out": dg.MetadataValue.json(report.left_out),
        "seconds": dg.MetadataValue.float(round(report.seconds, 3)),
        "per_file": dg.MetadataValue.md(_files(report)),
    }
    for name, value in report.sums.items():
        shown[f"sum_of_{name}"] = dg.MetadataValue.text(f"{value:,f}")
    workbooks = [file.error_workbook for file in report.rejected if file.error_workbook]
    if workbooks:
        shown["error_workbooks"] = dg.MetadataValue.md("\n".join(f"- `{uri}`" for uri in workbooks))
        shown["errors"] = dg.MetadataValue.md(_errors(report.rejected))
    return shown


def check_result(outcome: CheckOutcome, asset_key: dg.AssetKey) -> dg.AssetCheckResult:
    """Return a check's answer as Dagster shows it."""
    severity = dg.AssetCheckSeverity.ERROR if outcome.severity == "error" else dg.AssetCheckSeverity.WARN
    metadata = {"details": dg.MetadataValue.md(_table(outcome.rows))} if outcome.rows else {}
    return dg.AssetCheckResult(
        asset_key=asset_key,
        check_name=outcome.name,
        passed=outcome.has_passed,
        severity=severity,
        description=outcome.sentence,
        metadata=metadata,
    )


def _files(report: FolderReport) -> str:
    rows = [("file", "status", "lines read", "lines loaded", "left out", "errors", "sha256")]
    for file in report.files:
        left_out = ", ".join(f"{count} {reason}" for reason, count in file.left_out.items())
        rows.append(
            (
                file.path,
                file.status,
                str(file.rows_read),
                str(file.rows_loaded),
                left_out,
                str(file.error_count),
                file.sha256[:12],
            )
        )
    return _table(rows)


def _errors(files: Sequence[FileReport]) -> str:
    rows = [("file", "sheet", "row", "column", "value", "what is wrong", "how to fix it")]
    for file in files:
        for found in file.problems:
            if found.severity == "error":
                place = (found.sheet or "", str(found.row or ""), found.column or "", found.value or "")
                rows.append((file.path, *place, found.problem, found.remedy))
    more = (
        f"\n\n… and {len(rows) - 1 - _SHOWN} more; the error workbook lists them all."
        if len(rows) > _SHOWN + 1
        else ""
    )
    return _table(rows[: _SHOWN + 1]) + more


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a Markdown table, the first as its header."""
    lines = ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())
