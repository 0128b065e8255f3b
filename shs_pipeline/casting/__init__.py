"""From a dirty cell to a value: exact, and without guesses.

A cell arrives as the sheet holds it (text, number, boolean, date, `""` for empty) or as text printed in
a PDF. A cast returns the value, `None` for an empty cell, or raises `CastError` with a sentence on what
is wrong and one on how to fix it.
"""

from shs_pipeline.casting.amounts import MOST_WHOLE_DIGITS, within_digits
from shs_pipeline.casting.cells import (
    CastError,
    Cell,
    ExcelError,
    UncomputedError,
    exact,
    is_blank,
    match_key,
    show,
    squeeze,
)
from shs_pipeline.casting.columns import blanks, cast_cells, names_of
from shs_pipeline.casting.days import LAST_DAY, day_of, is_day_number
from shs_pipeline.casting.kinds import (
    CASTS,
    Kind,
    cast_amount,
    cast_day,
    cast_flag,
    cast_identifier,
    cast_quantity,
    cast_rate,
    cast_share,
    cast_text,
    cast_whole,
    cast_zip,
)

__all__ = [
    "CASTS",
    "LAST_DAY",
    "MOST_WHOLE_DIGITS",
    "CastError",
    "Cell",
    "ExcelError",
    "Kind",
    "UncomputedError",
    "blanks",
    "cast_amount",
    "cast_cells",
    "cast_day",
    "cast_flag",
    "cast_identifier",
    "cast_quantity",
    "cast_rate",
    "cast_share",
    "cast_text",
    "cast_whole",
    "cast_zip",
    "day_of",
    "exact",
    "is_blank",
    "is_day_number",
    "match_key",
    "names_of",
    "show",
    "squeeze",
    "within_digits",
]
