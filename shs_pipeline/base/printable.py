"""Make text from files safe to show on a terminal, in CSV and in logs."""

from __future__ import annotations

import logging
import re
import unicodedata

_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
# Joiners that names and scripts need; they move nothing on the screen.
_HARMLESS = {"\u200c", "\u200d", "\u00ad"}

_FORMULA_STARTS = ("=", "+", "-", "@", *"\uff1d\uff0b\uff0d\uff20")
_CELL_BREAKS = ("\t", "\r", "\n")
_NUMBER = re.compile(r"[-+]?\$?([0-9][0-9,]*(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?%?")


def plain(text: str, keep: str = "") -> str:
    """Return a text that is safe on a terminal: control characters are written out.

    Args:
        keep: control characters that stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        letter
        if letter in keep or letter in _HARMLESS or unicodedata.category(letter) not in _UNSEEN
        else " "
        if letter in "\n\t"
        else letter.encode("unicode_escape", "surrogatepass").decode()
        for letter in text
    )


def csv_cell(value: object) -> str:
    """Return a cell of CSV that opens as what it is: text that looks like a formula gets an apostrophe.

    Numbers stay numbers, negative ones too.
    """
    text = "" if value is None else str(value)
    # Spreadsheets pass over blanks, and over what nobody sees, before they look for a formula.
    begins = text.lstrip().lstrip("".join(_HARMLESS)).lstrip()
    is_formula = begins.startswith(_FORMULA_STARTS) and not _NUMBER.fullmatch(text.strip(" "))
    if is_formula or text.startswith(_CELL_BREAKS):
        text = f"'{text}"
    return plain(text, keep="\n\t")


class _PlainRecord(logging.LogRecord):
    """A log line whose message and traceback contain no terminal control characters."""

    def getMessage(self) -> str:  # noqa: N802 - as the base class calls it
        # Names hold line breaks too: what follows one cannot pass for a line of its own.
        return plain(super().getMessage(), keep="\n\t").replace("\n", "\n  ")

    @property
    def exc_text(self) -> str | None:
        return self._exc_text

    @exc_text.setter
    def exc_text(self, text: str | None) -> None:
        self._exc_text = None if text is None else plain(text, keep="\n\t")


def log_plainly() -> None:
    """Make every log line of this process plain, whoever writes it and wherever it goes."""
    logging.setLogRecordFactory(_PlainRecord)
