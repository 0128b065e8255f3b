"""Nobody may bring an adjustment that pays them, or takes something back from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shs_pipeline.files.reading import Problem

if TYPE_CHECKING:
    import psycopg

    from shs_pipeline.ingest.folder_report import FileReport

_OWN = """
    select lines.source_sheet, lines.source_row, lines.sales_rep_name, files.actor
    from raw.adjustments as lines
    inner join ops.files as files using (file_id)
    left join reference.payee_names as names on names.name_key = ops.match_key(lines.sales_rep_name)
    left join reference.payees as payees using (payee_id)
    inner join reference.sales_reps as reps
        on ops.match_key(reps.sales_rep_name) in (payees.name_key, ops.match_key(lines.sales_rep_name))
    inner join reference.versions as versions on versions.file_id = reps.file_id
    where
        lines.file_id = %s
        and versions.in_force_until is null
        and ops.is_actor(files.actor, reps.email, reps.sales_rep_name)
    order by lines.source_sheet collate "C", lines.source_row
"""


def own_adjustments(connection: psycopg.Connection, report: FileReport) -> list[Problem]:
    """Return an error for each row of a file just loaded whose rep is the one who brought the file."""
    return [
        Problem(
            f"{rep} brought this file ({actor}), and nobody adjusts their own pay.",
            "Have somebody else bring it, or take the row out.",
            sheet=sheet,
            row=row,
            column="Sales Rep Name",
            value=rep,
        )
        for sheet, row, rep, actor in connection.execute(_OWN, [report.file_id])
    ]
