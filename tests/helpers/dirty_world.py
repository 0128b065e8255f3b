"""A landing zone with all kinds of files at once: good ones in dirty dress, their clean twins, bad ones.

Each good file has a clean twin that holds the same lines; it is read, never dropped. Each bad file has the
words by which its own rejection is known.
"""

from __future__ import annotations

import io
import os
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl

from shs_pipeline.landing.names import SOURCE_NAMES
from shs_pipeline.samples.plan import SampleFile
from shs_pipeline.samples.reference import reference_workbooks
from shs_pipeline.samples.tree import make_sample

CASES = Path(__file__).parents[1] / "cases"
MONTHS = ("2025-01", "2025-02", "2025-03")
LINES = 12
NFC_NAME = unicodedata.normalize("NFC", "Ternio März.xlsx")
NFD_NAME = unicodedata.normalize("NFD", NFC_NAME)
UNDER_WAY = "incoming/novo/2025-02/Novo second part.xlsx.crdownload"
LONG_NAME = f"{'long ' * 48}name.xlsx"  # 249 bytes: with `.errors.xlsx` behind it more than a disk takes

Sheet = Any


@dataclass
class World:
    """What lies where.

    Attributes:
        clean: the twin of each good file, by path: what its lines must equal.
        dropped: the good files as they are dropped.
        bad: the decisive words of each bad file's rejection, by path.
    """

    folder: Path
    clean: dict[str, SampleFile] = field(default_factory=dict)
    dropped: dict[str, bytes] = field(default_factory=dict)
    reference: dict[str, bytes] = field(default_factory=dict)
    bad: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def put(self, path: str, content: bytes) -> None:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        # An upload that has not changed for a while, so that no run waits for it.
        os.utime(place, (time.time() - 60,) * 2)

    def put_bad(self, path: str, content: bytes, *words: str) -> None:
        self.put(path, content)
        self.bad[path] = words

    def good(self, sample: SampleFile, content: bytes | None = None, path: str = "") -> None:
        path = path or sample.path
        self.clean[path] = sample
        self.dropped[path] = content or sample.content


def make_world(folder: Path) -> World:
    """Write the landing zone."""
    world = World(folder)
    _add_good(world)
    for path, content in world.dropped.items():
        world.put(path, content)
    world.reference = reference_workbooks(date(2025, 1, 1), date(2025, 3, 1), LINES)
    for path, content in world.reference.items():
        world.put(path, content)
    _add_bad_workbooks(world)
    _add_bad_files(world)
    _add_bad_places(world)
    world.put(UNDER_WAY, b"PK\x03\x04 half of it")
    return world


def sample(source: str, month: str, seed: int = 1) -> SampleFile:
    return make_sample(source, date.fromisoformat(f"{month}-01"), lines=LINES, seed=seed)


def case(name: str) -> bytes:
    return next(CASES.glob(f"*/{name}")).read_bytes()


# --- good files in dirty dress -------------------------------------------------------------------------


def _add_good(world: World) -> None:
    for source in SOURCE_NAMES:
        for month in MONTHS:
            world.good(sample(source, month))
    for source, month, dress in (
        ("cygnus", "2025-01", _text_dates),
        ("cygnus", "2025-02", _with_remarks),
        ("cygnus", "2025-03", _spelled_with_marks),
        ("quickbooks", "2025-02", _with_direction_marks),
        ("sunoptic", "2025-02", _with_zero_formats),
    ):
        clean = sample(source, month)
        world.good(clean, redressed(clean.content, dress))
    _add_merged_name(world)
    _add_renamed(world)
    _add_early(world)


def redressed(content: bytes, dress: Callable[[Sheet], None]) -> bytes:
    book = openpyxl.load_workbook(io.BytesIO(content))
    dress(book.worksheets[0])
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _header(sheet: Sheet, name: str) -> Any:
    """The cell of a column's heading."""
    return next(
        cell
        for row in sheet.iter_rows(max_row=20)
        for cell in row
        if isinstance(cell.value, str) and " ".join(cell.value.split()).casefold() == name.casefold()
    )


def with_cell(content: bytes, header: str, row: int, value: object) -> bytes:
    """The workbook with one value put below a heading."""

    def dress(sheet: Sheet) -> None:
        sheet.cell(row, _header(sheet, header).column).value = value

    return redressed(content, dress)


def _below(sheet: Sheet, name: str) -> list[Any]:
    top = _header(sheet, name)
    return [sheet.cell(row, top.column) for row in range(top.row + 1, sheet.max_row + 1)]


def _text_dates(sheet: Sheet) -> None:
    spellings = ("%d-%b-%y", "%B %d, %Y", "%Y/%m/%d", "%Y-%m-%dT00:00:00+00:00", "%m/%d/%Y")
    changed = 0
    for name in ("Inv Date", "ClosedDate"):
        for cell in _below(sheet, name):
            if isinstance(cell.value, datetime):
                cell.value = cell.value.strftime(spellings[changed % len(spellings)])
                cell.number_format = "@"
                changed += 1
    assert changed >= len(spellings)


def _with_remarks(sheet: Sheet) -> None:
    header = _header(sheet, "ClosedDate").row
    titles = [cell.value for cell in sheet[header]]
    middle = header + (sheet.max_row - header) // 2
    sheet.append([])
    sheet.append(["Accrual Basis  Friday, March 14, 2025 10:12 AM GMT-05:00"])
    sheet.insert_rows(middle, 3)
    sheet.cell(middle, 1).value = "Page 2 of 3"
    for column, title in enumerate(titles, start=1):
        sheet.cell(middle + 1, column).value = title
    sheet.cell(middle + 2, 4).value = "(continued)"


def _spelled_with_marks(sheet: Sheet) -> None:
    marks = ("USD {:,.2f}", "{:,.2f} USD", "+{:.2f}")
    for name in ("Invoice Total", "Total Rep Due"):
        for place, cell in enumerate(_below(sheet, name)):
            if isinstance(cell.value, int | float):
                amount = round(cell.value, 2)
                cell.value = marks[place % 3].format(amount) if amount > 0 else f"\u2013{-amount:.2f}"
    for name, spelled in (
        ("ClosedDate", "Closed Date:"), ("Invoice Total", "INVOICE-TOTAL*"), ("Cust. ID", "Cust ID"),
    ):  # fmt: skip
        _header(sheet, name).value = spelled


def _with_direction_marks(sheet: Sheet) -> None:
    for name in ("Sales Rep Name", "Customer", "Num"):
        for cell in _below(sheet, name):
            if isinstance(cell.value, str):
                cell.value = f"\u200e{cell.value[:3]}\u00ad{cell.value[3:]}\u202c"
    _header(sheet, "Amount line").value = "\u202aAmount\u00ad line\u200f"


def _with_zero_formats(sheet: Sheet) -> None:
    changed = 0
    for cell in _below(sheet, "Item ID"):
        if isinstance(cell.value, str) and cell.value.isdigit():
            cell.value = int(cell.value)
            cell.number_format = "000000;@"
            changed += 1
    assert changed


def _add_merged_name(world: World) -> None:
    clean = sample("inspektor", "2025-02")
    first, second = (int(str(line["source_row"])) for line in clean.lines[:2])
    assert second == first + 1
    name = str(clean.lines[0]["Name"])
    twin = with_cell(clean.content, "Name", second, name)
    lines = [clean.lines[0], {**clean.lines[1], "Name": name}, *clean.lines[2:]]

    def merge(sheet: Sheet) -> None:
        column = _header(sheet, "Name").column
        sheet.merge_cells(start_row=first, end_row=second, start_column=column, end_column=column)

    world.good(SampleFile(clean.path, twin, lines, clean.left_out), redressed(clean.content, merge))


def _add_renamed(world: World) -> None:
    """A file from a Mac, whose name is stored with its accent beside the letter."""
    clean = sample("ternio", "2025-03")
    del world.clean[clean.path], world.dropped[clean.path]
    folder = clean.path.rpartition("/")[0]
    world.clean[f"{folder}/{NFC_NAME}"] = clean
    world.dropped[f"{folder}/{NFD_NAME}"] = clean.content


def _add_early(world: World) -> None:
    """A line dated after the commission month, dropped where that is meant."""
    clean = sample("novo", "2025-03")
    del world.clean[clean.path], world.dropped[clean.path]
    row, day = int(str(clean.lines[0]["source_row"])), date(2025, 4, 2)
    content = with_cell(clean.content, "Invoice Date", row, day)
    lines = [{**clean.lines[0], "Invoice Date": day}, *clean.lines[1:]]
    folder, _, name = clean.path.rpartition("/")
    path = f"{folder}/early=ok/{name}"
    world.good(SampleFile(path, content, lines, clean.left_out))


# --- bad ones -----------------------------------------------------------------------------------------


def _add_bad_workbooks(world: World) -> None:
    for path, name, *words in (
        ("cygnus/2025-01", "cygnus_formula_no_value.xlsx", "never calculated", "save it"),
        ("quickbooks/2025-01", "quickbooks_error_single_quotes.xlsx", "#N/A"),
        ("quickbooks/2025-03", "quickbooks_nan_quantity.xlsx", "NaN"),
        ("cygnus/2025-02", "cygnus_two_months_two_sheets.xlsx", "sheet"),
        ("cygnus/2025-03", "cygnus_page_split_sheet2.xlsx", "sheet"),
        ("cygnus/2025-03", "cygnus-foreign.xlsx", "another currency"),
        ("sunoptic/2025-03", "sunoptic-id_mangled.xlsx", "shortened"),
        ("inspektor/2025-01", "inspektor_amount_15_digits.xlsx", "10 digits"),
        ("cygnus/2025-02", "cygnus_cell_reference_overflow.xlsx", "cell"),
    ):
        world.put_bad(f"incoming/{path}/{name}", case(name), *words)
    objectives = world.reference["reference/business_objectives.xlsx"]
    content = with_cell(objectives, "January", 2, "=1+1")
    world.put_bad("reference/business_objectives.xlsx", content, "never calculated")


def _add_bad_files(world: World) -> None:
    late = sample("logiquip", "2025-06", seed=5)
    world.put_bad("incoming/logiquip/2025-02/Detail.xlsx", late.content, "after 2025-02", "early=ok")
    copied = sample("chemence", "2025-01").content
    world.put_bad(
        "incoming/chemence/2025-02/Copy of tracing.xlsx", copied, "2025-01/Chemence tracing 2025-01.xlsx"
    )
    damaged = sample("chemence", "2025-03", seed=6).content
    world.put_bad("incoming/chemence/2025-03/Damaged.xlsx", damaged[: len(damaged) // 2], "damaged")
    world.put_bad(
        "incoming/summit_medical/2025-03/Draws itself.pdf", case("statement_drawing_loop.pdf"), "PDF"
    )
    long_named = sample("novo", "2025-01", seed=7).content
    row = int(str(sample("novo", "2025-01", seed=7).lines[0]["source_row"]))
    world.put_bad(
        f"incoming/novo/2025-01/{LONG_NAME}", with_cell(long_named, "Extension", row, "many"), "amount"
    )


def _add_bad_places(world: World) -> None:
    other = sample("cygnus", "2025-03", seed=8).content
    world.put_bad("incoming/nobody/2025-03/Lost.xlsx", other, "nobody")
    world.put_bad("incoming/ternio/March/Lost.xlsx", other, "March")
    world.put("incoming/novo/2025-02/Bell\x07.xlsx", other)
    world.bad["incoming/novo/2025-02/Bell\\x07.xlsx"] = ("cannot be printed",)
    for path, target, words in (
        ("incoming/chemence/2025-01/Elsewhere.xlsx", "nowhere.xlsx", "broken link"),
        ("incoming/chemence/2025-02/Round.xlsx", "Round.xlsx", "cannot be accessed"),
        ("incoming/novo/2025-02/again", "..", "a folder that contains it"),
    ):
        (world.folder / path).symlink_to(target)
        world.bad[path] = (words,)
