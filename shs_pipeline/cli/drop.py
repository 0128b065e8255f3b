"""`shs drop`: put a file where its source and month belong."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shs_pipeline.errors import ShsError

if TYPE_CHECKING:
    from shs_pipeline.settings import Settings
    from shs_pipeline.source import Declaration

PANEL = "Data"


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(rich_help_panel=PANEL)(drop)


def drop(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file, as the supplier sent it.")],
    *,
    source: Annotated[
        str, typer.Option("--source", metavar="NAME", help="Whose file it is; or the reference table it is.")
    ],
    month: Annotated[
        str | None, typer.Option(metavar="YYYY-MM", help="Commission month; not for a reference table.")
    ] = None,
    revenue_month: Annotated[
        str | None, typer.Option(metavar="YYYY-MM", help="Revenue month, where the file does not say it.")
    ] = None,
    overlap_ok: Annotated[
        bool, typer.Option("--overlap-ok", help="It counts although it looks like a corrected copy.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of a file of the same name.")
    ] = False,
) -> None:
    """Copy a file into the right folder of the landing zone.

    Examples: [bold]shs drop "March report.xlsx" --source cygnus --month 2025-03[/bold],
    [bold]shs drop pivot.xlsx --source summit_medical --month 2025-04 --revenue-month 2025-03[/bold],
    [bold]shs drop tiers.xlsx --source commission_tiers[/bold]
    """
    from shs_pipeline.cli.arguments import declaration_named, file_content, month_typed
    from shs_pipeline.reading import SourceFile
    from shs_pipeline.settings import load_settings
    from shs_pipeline.source import check_can_be_opened

    settings = load_settings()
    declaration = declaration_named(source)
    commission = month_typed(month, "--month") if month else None
    revenue = month_typed(revenue_month, "--revenue-month") if revenue_month else None
    path = path_of(declaration, file.name, commission, revenue, overlap_ok)
    content = file_content(file)
    check_can_be_opened(declaration, SourceFile(file.name, content), settings.max_file_mb * 2**20)
    _put(settings, path, content, may_replace=replace)


def _put(settings: Settings, path: str, content: bytes, *, may_replace: bool) -> None:
    from shs_pipeline.cli.terminal import results, say, shown_address
    from shs_pipeline.landing import Landing

    console, landing = results(), Landing(settings.landing)
    there = landing.read(path)
    if there == content:
        say(console, f"The same file lies there already: {shown_address(landing.uri(path))}")
    elif there is not None and not may_replace:
        raise ShsError(
            f"Another file lies there already: {path}.",
            "Add --replace to put this one in its place (its lines then replace the other's), or rename the "
            "file to add its lines.",
        )
    else:
        landing.write(path, content)
        done = "Replaced" if there is not None else "Dropped"
        say(console, f"{done}: {shown_address(landing.uri(path))}")
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
            f"{name} carries no date, so the drop must name the revenue month.",
            "Add it as --revenue-month YYYY-MM.",
        )


def _what_is_next(settings: Settings) -> str:
    from shs_pipeline.supervisor import running_system

    running = running_system(settings)
    if running is None:
        return "Next: shs run ingests it now; shs up keeps watching the landing zone."
    return (
        f"It is picked up within about {settings.sensor_seconds} s: see {running.url}, or shs status. "
        "If it is rejected, shs errors says why."
    )
