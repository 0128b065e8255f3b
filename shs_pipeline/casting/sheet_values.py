"""Values of a sheet's cells that are more than a number or a text.

They behave as the number or the text that they are. Only casting looks at what else is known: how
the sheet shows the number, and that the value stands once for several cells.
"""

from __future__ import annotations

from typing import Self


class SheetNumber(float):
    """A number with what the sheet says about it.

    Attributes:
        shown: how its format shows it where that is another text than its digits, such as `0042`.
        merged: range such as `B5:B6` of the merged cell that holds it, if this is not its first cell.
        currency: as which its format shows it, such as `€`; empty for dollars and for plain numbers.
        is_percent: whether its format shows 0.2 as 20%.
        misleading: what its format does if it shows another sign than it has, as words for a sentence.
    """

    __slots__ = ("currency", "is_percent", "merged", "misleading", "shown")
    shown: str
    merged: str
    currency: str
    is_percent: bool
    misleading: str

    def __new__(
        cls,
        number: float,
        shown: str = "",
        merged: str = "",
        currency: str = "",
        *,
        is_percent: bool = False,
        misleading: str = "",
    ) -> Self:
        """Make the number."""
        made = super().__new__(cls, number)
        made.shown, made.merged, made.currency, made.is_percent = shown, merged, currency, is_percent
        made.misleading = misleading
        return made

    def merged_in(self, merged: str) -> Self:
        """Return the same number in a further cell of a merged range."""
        return type(self)(
            self,
            self.shown,
            merged,
            self.currency,
            is_percent=self.is_percent,
            misleading=self.misleading,
        )

    def __eq__(self, other: object) -> bool:
        # A column's distinct cells are cast once: 42 and 42 shown as 0042 are two of them.
        if isinstance(other, SheetNumber):
            return float(self) == float(other) and self._said == other._said
        return False if isinstance(other, float) else NotImplemented

    def __ne__(self, other: object) -> bool:
        return not self == other

    @property
    def _said(self) -> tuple[str, str, str, bool, str]:
        return self.shown, self.merged, self.currency, self.is_percent, self.misleading

    __hash__ = float.__hash__


class MergedText(str):
    """A text in a further cell of a merged range.

    Attributes:
        merged: the range, such as `B5:B6`.
    """

    __slots__ = ("merged",)
    merged: str

    def __new__(cls, text: str, merged: str) -> Self:
        """Make the text."""
        made = super().__new__(cls, text)
        made.merged = merged
        return made

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            return str.__eq__(self, other) and self.merged == getattr(other, "merged", "")
        return NotImplemented

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


MERGED_KINDS = frozenset({SheetNumber, MergedText})
"""Types of cells that may be copies of a merged cell's value."""


def merged_range(cell: object) -> str:
    """Return the range of the merged cell whose value this is a copy of, else the empty string."""
    return cell.merged if isinstance(cell, (SheetNumber, MergedText)) else ""
