"""What a file is and whether it would be loaded, before anyone drops it.

Nothing is written and no server is started: reference values come from the database if it is running,
otherwise from the workbook in the landing zone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.months import today
from shs_pipeline.landing.names import ADJUSTMENTS

if TYPE_CHECKING:
    from pydantic import SecretStr

    from shs_pipeline.file_reader.reader import FileReader
    from shs_pipeline.files.reading import Problem, SourceFile
    from shs_pipeline.files.source import Declaration, FileOutcome
    from shs_pipeline.ingest.known_values import Known
    from shs_pipeline.landing.zone import Place
    from shs_pipeline.settings.settings import Settings

_MAP = "service_to_product"


@dataclass(frozen=True)
class Subject:
    """What is checked.

    Attributes:
        because: how it is known what the file is.
        commission_month, is_early_ok: what its place in the landing zone says, if it is there.
    """

    declaration: Declaration
    because: str
    revenue_month: date | None = None
    commission_month: date | None = None
    is_early_ok: bool = False


def file_reader(settings: Settings) -> FileReader:
    """Return what reads files within the limits that the settings say."""
    from shs_pipeline.file_reader.process import Limits
    from shs_pipeline.file_reader.reader import FileReader

    return FileReader(Limits(settings.read_seconds, settings.read_memory_mb))


def judge(
    settings: Settings, reader: FileReader, subject: Subject, file: SourceFile
) -> tuple[FileOutcome, list[str]]:
    """Check a file against its contract; also return, in sentences, what could not be checked.

    A file whose drop must name a month is given one, so that the rest of it can be checked.
    """
    declaration = subject.declaration
    known, doubts = known_values(settings, reader, declaration)
    month = subject.revenue_month
    if month is None and _must_name_a_month(declaration, file.name):
        doubts.append(f"{file.name} contains no date, so drop it with --revenue-month YYYY-MM.")
        month = today().replace(day=1)
    whole = replace(
        file,
        revenue_month=month,
        known=known,
        commission_month=subject.commission_month,
        is_early_ok=subject.is_early_ok,
    )
    return reader.read(declaration.name, whole, settings.max_file_mb * 2**20), doubts


def subject_of(
    settings: Settings,
    reader: FileReader,
    path: Path,
    file: SourceFile,
    source: str | None,
    given: date | None,
) -> Subject:
    """Return what a file is: as told, as its place in the landing zone says, or by its columns.

    Args:
        given: the revenue month that the drop would name.

    Raises:
        ShsError: there is no such source, or the columns are those of none or of several.
    """
    from shs_pipeline.reference.names import declaration_named

    place = _place_in_landing(settings, path)
    month = given or (place.revenue_month if place else None)
    if source is not None:
        name, because = source, "as told"
    elif place is not None and place.name is not None:
        name, because = place.name, "it is in that folder"
    else:
        found = reader.guess(file, settings.max_file_mb * 2**20)
        name = found.declaration
        because = (
            f"it has {found.found} of its {found.wanted} columns"
            if found.wanted
            else "only that source sends such files"
        )
    subject = Subject(declaration_named(name), because, month)
    if place is not None and place.name == subject.declaration.name:
        return replace(subject, commission_month=place.commission_month, is_early_ok=place.is_early_ok)
    return subject


def _place_in_landing(settings: Settings, path: Path) -> Place | None:
    """Return what the place of a file in the landing zone says; None for a file elsewhere."""
    from shs_pipeline.landing.zone import place_of

    key = _key_in_landing(settings, path)
    return None if key is None else place_of(key)


def _key_in_landing(settings: Settings, path: Path) -> str | None:
    from shs_pipeline.base.wording import shown_address

    root = Path(shown_address(settings.landing))
    try:
        return path.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return None


def refusal_of_place(settings: Settings, path: Path) -> Problem | None:
    """Return why a file is rejected because of its place in the landing zone, whatever it contains."""
    from shs_pipeline.files.reading import Problem
    from shs_pipeline.landing.listing import name_refused
    from shs_pipeline.landing.places import is_of_an_admin
    from shs_pipeline.landing.zone import place_of

    key = _key_in_landing(settings, path)
    if key is None or not is_of_an_admin(key):
        return None
    if refused := name_refused(key):
        return Problem(*refused)
    place = place_of(key)
    return Problem(place.problem, place.remedy) if place.kind == "unknown" else None


def _must_name_a_month(declaration: Declaration, name: str) -> bool:
    from shs_pipeline.files.source import Source

    extension = PurePosixPath(name).suffix.lower()
    return isinstance(declaration, Source) and bool(declaration.revenue_month_given.get(extension))


def known_values(settings: Settings, reader: FileReader, declaration: Declaration) -> tuple[Known, list[str]]:
    """Return the values that a reader needs, and what cannot be checked for lack of them.

    They come from the database if it is running, else from the workbook in the landing zone.
    """
    if declaration.name == ADJUSTMENTS:
        known = _from_database(settings, declaration)
        doubt = (
            "Reps, approvers and closed months were not checked: the database is not running, or is empty."
        )
        return (known, []) if known else ({}, [doubt])
    if _MAP not in getattr(declaration, "needs", ()):
        return {}, []
    known = _from_database(settings, declaration) or _from_landing(settings, reader)
    if known is not None:
        return known, []
    doubt = (
        f"Service lines were not checked: no {_MAP} table is in force, and there is no readable one in the "
        "landing zone."
    )
    from shs_pipeline.files.reading import Everything

    return {_MAP: Everything()}, [doubt]


def _from_database(settings: Settings, declaration: Declaration) -> Known | None:
    """Return the values in force; None without a running database, which is not started for this."""
    import psycopg

    from shs_pipeline.database.connection import connect
    from shs_pipeline.ingest.known_values import known_values

    try:
        url = running_warehouse(settings)
        if url is None:
            return None
        with connect(url) as connection:
            known = known_values(connection, declaration)
    except (ShsError, psycopg.Error):  # away, or without tables so far
        return None
    return known if any(known.values()) else None


def running_warehouse(settings: Settings) -> SecretStr | None:
    """Return the owner's URL of the warehouse; None without a running database, which is not started.

    Raises:
        ShsError: the database cannot be used.
    """
    from shs_pipeline.database.address import server_url
    from shs_pipeline.database.databases import prepare
    from shs_pipeline.database.embedded_postgres import EmbeddedPostgres

    if url := server_url(settings):
        return url
    if EmbeddedPostgres(settings.home, settings.pg_bin).status().state != "running":
        return None
    return prepare(settings).warehouse_url


def _from_landing(settings: Settings, reader: FileReader) -> Known | None:
    """Return the values of the workbook in the landing zone, if one is there that can be read."""
    from shs_pipeline.casting.cells import match_key
    from shs_pipeline.files.reading import CopyLines, SourceFile
    from shs_pipeline.landing.places import REFERENCE
    from shs_pipeline.landing.zone import Landing

    path = f"{REFERENCE}/{_MAP}.xlsx"
    try:
        content = Landing(settings.landing).read(path)
    except ShsError:
        return None
    if content is None:
        return None
    outcome = reader.read(_MAP, SourceFile(path, content), settings.max_file_mb * 2**20, ["service_lines"])
    if not isinstance(outcome.lines, CopyLines):
        return None
    return {_MAP: frozenset(match_key(name) for name in outcome.lines.cells["service_lines"])}
