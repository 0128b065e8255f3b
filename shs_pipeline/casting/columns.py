"""The cells of a column, all at once where they are plain: cast, compared by name, looked at for blanks."""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Sequence
from datetime import date
from decimal import Decimal
from operator import is_, pos
from typing import Any

import numpy as np
import pandas as pd

from shs_pipeline.casting.cells import (
    NOISE_DIGITS,
    CastError,
    ExcelError,
    is_blank,
    is_nan,
    match_key,
    show,
)
from shs_pipeline.casting.kinds import CASTS, Kind
from shs_pipeline.casting.sheet_values import merged_range

_CLEAN_TEXT = re.compile(r"^[!-~]+(?: [!-~]+)*$", re.MULTILINE)
_CLEAN_IDENTIFIER = re.compile(
    r"^(?!['=\"])(?!-?\d+\.0+$)(?!-?\d(?:[.,]\d+)?[Ee]\+\d{2,3}$)[!-~]+(?: [!-~]+)*$", re.MULTILINE
)
_ODD_IDENTIFIER = re.compile(r"^\s*['=\"]|\.0+\s*$", re.MULTILINE)
_DOLLARS = r"(?:[1-9]\d{0,2}(?:,\d{3}){1,2}|\d{1,10})\.\d\d"
_CLEAN_MONEY = re.compile(rf"^ ?(?:-?\$?{_DOLLARS}|\(\$?{_DOLLARS}\)) ?$", re.MULTILINE | re.ASCII)
_MARKED_MONEY = re.compile(
    rf"^(?:(?:USD |US\$|\+){_DOLLARS}|[\u2212\u2013]\$?{_DOLLARS}|{_DOLLARS}(?: USD| \$| CR|-)"
    rf"|\({_DOLLARS}\) USD)$",
    re.MULTILINE | re.ASCII,
)
_CLEAN_COUNT = re.compile(r"^ ?(?:-?\d{1,10}\.\d\d|\(\d{1,10}\.\d\d\)) ?$", re.MULTILINE | re.ASCII)
_MONEY_TO_NUMBER = str.maketrans(dict.fromkeys("$, )USD+R") | dict.fromkeys("(C\u2212\u2013", "-"))
_MINUS_BEHIND = re.compile(r"^([\d.]+)-$", re.MULTILINE)
_EXACT = (Decimal, type(None))
_MOST_IN_CENTS = 1e9
_SHOWN_WHOLE = 200  # characters of which `show` leaves none out


def cast_cells(cells: list[Any], kind: Kind) -> tuple[list[Any], dict[int, CastError]]:
    """Cast the cells of one column, each on its own, so that one bad cell hides no other.

    Returns:
        (n,) values with None for empty and for bad cells, the very list of cells where they are their values;
        and the errors by 0-based position.
    """
    types = set(map(type, cells))
    if types.issubset(_EXACT) and kind in ("amount", "quantity"):
        return cells, {}
    if kind == "amount" and float in types:
        return _cast_amounts(cells)
    return _cast_distinct(cells, kind, types)


def _cast_amounts(cells: Sequence[Any]) -> tuple[list[Any], dict[int, CastError]]:
    """Cast amounts as `cast_cells`: hardly two are alike, and nearly all are numbers of cents."""
    numbers = np.array([cell if type(cell) is float else np.nan for cell in cells])
    with np.errstate(over="ignore"):
        rounded = np.rint(numbers * 100)
    # A float that is the nearest to some cents has just their digits as its shortest text.
    is_plain = (rounded / 100 == numbers) & (np.abs(numbers) < _MOST_IN_CENTS)
    plain, others = is_plain.nonzero()[0], (~is_plain).nonzero()[0]
    cents = rounded[plain].astype(np.int64)
    values = np.full(len(cells), None, dtype=object)
    for step, unit in ((100, Decimal(1)), (10, Decimal("0.1")), (1, Decimal("0.01"))):
        fits = cents % step == 0
        values[plain[fits]] = list(map(unit.__rmul__, (cents[fits] // step).tolist()))
        plain, cents = plain[~fits], cents[~fits]
    left = [cells[position] for position in others.tolist()]
    values[others], errors = _cast_distinct(left, "amount", set(map(type, left)))
    return values.tolist(), {int(others[position]): error for position, error in errors.items()}


def _cast_distinct(
    cells: list[Any], kind: Kind, types: Collection[type]
) -> tuple[list[Any], dict[int, CastError]]:
    # Each distinct cell is cast once. True and #N/A equal 1 and the text "#N/A", but are not the same.
    is_mixed = any(issubclass(found, (bool, ExcelError)) for found in types)
    keys: Sequence[Hashable] = [(type(cell), cell) for cell in cells] if is_mixed else cells
    errors: dict[Hashable, CastError] = {}
    # In the order of the file, in which they lie in memory: of many cells that is faster than a set.
    distinct = dict.fromkeys(keys)
    values = {} if is_mixed else _plain(distinct, kind)
    for key in [key for key in distinct if key not in values]:
        try:
            values[key] = _cast_cell(key[1] if is_mixed else key, kind)  # type: ignore[index]
        except CastError as error:
            values[key] = None
            errors[key] = error
    found = {position: errors[key] for position, key in enumerate(keys) if key in errors} if errors else {}
    if not is_mixed and all(map(is_, values, values.values())):
        return cells, found
    return list(map(values.__getitem__, keys)), found


def blanks(cells: Sequence[Any] | np.ndarray) -> np.ndarray:
    """Return (n,) booleans: `is_blank` of each cell of a sheet, whose texts all show something."""
    found: np.ndarray = pd.isna(np.asarray(cells, dtype=object))
    return found


def names_of(cells: Collection[Hashable], kind: Kind = "text") -> dict[Hashable, str]:
    """Return by cell how names are compared: `match_key` of what it shows; empty for blanks and days.

    Identifiers and zip codes are compared as they are read: 10045.0 and `'10045` are one identifier, 2138
    and `02138` one zip code.
    """
    texts = "\n".join(cell for cell in cells if isinstance(cell, str)) if kind == "identifier" else ""
    if kind != "zip" and not _ODD_IDENTIFIER.search(texts):
        return _names_shown(cells)
    read = cast_cells(list(cells), kind)[0]
    forms = {cell: cell if value is None else value for cell, value in zip(cells, read, strict=True)}
    names = _names_shown(dict.fromkeys(forms.values()))
    return {cell: names[form] for cell, form in forms.items()}


def _names_shown(cells: Collection[Hashable]) -> dict[Hashable, str]:
    texts = [cell for cell in cells if type(cell) is str and len(cell) <= _SHOWN_WHOLE]
    names: dict[Hashable, str] = {}
    if clean := _CLEAN_TEXT.findall("\n".join(texts)):
        names |= zip(clean, "\n".join(clean).casefold().split("\n"), strict=True)
    if all(map(names.__contains__, cells)):
        return names
    names |= {
        cell: str(int(cell))
        for cell in cells
        if type(cell) is float and abs(cell) < 1e15 and cell.is_integer()
    }
    for cell in cells:
        if cell not in names:
            names[cell] = "" if is_blank(cell) or isinstance(cell, date) else match_key(show(cell))
    return names


def _plain(cells: Collection[Hashable], kind: Kind) -> dict[Hashable, Any]:
    """Return the values of the plainest cells, in a few passes over all of them at once.

    Nearly all cells are plain: text without surplus spaces, short floats, `$1,234.50`, `12.50 USD`. What is
    found here is what `CASTS` gives for it.
    """
    texts = "\n".join(cell for cell in cells if type(cell) is str)
    if kind in ("text", "identifier"):
        clean = (_CLEAN_TEXT if kind == "text" else _CLEAN_IDENTIFIER).findall(texts)
        return _short_numbers(cells) | dict(zip(clean, clean, strict=True))
    if kind not in ("amount", "quantity"):
        return {}
    numbers: dict[Hashable, str] = _short_numbers(cells)
    if money := (_CLEAN_MONEY if kind == "amount" else _CLEAN_COUNT).findall(texts):
        numbers |= zip(money, "\n".join(money).translate(_MONEY_TO_NUMBER).split("\n"), strict=True)
    if kind == "amount" and (money := _MARKED_MONEY.findall(texts)):
        digits = _MINUS_BEHIND.sub(r"-\1", "\n".join(money).translate(_MONEY_TO_NUMBER))
        numbers |= zip(money, digits.split("\n"), strict=True)
    # The plus is for -0.00, which is 0.00.
    return dict(zip(numbers, map(pos, map(Decimal, numbers.values())), strict=True))


def _short_numbers(cells: Collection[Hashable]) -> dict[Hashable, str]:
    """Return the digits of the floats that need neither rounding nor an exponent."""
    floats = [cell for cell in cells if type(cell) is float and 1e-4 <= abs(cell) < 1e10]
    texts = "\n".join([*map(repr, floats), ""]).replace(".0\n", "\n").split("\n")
    return {cell: text for cell, text in zip(floats, texts, strict=False) if len(text) <= NOISE_DIGITS + 2}


def _cast_cell(cell: Any, kind: Kind) -> Any:
    if cell is None or cell == "" or is_nan(cell):
        return None
    if isinstance(cell, ExcelError):
        raise CastError(*cell.sentences)
    if kind in ("amount", "quantity") and (merged := merged_range(cell)):
        raise CastError(
            f"The merged cell {merged} has one number for several cells, so it would be counted twice.",
            "Unmerge it (Home > Merge & Center) and type the right value into each cell.",
        )
    return CASTS[kind](cell)
