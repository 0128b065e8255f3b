"""Where in the landing zone a file belongs: as the user said, or else as guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from shs_pipeline.base.errors import ShsError

if TYPE_CHECKING:
    from shs_pipeline.file_reader.reader import FileReader
    from shs_pipeline.files.reading import SourceFile
    from shs_pipeline.files.source import Declaration, MonthlyFiles
    from shs_pipeline.landing.zone import Landing
    from shs_pipeline.settings.settings import Settings


@dataclass
class Target:
    """Where a file is to go.

    Attributes:
        guessed: what was not said by whoever drops it, with the evidence; empty where nothing was guessed.
    """

    declaration: Declaration
    month: date | None = None
    revenue_month: date | None = None
    guessed: list[str] = field(default_factory=list)


def target_of(
    settings: Settings,
    reader: FileReader,
    landing: Landing,
    file: SourceFile,
    source: str | None,
    month: date | None,
) -> Target:
    """Return where a file belongs: as it is said, and guessed where it is not."""
    from shs_pipeline.files.source import MonthlyFiles
    from shs_pipeline.reference.names import declaration_named

    if source is not None:
        target = Target(declaration_named(source), month, file.revenue_month)
    else:
        found = reader.guess(file, settings.max_file_mb * 2**20)
        target = Target(declaration_named(found.declaration), month, file.revenue_month)
        why = (
            f"it has {found.found} of its {found.wanted} columns"
            if found.wanted
            else "only this source sends such files"
        )
        target.guessed.append(f"source {found.declaration}: {why}")
    if isinstance(target.declaration, MonthlyFiles) and month is None:
        _guess_months(settings, reader, landing, file, target)
    return target


def _guess_months(
    settings: Settings, reader: FileReader, landing: Landing, file: SourceFile, target: Target
) -> None:
    """Fill in the commission month, and the revenue month of a file that must name it."""
    from shs_pipeline.base.months import month_text
    from shs_pipeline.base.wording import count_of
    from shs_pipeline.file_reader.guess_month import guess_month, guess_revenue_month
    from shs_pipeline.files.source import MonthlyFiles, Source

    source = target.declaration
    assert isinstance(source, MonthlyFiles)
    drops = [drop.place for drop in landing.drops(f"incoming/{source.name}")]
    present = {place.commission_month for place in drops if place.commission_month is not None}
    found = guess_month(file.name, _dates(settings, reader, source, file), present)
    if found.month is None:
        raise _unsure(file.name, source, found.evidence, found.candidates)
    target.month = found.month
    target.guessed.append(f"commission month {month_text(found.month)}: {'; '.join(found.evidence)}")
    extension = Path(file.name).suffix.lower()
    must_name = isinstance(source, Source) and source.revenue_month_given.get(extension)
    if target.revenue_month is None and must_name:
        lags = {
            place.commission_month: place.revenue_month
            for place in drops
            if place.commission_month and place.revenue_month
        }
        revenue = guess_revenue_month(found.month, lags)
        if revenue is not None:
            target.revenue_month = revenue
            target.guessed.append(
                f"revenue month {month_text(revenue)}: as with {count_of(len(lags), 'earlier file')}"
            )


def _dates(
    settings: Settings, reader: FileReader, source: MonthlyFiles, file: SourceFile
) -> Sequence[date | None]:
    """Return the revenue date of each line; none where the file has none, or cannot be read whole."""
    from dataclasses import replace
    from datetime import date

    from shs_pipeline.files.reading import CopyLines
    from shs_pipeline.files.source import Source
    from shs_pipeline.ingest.checking import known_values

    if not isinstance(source, Source) or source.revenue_month_given.get(Path(file.name).suffix.lower()):
        return []
    known, _ = known_values(settings, reader, source)
    whole = replace(file, known=known)
    outcome = reader.read(source.name, whole, settings.max_file_mb * 2**20, ["revenue_date"])
    if not isinstance(outcome.lines, CopyLines):
        return []
    return [date.fromisoformat(day) for day in outcome.lines.cells["revenue_date"]]


def _unsure(name: str, source: MonthlyFiles, evidence: Sequence[str], candidates: Sequence[date]) -> ShsError:
    from shs_pipeline.base.months import month_text

    if not candidates:
        said = f" ({'; '.join(evidence)})" if evidence else ""
        return ShsError(
            f"The commission month of {name} is missing, and neither its name nor its lines show it{said}.",
            "Add it as --month YYYY-MM, such as --month 2025-03; shs check FILE says what is in the file.",
        )
    months = " or ".join(month_text(month) for month in candidates)
    commands = " or ".join(f"--month {month_text(month)}" for month in candidates)
    return ShsError(
        f"The commission month of {name} could be {months}: {'; '.join(evidence)}.",
        f"Say which month the commission is paid in: --source {source.name} with {commands}.",
    )


def path_of(
    declaration: Declaration, name: str, month: date | None, revenue_month: date | None, overlap_ok: bool
) -> str:
    """Return where in the landing zone a file belongs.

    Raises:
        ShsError: the options do not fit the source, or no such place is read.
    """
    from shs_pipeline.base.months import month_text
    from shs_pipeline.files.source import MonthlyFiles
    from shs_pipeline.landing.places import INCOMING, REFERENCE
    from shs_pipeline.landing.zone import place_of

    if not isinstance(declaration, MonthlyFiles):
        if month or revenue_month or overlap_ok:
            raise ShsError(
                f"{declaration.name} is a reference table, so it has no month and no overlap.",
                "Leave out --month, --revenue-month and --overlap-ok.",
            )
        return f"{REFERENCE}/{declaration.name}.xlsx"
    if month is None:
        raise ShsError(
            f"The commission month of {name} is missing.",
            "Add it as --month YYYY-MM, such as --month 2025-03.",
        )
    if name.startswith((".", "~$")):
        raise ShsError(f"Files with a name like {name} are never read.", "Rename the file and drop it again.")
    _check_revenue_month(declaration, name, revenue_month)
    folders = [INCOMING, declaration.name, month_text(month)]
    folders += [f"rev={month_text(revenue_month)}"] if revenue_month else []
    folders += ["overlap=ok"] if overlap_ok else []
    path = "/".join([*folders, name])
    place = place_of(path)
    if place.kind == "unknown":
        raise ShsError(place.problem, place.remedy)
    return path


def _check_revenue_month(declaration: Declaration, name: str, revenue_month: date | None) -> None:
    from shs_pipeline.files.source import Source

    extension = Path(name).suffix.lower()
    given = declaration.revenue_month_given if isinstance(declaration, Source) else {}
    if revenue_month is not None and extension not in given:
        raise ShsError(
            f"{declaration.name} takes the revenue month from the {extension} file itself.",
            "Leave out --revenue-month.",
        )
    if revenue_month is None and given.get(extension):
        raise ShsError(
            f"{name} contains no date, so you must name the revenue month.",
            "Add it as --revenue-month YYYY-MM.",
        )
