"""What a person sees of a materialisation in Dagster's UI."""

from collections.abc import Mapping, Sequence

import dagster as dg

from shs_pipeline.base.wording import shown_address
from shs_pipeline.ingest.checks import ERROR_WORKBOOK, CheckOutcome
from shs_pipeline.ingest.folder_report import FileReport, FolderReport
from shs_pipeline.landing.addresses import console_url

_SHOWN = 50

Metadata = Mapping[str, dg.MetadataValue]


def metadata_of(report: FolderReport) -> Metadata:
    """Return files, lines, sums, rows left out and errors of one ingested folder."""
    shown: dict[str, dg.MetadataValue] = {
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
    shown |= error_workbooks(workbooks)
    if workbooks:
        shown["errors"] = dg.MetadataValue.md(_errors(report.rejected))
    return shown


def error_workbooks(uris: Sequence[str]) -> Metadata:
    """Return where error workbooks are: links that a browser follows, or paths to be copied."""
    if not uris:
        return {}
    if len(uris) == 1:
        url = console_url(uris[0])
        found = dg.MetadataValue.url(url) if url else dg.MetadataValue.path(shown_address(uris[0]))
        return {"error_workbook": found}
    return {"error_workbooks": dg.MetadataValue.md("\n".join(f"- {_place(uri)}" for uri in uris))}


def check_result(outcome: CheckOutcome, asset_key: dg.AssetKey) -> dg.AssetCheckResult:
    """Return a check's answer as Dagster shows it."""
    severity = dg.AssetCheckSeverity.ERROR if outcome.severity == "error" else dg.AssetCheckSeverity.WARN
    metadata = {"details": dg.MetadataValue.md(_table(outcome.rows, ERROR_WORKBOOK))} if outcome.rows else {}
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


def _table(rows: Sequence[Sequence[str]], places: str = "") -> str:
    """Return rows as a Markdown table, the first as its header.

    Args:
        places: name of the column with addresses of files.
    """
    at = list(rows[0]).index(places) if places in rows[0] else None

    def shown(row: Sequence[str]) -> list[str]:
        return [_place(cell) if number == at else _cell(cell) for number, cell in enumerate(row)]

    body = [shown(row) for row in rows[1:]]
    lines = [f"| {' | '.join(row)} |" for row in [[_cell(name) for name in rows[0]], *body]]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def _place(uri: str) -> str:
    """Return the address of a file: a link to S3's console, else what can be copied."""
    url = console_url(uri)
    if url is None:
        return f"`{shown_address(uri).replace('`', '').replace('|', chr(92) + '|')}`" if uri else ""
    name = _cell(uri.rpartition("/")[2]).replace("[", "(").replace("]", ")")
    return f"[{name}]({url})"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())
