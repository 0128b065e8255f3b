"""The files of `shs demo`: written into an empty landing zone, and completed after an interruption."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from shs_pipeline.base.whole_files import write_whole

if TYPE_CHECKING:
    from shs_pipeline.landing.zone import Landing
    from shs_pipeline.settings.settings import Settings


@dataclass(frozen=True)
class Recipe:
    """What determines the files: the same recipe makes the same bytes.

    Attributes:
        until: the last commission month, `YYYY-MM`.
    """

    months: int
    lines: int
    seed: int
    until: str

    @property
    def last(self) -> date:
        """First day of the last commission month."""
        from shs_pipeline.base.months import parse_month

        month = parse_month(self.until)
        assert month is not None
        return month


def fill(settings: Settings, landing: Landing, recipe: Recipe, progress: object) -> str:
    """Write the demo's files into an empty landing zone; return one sentence on what was done.

    What was begun is noted first, so that a demo that was killed is completed by the next one.
    """
    from shs_pipeline.base.wording import count_of, form_for

    assert callable(progress)
    note = settings.home / "demo.json"
    begun = _noted(note, landing.url)
    there = {drop.path for drop in landing.drops()}
    if there and begun is None:
        files = f"{count_of(len(there), 'file')} that {form_for(len(there), 'is', 'are')}"
        return (
            f"The landing zone contains {files} not the demo's, so no demo files were written; "
            "the files there are ingested. To see the demo, set SHS_HOME to another folder."
        )
    if there and begun is not None and begun[1]:
        return "The demo's files are already in the landing zone; any changes to them are ingested."
    if there and begun is not None:
        recipe = begun[0]
    _write_note(note, landing.url, recipe, is_complete=False)
    paths = 0
    total = recipe.months * _source_count() + _reference_count()
    for path, content in _files(recipe):
        paths += 1
        progress(path, paths, total)
        if path not in there:
            landing.write(path, content)
    _write_note(note, landing.url, recipe, is_complete=True)
    months = count_of(recipe.months, "month")
    return f"Wrote {paths} sample files to the landing zone: {months} up to {recipe.until}."


def _files(recipe: Recipe) -> Iterator[tuple[str, bytes]]:
    from shs_pipeline.base.months import month_after
    from shs_pipeline.samples.reference import reference_workbooks
    from shs_pipeline.samples.tree import sample_files

    first = month_after(recipe.last, 1 - recipe.months)
    yield from reference_workbooks(first, recipe.last, recipe.lines).items()
    for sample in sample_files(months=recipe.months, lines=recipe.lines, seed=recipe.seed, until=recipe.last):
        yield sample.path, sample.content


def _source_count() -> int:
    from shs_pipeline.samples.tree import SAMPLES

    return len(SAMPLES)


def _reference_count() -> int:
    from shs_pipeline.landing.names import REFERENCE_NAMES

    return len(REFERENCE_NAMES)


def _noted(note: Path, landing: str) -> tuple[Recipe, bool] | None:
    """Return what the demo wrote into this landing zone, and whether all of it."""
    try:
        kept = json.loads(note.read_text())
        if kept["landing"] != landing:
            return None
        return Recipe(**kept["recipe"]), bool(kept["is_complete"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_note(note: Path, landing: str, recipe: Recipe, *, is_complete: bool) -> None:
    note.parent.mkdir(parents=True, exist_ok=True)
    write_whole(note, json.dumps({"landing": landing, "recipe": asdict(recipe), "is_complete": is_complete}))
