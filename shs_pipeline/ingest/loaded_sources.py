"""Which sources have loaded lines, whether or not this version of the system has them.

An older version, or a checkout in which a new source was undone, may find lines of a source that it does not
have. It leaves them alone, since it cannot read their files again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.wording import count_of, form_for
from shs_pipeline.landing.names import INCOMING_NAMES

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True)
class LoadedSource:
    """The files of a source that are in force: how many, and the path of one."""

    name: str
    files: int
    path: str

    @property
    def words(self) -> str:
        """The files as the subject of a sentence, with its verb."""
        files = f"{count_of(self.files, 'file')} of {self.name}"
        return f"{files} {form_for(self.files, 'is', 'are')} loaded ({self.path}{self._others})"

    @property
    def _others(self) -> str:
        return f" and {self.files - 1:,} more" if self.files > 1 else ""


def loaded_sources(connection: psycopg.Connection) -> list[LoadedSource]:
    """Return the sources with files in force; none of a warehouse that has no tables yet."""
    made = connection.execute("select to_regclass('ops.files') is not null").fetchone()
    if not (made and made[0]):
        return []
    rows = connection.execute(
        "select source, count(*), min(path) from ops.files"
        " where status = 'loaded' and commission_month is not null group by source order by source"
    )
    return [LoadedSource(*row) for row in rows]


def check_sources_are_known(connection: psycopg.Connection) -> None:
    """Refuse to publish without lines that are loaded.

    Raises:
        ShsError: there are lines of a source that this version does not have.
    """
    for source in loaded_sources(connection):
        if source.name not in INCOMING_NAMES:
            raise ShsError(
                f"The marts were not published: {source.words}, and this version has no such source.",
                "People still see the last good state. Go on with a version that has the source. To give it "
                f"up, delete its files from incoming/{source.name}, run `shs run --accept` with that "
                "version, then remove it.",
            )
