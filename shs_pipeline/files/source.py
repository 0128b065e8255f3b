"""What a source is: declared once, in one module of `shs_pipeline/sources` or `…/reference`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

    from shs_pipeline.files.reading import CopyLines

from shs_pipeline.base.errors import UnreadableFileError
from shs_pipeline.casting.amounts import MOST_WHOLE_DIGITS
from shs_pipeline.files.reading import ROW, SHEET, BadCells, PrintedTotal, Problem, Reading, SourceFile

_log = logging.getLogger(__name__)

Reader = Callable[[SourceFile], Reading]
LineCheck = Callable[["pd.DataFrame", BadCells], Sequence[Problem]]


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """What product sources and reference tables have in common.

    Attributes:
        name: as in the landing zone and in the database.
        rows: the contract.
        readers: how to read it, by file extension.
        check: what a contract cannot say of single cells; takes the values of all lines (database names,
            None for a bad cell) and the bad cells, so that all errors are found in one pass.
    """

    name: str
    rows: type[pa.DataFrameModel]
    readers: Mapping[str, Reader]
    check: LineCheck | None = None


@dataclass(frozen=True, kw_only=True)
class MonthlyFiles(Declaration):
    """Files that are dropped by commission month: those of a source, or adjustments.

    Attributes:
        title: name for people.
        amounts: amount columns whose sums are shown; of a source dollars sold first, then what the company
            earns.
        needs: reference tables whose change may turn a rejection into a load.
    """

    title: str
    amounts: tuple[str, ...]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Source(MonthlyFiles):
    """A supplier's monthly sales and commission file.

    Attributes:
        product_line: the product line of all its lines, as people see it; None where each line names its
            own, which service_to_product maps.
        revenue_date: the line's revenue recognition date: a column, or None where only the
            drop (`rev=YYYY-MM`) names it.
        revenue_month_given: extensions whose drop may name the revenue month, and whether it must.
        given_month_wins: whether the month named by the drop beats the column.
        sale_key: columns that name a sale: invoice, item, the document's date, and the date of payment where
            an invoice is paid in parts; never an amount or a rate, which a correction changes.
        customer_fields: spellings of `Customer field` in the territory table for this source.
        aliases: other spellings of the source in the territory table.
    """

    product_line: str | None
    revenue_date: str | None
    revenue_month_given: Mapping[str, bool] = field(default_factory=dict)
    given_month_wins: bool = False
    sale_key: tuple[str, ...]
    customer_fields: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ReferenceTable(Declaration):
    """A table that an admin maintains as a workbook.

    Attributes:
        choices: drop-down lists of the exported workbook, by column: the only values there are.
        suggestions: the same where more values may come: `table.column` of reference tables.
    """

    title: str
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    suggestions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class FileOutcome:
    """The result of reading one file.

    Attributes:
        lines: (n, m) values by database name with `source_sheet`, `source_row` and, for a
            source, `revenue_date`, or what `copy_text` made of them; None when the file is rejected.
        rows_read: lines of the file, good, bad and left out.
        problems: errors and warnings, in the order of the file.
    """

    lines: pd.DataFrame | CopyLines | None
    rows_read: int
    left_out: Mapping[str, int]
    totals: Sequence[PrintedTotal]
    problems: Sequence[Problem]

    @property
    def lines_found(self) -> int:
        """The lines of the file, good and bad, without what is left out."""
        return self.rows_read - sum(self.left_out.values())

    @property
    def errors(self) -> list[Problem]:
        """The problems for which the file is rejected."""
        return [problem for problem in self.problems if problem.severity == "error"]

    @classmethod
    def rejected(cls, *problems: Problem) -> FileOutcome:
        """Return the outcome of a file that was not read at all."""
        return cls(lines=None, rows_read=0, left_out={}, totals=(), problems=problems)


def read_file(declaration: Declaration, file: SourceFile, max_bytes: int) -> FileOutcome:
    """Read one file and check it against its contract; all its problems are found in one pass.

    Args:
        max_bytes: size limit of a file.
    """
    try:
        check_can_be_opened(declaration, file, max_bytes)
        reading = declaration.readers[_extension(file.name)](file)
        return _judge(declaration, file, reading)
    except UnreadableFileError as error:
        return FileOutcome.rejected(Problem(problem=error.problem, remedy=error.remedy))
    except MemoryError:
        raise  # the process that reads it says how much it may have
    except Exception as error:  # noqa: BLE001
        # A bug in a reader must not keep the other files from being loaded.
        _log.exception("The reader of %s failed on %s.", declaration.name, file.name)
        return FileOutcome.rejected(
            Problem(
                problem=f"The reader of {declaration.name} failed on {file.name} "
                f"({type(error).__name__}). This is a bug in shs.",
                remedy="Report it and attach this file; none of it was loaded.",
            )
        )


def check_can_be_opened(declaration: Declaration, file: SourceFile, max_bytes: int) -> None:
    """Check extension, size and form before a reader sees the file.

    Raises:
        UnreadableFileError: says what is wrong and how to fix it.
    """
    from shs_pipeline.files.workbook.archive import check_is_workbook

    extension = _extension(file.name)
    if extension == ".xlsm":
        raise UnreadableFileError(
            f"{file.name} is a workbook with macros.", "Save it in Excel as .xlsx and drop it again."
        )
    if extension not in declaration.readers:
        kinds = " or ".join(sorted(declaration.readers))
        raise UnreadableFileError(
            f"{file.name} is not a {kinds} file, the only kind that {declaration.name} takes.",
            f"Save it as {kinds} and drop it again.",
        )
    if not file.content:
        raise UnreadableFileError(f"{file.name} is empty (0 bytes).", "Export it again and drop it again.")
    if len(file.content) > max_bytes:
        raise UnreadableFileError(
            f"{file.name} has {len(file.content) / 2**20:.1f} MB, "
            f"more than the limit of {max_bytes / 2**20:.0f} MB.",
            "Split it into several files, or have SHS_MAX_FILE_MB raised and run "
            f"shs run --all --source {declaration.name}.",
        )
    if extension == ".xlsx":
        check_is_workbook(file, max_bytes)


def _judge(declaration: Declaration, file: SourceFile, reading: Reading) -> FileOutcome:
    from shs_pipeline.files.contract import apply, columns_of, in_file_order

    _count_days_from_1900(declaration, file, reading.lines)
    lines, problems = apply(
        declaration.rows, reading.lines, reading.problems, reading.missing, reading.cells_at
    )
    problems = in_file_order([*reading.problems, *problems])
    rows_read = len(lines) + sum(reading.left_out.values())
    if rows_read == 0 and not problems:
        problems.append(
            Problem(
                problem=f"{file.name} has no lines below its header.",
                remedy="Check that the right report was exported. To empty a month, delete its files.",
            )
        )
    if declaration.check is not None:
        errors = (problem for problem in problems if problem.severity == "error")
        places = frozenset((problem.sheet, problem.row, problem.column) for problem in errors)
        bad = BadCells(places, reading.missing)
        problems += [problem for problem in declaration.check(lines, bad) if not bad.has(problem)]
    headers = {column.name: column.header for column in columns_of(declaration.rows)}
    if isinstance(declaration, MonthlyFiles):
        problems += _too_large_sums(lines, headers, declaration.amounts)
    if isinstance(declaration, Source):
        problems += _opposite_signs(lines, headers, declaration.amounts)
        is_sound = not any(problem.severity == "error" for problem in problems)
        problems += _date_revenue(declaration, file, lines, is_sound=is_sound)
        problems += _of_month(declaration, file, lines)
    has_error = any(problem.severity == "error" for problem in problems)
    return FileOutcome(
        lines=None if has_error else lines,
        rows_read=rows_read,
        left_out=reading.left_out,
        totals=reading.totals,
        problems=problems,
    )


def _too_large_sums(lines: pd.DataFrame, headers: Mapping[str, str], amounts: Sequence[str]) -> list[Problem]:
    """Return an error for each column of amounts that adds up to more than an amount can have.

    A line has at most as many digits as the marts hold with room to spare, but many lines might not.
    """
    sums = {name: sum(map(abs, filter(None, lines[name].tolist()))) for name in amounts}
    return [
        Problem(
            problem=f"The amounts in {headers[name]} add up to more than {MOST_WHOLE_DIGITS} digits before "
            "the decimal point, counting credits like sales.",
            remedy="Look for amounts that are too large by mistake, such as document numbers.",
        )
        for name, total in sums.items()
        if total >= 10**MOST_WHOLE_DIGITS
    ]


def _opposite_signs(lines: pd.DataFrame, headers: Mapping[str, str], amounts: Sequence[str]) -> list[Problem]:
    """Return a warning for each line that takes back what it sells, or pays for what it takes back."""
    if len(amounts) < 2:
        return []
    columns = [lines[name].tolist() for name in (SHEET, ROW, *amounts[:2])]
    sold, earned = (headers[name] for name in amounts[:2])
    return [
        Problem(
            problem=f"{earned} ({there:,}) has the opposite sign of {sold} ({here:,}).",
            remedy="Both count as they are. If one of them should not, ask the supplier.",
            sheet=sheet,
            row=int(row),
            column=earned,
            value=str(there),
            severity="warning",
        )
        for sheet, row, here, there in zip(*columns, strict=True)
        if here and there and here.is_signed() != there.is_signed()
    ]


def _count_days_from_1900(declaration: Declaration, file: SourceFile, lines: pd.DataFrame) -> None:
    """Give the days that a workbook of an old Mac holds as plain numbers their usual number."""
    import pandas as pd

    from shs_pipeline.casting.days import day_number
    from shs_pipeline.files.contract import columns_of
    from shs_pipeline.files.workbook.table import DAYS_TO_1904, counts_days_from_1904

    if _extension(file.name) != ".xlsx" or not counts_days_from_1904(file):
        return
    for column in columns_of(declaration.rows):
        if column.kind == "day" and column.header in lines:
            cells = lines[column.header].tolist()
            # A day written as the number 20250331 counts from nothing.
            shifted = [
                cell if (number := day_number(cell)) is None else number + DAYS_TO_1904 for cell in cells
            ]
            lines[column.header] = pd.Series(shifted, dtype=object, index=lines.index)


def _date_revenue(source: Source, file: SourceFile, lines: pd.DataFrame, *, is_sound: bool) -> list[Problem]:
    """Put `revenue_date` into `lines`; return what is wrong with the month that the drop names."""
    import pandas as pd

    extension, given = _extension(file.name), file.revenue_month
    if given is not None and extension not in source.revenue_month_given:
        return [
            Problem(
                problem=f"{file.name} is in a rev= folder, but {source.name} dates its lines by "
                f"{_revenue_header(source)}.",
                remedy="Move it out of the rev= folder into its commission month's folder.",
            )
        ]
    if given is None and source.revenue_month_given.get(extension):
        return [
            Problem(
                problem=f"{file.name} contains no date, so its folder must name the revenue month.",
                remedy=f"Drop it into a folder such as "
                f"incoming/{source.name}/2025-04/rev=2025-03/{PurePosixPath(file.name).name}.",
            )
        ]
    dates: list[Any] = [None] * len(lines)
    if source.revenue_date is not None:
        dates = lines[source.revenue_date].tolist()
    if given is not None:
        dates = [given if source.given_month_wins or day is None else day for day in dates]
    lines["revenue_date"] = pd.Series(dates, dtype=object, index=lines.index)
    if is_sound and any(day is None for day in dates):
        return [Problem(problem=f"{file.name} has lines without a revenue date.", remedy="Fill in the date.")]
    return []


def _of_month(source: Source, file: SourceFile, lines: pd.DataFrame) -> list[Problem]:
    """Return what does not fit the month in which the file lies."""
    from shs_pipeline.files.file_month import month_problems

    if "revenue_date" not in lines:
        return []
    return month_problems(source.name, file, lines, _revenue_header(source))


def _revenue_header(source: Source) -> str:
    from shs_pipeline.files.contract import columns_of

    headers = {column.name: column.header for column in columns_of(source.rows)}
    return headers.get(source.revenue_date or "", "the file")


def _extension(name: str) -> str:
    return PurePosixPath(name).suffix.lower()
