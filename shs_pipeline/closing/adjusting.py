"""A file with one adjustment, as `shs adjust` writes it into the landing zone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from itertools import count
from typing import TYPE_CHECKING

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.months import month_text
from shs_pipeline.landing.names import ADJUSTMENTS
from shs_pipeline.landing.places import INCOMING

if TYPE_CHECKING:
    from shs_pipeline.ingest.ingestion import Ingestion


def adjustment_file(job: Ingestion, month: date, row: Mapping[str, object]) -> tuple[str, bytes]:
    """Return where a new file of a month goes, and the file with one adjustment in it.

    Args:
        row: values by database name, as `AdjustmentRows` has them.

    Raises:
        ShsError: it would be rejected; says why.
    """
    from shs_pipeline.files.reading import SourceFile
    from shs_pipeline.files.source import ReferenceTable, read_file
    from shs_pipeline.ingest.known_values import known_values
    from shs_pipeline.reference.export import export_workbook
    from shs_pipeline.sources.adjustments import ADJUSTMENT_FILES, KINDS

    files = ADJUSTMENT_FILES
    choices = {"kind": KINDS}
    sheet = ReferenceTable(
        name=files.name, title=files.title, rows=files.rows, readers=files.readers, choices=choices
    )
    content = export_workbook(sheet, [row], choices)
    path = _new_path(job, month)
    known = job.query(lambda connection: known_values(connection, files))
    name = path.rpartition("/")[2]
    file = SourceFile(name, content, known=known, commission_month=month)
    if errors := read_file(files, file, job.max_bytes).errors:
        raise ShsError(f"Nothing was written: {errors[0].problem}", errors[0].remedy)
    return path, content


def _new_path(job: Ingestion, month: date) -> str:
    folder = f"{INCOMING}/{ADJUSTMENTS}/{month_text(month)}"
    taken = {drop.path for drop in job.landing.drops(folder)}
    paths = (f"{folder}/adjustment {number}.xlsx" for number in count(1))
    return next(path for path in paths if path not in taken)
