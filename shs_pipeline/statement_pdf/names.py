"""The names of the clients, which may take several lines, and the state and zip below them."""

from __future__ import annotations

from shs_pipeline.reading import Problem
from shs_pipeline.statement_pdf.coordinates import SEND_PIVOT
from shs_pipeline.statement_pdf.printed import (
    CLIENT,
    INVOICE,
    ITEM,
    PLACE,
    CellLine,
    Sale,
    Statement,
    sheet_of,
    tidy,
)
from shs_pipeline.statement_pdf.wording import is_address, is_note, may_be_note, place_of

TEXT = "text without amounts"
_NEXT_LINE = 1.9  # line heights: the rest of a name stands no further below
_SAME_BLOCK = 1.3  # the lines of a cell that is not aligned with its top
_SLACK = 0.9  # line heights: a word that would just have fitted counts as wrapped


class Names:
    """Gives each sale its name and place.

    Args:
        statement: takes the sales and problems.
        is_block: whether the amounts stand beside the middle or the end of a client's lines.
    """

    def __init__(self, statement: Statement, *, is_block: bool) -> None:
        self._statement = statement
        self.is_block = is_block
        self._open: Sale | None = None  # the last sale, until its state and zip have come
        self._parts: list[CellLine] = []  # texts that may be names, in the order of the file
        self._is_name_over = False
        self._above: list[CellLine] = []  # the same, before the sale that they belong to (blocks)
        self._unresolved: list[tuple[Sale, list[CellLine]]] = []

    @property
    def is_waiting(self) -> bool:
        """Whether the last sale's state and zip are still to come."""
        return self._open is not None

    def is_next(self, above: CellLine, below: CellLine) -> bool:
        """Whether a line may go on with the text of another: right below it, or on the next page."""
        return above.page != below.page or self._is_below(above, below)

    def _is_below(self, above: CellLine, below: CellLine) -> bool:
        most = _SAME_BLOCK if self.is_block else _NEXT_LINE
        return above.page == below.page and above.y - below.y <= most * below.size

    def take_sale(self, sale: Sale) -> None:
        """Begin the next client."""
        self.close()
        self._statement.sales.append(sale)
        sale.client = sale.line[CLIENT]
        place = place_of(sale.line[PLACE]) if sale.line[PLACE] else None
        if self.is_block:
            above, self._above = self._above, []
            place = place or place_of(sale.client)
            own = [sale.client] if sale.client and place_of(sale.client) is None else []
            sale.client = tidy(" ".join([*self._texts(above), *own]))
        if place is not None:
            sale.state, sale.zip_code = place
        self._open = sale if place is None else None

    def take_place(self, line: CellLine, place: tuple[str, str]) -> None:
        """Take in a line with nothing but state and zip: it ends the client's name."""
        if self._open is None:
            self._problem(line, f"State and zip stand below no sale line: {line.text!r}.")
            return
        sale, self._open = self._open, None
        sale.state, sale.zip_code = place
        sale.client = tidy(" ".join([sale.client, *self._texts(self._parts)]))
        self._parts = []

    def take_text(self, line: CellLine) -> bool:
        """Take in a text that may be part of a name; False when it can be none."""
        last = self._parts[-1] if self._parts else self._open.line if self._open else None
        is_near = last is not None and not self._is_name_over and self.is_next(last, line)
        if self._open is not None and is_near and (line[INVOICE] or line[ITEM]):
            self._problem(line, f"A cell goes on in a second line, and nobody can tell how: {line.text!r}.")
            return True
        if self._open is not None and line.is_flush and is_near:
            self._parts.append(line)
            return True
        if not self.is_block or not line.is_flush:
            return False
        if self._above and not self._is_below(self._above[-1], line):
            self._statement.left_out[TEXT] += len(self._above)
            self._above = []
        self._above.append(line)
        return True

    def take_total(self) -> None:
        """A total ends the name; the state and zip may still come, below the total of a page."""
        self._is_name_over = True

    def close(self) -> None:
        """End the client whose state and zip did not come."""
        if self._open is not None and self._parts:
            self._unresolved.append((self._open, self._parts))
        self._open, self._parts, self._is_name_over = None, [], False

    def finish(self) -> None:
        """Decide on texts below sales without state and zip, once all lines are known."""
        self.close()
        self._statement.left_out[TEXT] += len(self._above)
        has_places = any(sale.state for sale in self._statement.sales)
        for sale, parts in self._unresolved:
            self._resolve(sale, parts, has_places=has_places)
        for sale in self._statement.sales:
            if not sale.client:
                self._problem(sale.line, f"The sale line has no client: {sale.line.text!r}.")
            elif has_places and sale.state is None:
                self._problem(
                    sale.line,
                    f"The sale of {sale.client!r} has no line with state and zip below it.",
                    severity="warning",
                )

    def _resolve(self, sale: Sale, parts: list[CellLine], *, has_places: bool) -> None:
        """Without a state and zip to end it, only a name that had to be wrapped goes on."""
        last = sale.line
        for part in parts:
            is_wrapped = not has_places and last.has_room < part.width_of_first + _SLACK * part.size
            if is_note(part.text) or is_address(part.text) or (may_be_note(part.text) and not is_wrapped):
                self._statement.left_out[TEXT] += 1
            elif is_wrapped and not may_be_note(part.text):
                sale.client = tidy(f"{sale.client} {part.text}")
            else:
                self._ask(part, sale.client)
            last = part

    def _texts(self, parts: list[CellLine]) -> list[str]:
        """The texts that belong to a name; remarks and streets are left out."""
        texts = []
        for part in parts:
            if is_note(part.text) or is_address(part.text):
                self._statement.left_out[TEXT] += 1
                continue
            if may_be_note(part.text):
                self._ask(part, "the client's name")
            texts.append(part[CLIENT] or part.text)
        return texts

    def _ask(self, line: CellLine, name: str) -> None:
        self._problem(
            line,
            f"Nobody can tell whether {line.text!r} is a remark or belongs to the name before it ({name}).",
        )

    def _problem(self, line: CellLine, problem: str, *, severity: str = "error") -> None:
        self._statement.problems.append(
            Problem(
                problem,
                SEND_PIVOT,
                sheet_of(line.page),
                line.line,
                CLIENT,
                line[CLIENT] or line.text,
                "warning" if severity == "warning" else "error",
            )
        )
