"""Sample data: a landing zone of any size, full of what suppliers' files can look like.

The same arguments give the same bytes. A file hangs on seed, source, month and number of lines
alone, so more months leave the older files as they were; only the reference workbooks grow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from shs_pipeline.base.whole_files import write_whole
from shs_pipeline.samples.chemence import chemence
from shs_pipeline.samples.cygnus import cygnus
from shs_pipeline.samples.inspektor import inspektor
from shs_pipeline.samples.logiquip import logiquip
from shs_pipeline.samples.novo import novo
from shs_pipeline.samples.plan import Plan, SampleFile, month_after
from shs_pipeline.samples.quickbooks import quickbooks
from shs_pipeline.samples.reference import reference_workbooks
from shs_pipeline.samples.summit_medical import summit_medical
from shs_pipeline.samples.sunoptic import sunoptic
from shs_pipeline.samples.ternio import ternio

__all__ = ["SAMPLES", "Plan", "SampleFile", "SampleTree", "make_sample", "sample_files", "write_samples"]

SAMPLES: Mapping[str, Callable[[Plan], SampleFile]] = {
    "cygnus": cygnus,
    "logiquip": logiquip,
    "summit_medical": summit_medical,
    "quickbooks": quickbooks,
    "inspektor": inspektor,
    "sunoptic": sunoptic,
    "ternio": ternio,
    "novo": novo,
    "chemence": chemence,
}
"""What makes one file, by source."""


@dataclass(frozen=True)
class SampleTree:
    """What was written.

    Attributes:
        directory: root of the landing zone.
        files: number of sale lines by place of the file, in the order of month and source.
        reference: places of the reference workbooks.
    """

    directory: Path
    files: Mapping[str, int]
    reference: tuple[str, ...]


def make_sample(source: str, month: date, *, lines: int, seed: int) -> SampleFile:
    """Make one file of a source.

    Args:
        source: name of the source.
        month: any day of the commission month.
        lines: sale lines it should hold.
        seed: as for `write_samples`.
    """
    return SAMPLES[source](Plan(source, month.replace(day=1), lines, seed))


def sample_files(*, months: int, lines: int, seed: int, until: date) -> Iterator[SampleFile]:
    """Make the files of all sources, month by month; arguments as for `write_samples`."""
    for back in range(months - 1, -1, -1):
        for source in SAMPLES:
            yield make_sample(source, month_after(until, -back), lines=lines, seed=seed)


def write_samples(directory: Path, *, months: int, lines: int, seed: int, until: date) -> SampleTree:
    """Write a landing zone: the files of all sources and the reference workbooks.

    Args:
        directory: root of the landing zone; files of the same name are replaced.
        months: how many commission months.
        lines: about how many sale lines a file holds.
        seed: another seed gives other amounts, customers and dirt.
        until: any day of the last commission month.
    """
    files: dict[str, int] = {}
    for sample in sample_files(months=months, lines=lines, seed=seed, until=until):
        _write(directory / sample.path, sample.content)
        files[sample.path] = len(sample.lines)
    reference = reference_workbooks(month_after(until, 1 - months), until.replace(day=1), lines)
    for path, content in reference.items():
        _write(directory / path, content)
    return SampleTree(directory, files, tuple(reference))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)
