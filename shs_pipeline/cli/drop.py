"""`shs drop`: put a file where its source and month belong."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shs_pipeline.errors import ShsError

if TYPE_CHECKING:
    from shs_pipeline.file_reader.reader import FileReader
    from shs_pipeline.landing import Landing
    from shs_pipeline.reading import SourceFile
    from shs_pipeline.settings import Settings
    from shs_pipeline.source import Declaration, Source

PANEL = "Data"


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


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(rich_help_panel=PANEL)(drop)


def drop(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file, as the supplier sent it.")],
    *,
    source: Annotated[
        str | None,
        typer.Option("--source", metavar="NAME", help="Source or reference table; guessed by default."),
    ] = None,
    month: Annotated[
        str | None, typer.Option(metavar="YYYY-MM", help="Commission month; guessed by default.")
    ] = None,
    revenue_month: Annotated[
        str | None, typer.Option(metavar="YYYY-MM", help="Revenue month, where the file does not say it.")
    ] = None,
    overlap_ok: Annotated[
        bool, typer.Option("--overlap-ok", help="It counts although it looks like a corrected copy.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the file of the same name that is there.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether a guess is right.")] = False,
) -> None:
    """Copy a file into the right folder of the landing zone.

    What you do not say is guessed from the columns, the name and the dates of the file, shown with its
    evidence, and done once you agree. Where several sources or months are possible they are listed.

    Examples: [bold]shs drop "March report.xlsx"[/bold],
    [bold]shs drop "March report.xlsx" --source cygnus --month 2025-03[/bold],
    [bold]shs drop pivot.xlsx --source summit_medical --month 2025-04 --revenue-month 2025-03[/bold]
    """
    from shs_pipeline.cli.arguments import file_content, month_typed
    from shs_pipeline.cli.check import file_reader
    from shs_pipeline.landing import Landing
    from shs_pipeline.reading import SourceFile
    from shs_pipeline.settings import load_settings

    settings = load_settings()
    given = month_typed(month, "--month") if month else None
    revenue = month_typed(revenue_month, "--revenue-month") if revenue_month else None
    content = file_content(file)
    dropped = SourceFile(file.name, content, revenue_month=revenue)
    landing = Landing(settings.landing)
    with file_reader(settings) as reader:
        target = _target(settings, reader, landing, dropped, source, given)
        path = path_of(target.declaration, file.name, target.month, target.revenue_month, overlap_ok)
        reader.check_can_be_opened(target.declaration.name, dropped, settings.max_file_mb * 2**20)
    if target.guessed and not yes:
        _confirm(target, path)
    elif target.guessed:
        _show_guess(target)
    _put(settings, landing, path, content, may_replace=replace)


# --- what is not said --------------------------------------------------------------------


def _target(
    settings: Settings,
    reader: FileReader,
    landing: Landing,
    file: SourceFile,
    source: str | None,
    month: date | None,
) -> Target:
    """Return where a file belongs: as it is said, and guessed where it is not."""
    from shs_pipeline.cli.arguments import declaration_named
    from shs_pipeline.source import Source

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
    if isinstance(target.declaration, Source) and month is None:
        _guess_months(settings, reader, landing, file, target)
    return target


def _guess_months(
    settings: Settings, reader: FileReader, landing: Landing, file: SourceFile, target: Target
) -> None:
    """Fill in the commission month, and the revenue month of a file that must name it."""
    from shs_pipeline.cli.terminal import count_of
    from shs_pipeline.guess_month import guess_month, guess_revenue_month
    from shs_pipeline.months import month_text
    from shs_pipeline.source import Source

    source = target.declaration
    assert isinstance(source, Source)
    drops = [drop.place for drop in landing.drops(f"incoming/{source.name}")]
    present = {place.commission_month for place in drops if place.commission_month is not None}
    found = guess_month(file.name, _dates(settings, reader, source, file), present)
    if found.month is None:
        raise _unsure(file.name, source, found.evidence, found.candidates)
    target.month = found.month
    target.guessed.append(f"commission month {month_text(found.month)}: {'; '.join(found.evidence)}")
    extension = Path(file.name).suffix.lower()
    if target.revenue_month is None and source.revenue_month_given.get(extension):
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


def _dates(settings: Settings, reader: FileReader, source: Source, file: SourceFile) -> Sequence[date | None]:
    """Return the revenue date of each line; none where the file has none, or cannot be read whole."""
    from dataclasses import replace
    from datetime import date

    from shs_pipeline.cli.check import known_values
    from shs_pipeline.copy_text import CopyLines

    if source.revenue_month_given.get(Path(file.name).suffix.lower()):
        return []
    known, _ = known_values(settings, reader, source)
    whole = replace(file, known=known)
    outcome = reader.read(source.name, whole, settings.max_file_mb * 2**20, ["revenue_date"])
    if not isinstance(outcome.lines, CopyLines):
        return []
    return [date.fromisoformat(day) for day in outcome.lines.cells["revenue_date"]]


def _unsure(name: str, source: Source, evidence: Sequence[str], candidates: Sequence[date]) -> ShsError:
    from shs_pipeline.months import month_text

    if not candidates:
        said = f" ({'; '.join(evidence)})" if evidence else ""
        return ShsError(
            f"The commission month of {name} is missing, and neither its name nor its lines tell it{said}.",
            "Add it as --month YYYY-MM, such as --month 2025-03; shs check FILE says what is in the file.",
        )
    months = " or ".join(month_text(month) for month in candidates)
    commands = " or ".join(f"--month {month_text(month)}" for month in candidates)
    return ShsError(
        f"The commission month of {name} may be {months}: {'; '.join(evidence)}.",
        f"Say in which month the commission is paid: --source {source.name} with {commands}.",
    )


def _show_guess(target: Target) -> None:
    from shs_pipeline.cli.terminal import results, say

    for line in target.guessed:
        say(results(), f"Guessed {line}.")


def _confirm(target: Target, path: str) -> None:
    """Show the guess and ask; where nobody can answer, say what would be done."""
    from shs_pipeline.cli.terminal import results, say

    _show_guess(target)
    if not _is_somebody_there():
        raise ShsError(
            f"Nothing was dropped: the file would go to {path}, but nobody is there to agree.",
            f"Add --yes to accept the guess, or say it: {_said(target)}.",
        )
    say(results(), f"It would go to {path}", is_copied=True)
    if not _agrees():
        raise ShsError("Nothing was dropped.", f"Say where it belongs: {_said(target)}.")


def _is_somebody_there() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _agrees() -> bool:
    try:
        return input("Is that right? [y/N] ").strip().casefold() in ("y", "yes")
    except EOFError:
        return False


def _said(target: Target) -> str:
    from shs_pipeline.months import month_text

    options = [f"--source {shlex.quote(target.declaration.name)}"]
    options += [f"--month {month_text(target.month)}"] if target.month else []
    options += [f"--revenue-month {month_text(target.revenue_month)}"] if target.revenue_month else []
    return " ".join(options)


# --- where it goes -----------------------------------------------------------------------


def _put(settings: Settings, landing: Landing, path: str, content: bytes, *, may_replace: bool) -> None:
    from shs_pipeline.cli.terminal import results, say, shown_address

    console = results()
    there = landing.read(path)
    if there == content:
        said = "The same file lies there already"
    elif there is not None and not may_replace:
        raise ShsError(
            f"Another file lies there already: {path}.",
            "Add --replace to put this one in its place (its lines then replace the other's), or rename the "
            "file to add its lines.",
        )
    else:
        landing.write(path, content)
        said = "Replaced" if there is not None else "Dropped"
    say(console, f"{said}: {shown_address(landing.uri(path))}", is_copied=True)
    say(console, _what_is_next(settings))


def path_of(
    declaration: Declaration, name: str, month: date | None, revenue_month: date | None, overlap_ok: bool
) -> str:
    """Return where in the landing zone a file belongs.

    Raises:
        ShsError: the options do not fit the source, or no such place is read.
    """
    from shs_pipeline.landing import INCOMING, REFERENCE, place_of
    from shs_pipeline.months import month_text
    from shs_pipeline.source import Source

    if not isinstance(declaration, Source):
        if month or revenue_month or overlap_ok:
            raise ShsError(
                f"{declaration.name} is a reference table, which has no month and no overlap.",
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
    from shs_pipeline.source import Source

    assert isinstance(declaration, Source)
    extension = Path(name).suffix.lower()
    if revenue_month is not None and extension not in declaration.revenue_month_given:
        raise ShsError(
            f"{declaration.name} takes the revenue month from the {extension} file itself.",
            "Leave out --revenue-month.",
        )
    if revenue_month is None and declaration.revenue_month_given.get(extension):
        raise ShsError(
            f"{name} carries no date, so you must name the revenue month.",
            "Add it as --revenue-month YYYY-MM.",
        )


def _what_is_next(settings: Settings) -> str:
    from shs_pipeline.supervisor import running_system

    running = running_system(settings)
    if running is None:
        return "Next: shs run ingests it now; shs up watches the landing zone all the time."
    return (
        f"It will be picked up within about {settings.sensor_seconds} s: see {running.url}, or shs status. "
        "If it is rejected, shs errors says why."
    )
