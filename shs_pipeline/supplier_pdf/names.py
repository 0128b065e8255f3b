"""The names of the clients, which may take several lines, and the state and zip below them.

What may belong to a name is kept until all lines are known, since the other sales of a client tell how
its name goes on. A text is then part of the name, or surely none, or a problem that names its line.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from statistics import median

from shs_pipeline.supplier_pdf.naming import (
    DOUBT,
    TEXT,
    Part,
    Span,
    Verdicts,
    goes_on,
    may_begin,
    problem_at,
)
from shs_pipeline.supplier_pdf.printed import (
    CLIENT,
    INVOICE,
    ITEM,
    PLACE,
    CellLine,
    Sale,
    Statement,
    tidy,
)
from shs_pipeline.supplier_pdf.wording import is_address, is_facility, is_note, may_be_note, place_of

_NEXT_LINE = 1.9  # line heights: the rest of a name stands no further below
_USUAL_PITCH = 1.35  # of the usual distance between lines, where that is more
_WIDEST_PITCH = 4.0  # line heights
_SAME_BLOCK = 1.3  # the lines of a cell that is not aligned with its top


class Names:
    """Gives each sale its name and place.

    Args:
        statement: takes the sales and problems.
        lines: all lines of the table.
        is_block: whether the amounts stand beside the middle or the end of a client's lines.
    """

    def __init__(self, statement: Statement, lines: Sequence[CellLine], *, is_block: bool) -> None:
        self._statement = statement
        self.is_block = is_block
        self._pitch = _pitch(lines)
        self._has_places = any(place_of(line.text) for line in lines)
        self._open: Span | None = None  # the last sale, until its state and zip have come
        self._spans: list[Span] = []
        self._last: CellLine | None = None  # line above, page numbers and the like left aside
        self._is_torn = False  # whether something stands between the open name and what follows
        self._above: list[CellLine] = []  # texts before the sale that they belong to (blocks)
        self._before: CellLine | None = None  # text right above, which was left out

    @property
    def is_waiting(self) -> bool:
        """Whether the last sale's name may go on."""
        return self._open is not None

    def is_next(self, above: CellLine, below: CellLine) -> bool:
        """Whether a line may go on with the text of another: right below it, or on the next page."""
        return above.page != below.page or self._is_below(above, below)

    def _is_below(self, above: CellLine, below: CellLine) -> bool:
        pitch = min(_USUAL_PITCH * self._pitch, _WIDEST_PITCH * below.size)
        most = _SAME_BLOCK * below.size if self.is_block else max(_NEXT_LINE * below.size, pitch)
        return above.page == below.page and above.y - below.y <= most

    def take_sale(self, sale: Sale) -> None:
        """Begin the next client."""
        before, self._before = self._before, None
        parts = self._open.parts if self._open else []
        above = parts[-1].line if parts else before
        self.close()
        self._statement.sales.append(sale)
        sale.client = sale.line[CLIENT]
        place = place_of(sale.line[PLACE]) if sale.line[PLACE] else None
        if self.is_block:
            place = place or place_of(sale.client)
            self._name_block(sale)
        elif place_of(sale.client):
            text = f"The sale line has a state and zip where the client's name should be: {sale.line.text!r}."
            self._statement.problems.append(problem_at(sale.line, text))
        elif above is not None and self._is_below(above, sale.line) and may_begin(above, sale.line):
            if parts:
                parts[-1].may_begin_next = True
            else:
                self._ask(above, f"the name below it ({sale.client})")
        if place is not None:
            sale.state, sale.zip_code = place
        span = Span(sale, has_own_place=place is not None)
        self._spans.append(span)
        self._open = None if self.is_block and place is not None else span
        self._last, self._is_torn = sale.line, False

    def take_place(self, line: CellLine, place: tuple[str, str]) -> None:
        """Take in a line with nothing but state and zip: it ends the client's name."""
        if self._open is None or self._open.has_own_place:
            text = f"There is no sale line above this state and zip: {line.text!r}."
            self._statement.problems.append(problem_at(line, text))
            return
        self._open.sale.state, self._open.sale.zip_code = place
        self._open.place = line
        self._open = self._before = None

    def take_text(self, line: CellLine) -> bool:
        """Take in a text that may be part of a name; False when it can be none."""
        last, self._last = self._last, line
        self._before = line if line.is_flush else None
        is_near = last is not None and self.is_next(last, line)
        span = self._open
        if span is not None and is_near and not span.after_total and (line[INVOICE] or line[ITEM]):
            text = f"A cell continues on a second line, and it is unclear how: {line.text!r}."
            self._statement.problems.append(problem_at(line, text))
            return True
        if span is not None and self._may_belong(span, line, is_near=is_near):
            is_adjacent = is_near and not self._is_torn and not span.after_total
            span.parts.append(Part(line, TEXT, is_adjacent, span.after_total))
            return True
        self._is_torn = True
        if not self.is_block or not line.is_flush:
            return False
        if self._above and not self._is_below(self._above[-1], line):
            self._leave_above(line)
        self._above.append(line)
        return True

    def take_doubtful(self, line: CellLine, reason: str) -> bool:
        """Take in what looks like a footer or title and stands where the name has to go on."""
        span, last = self._open, self._last
        if span is None or last is None or not line.is_flush or not line.is_inside or span.after_total:
            return False
        if last.page != line.page or not self._is_below(last, line) or not goes_on(last, line):
            return False
        span.parts.append(Part(line, reason, is_adjacent=True, is_doubtful=True))
        self._last = line
        return True

    def _may_belong(self, span: Span, line: CellLine, *, is_near: bool) -> bool:
        """Whether a text has to be judged: others are headings and remarks for sure."""
        if not (line.is_flush or line.is_inside):
            return False
        if self.is_block:
            return line.is_flush and is_near and not span.after_total
        if self._has_places and not span.has_own_place:
            return True
        may_follow = goes_on(span.last_of_name, line)
        if span.after_total or not is_near:
            return may_follow
        return line.is_flush or may_follow

    def take_total(self, line: CellLine, label: str) -> None:
        """A total ends the name, but a page's, which may stand above the rest of it on the next page."""
        if self._open is not None:
            is_page = "page" in label.casefold()
            self._open.after_total = "page" if is_page and self._open.after_total != "other" else "other"
        self._last, self._before = line, None

    def close(self) -> None:
        """End the client whose state and zip did not come."""
        self._open, self._is_torn = None, False

    def finish(self) -> None:
        """Decide which texts belong to which name, once all lines are known."""
        self.close()
        self._statement.left_out[TEXT] += len(self._above)
        Verdicts(self._statement, self._spans).decide()
        for sale in self._statement.sales:
            if not sale.client:
                text = f"The sale line has no client: {sale.line.text!r}."
                self._statement.problems.append(problem_at(sale.line, text))
            elif self._has_places and sale.state is None:
                text = f"The sale of {sale.client!r} has no state and zip line below it."
                self._statement.problems.append(problem_at(sale.line, text, severity="warning"))

    def _name_block(self, sale: Sale) -> None:
        """The name of a client whose lines begin above the amounts."""
        above, self._above = self._above, []
        own = sale.client if sale.client and place_of(sale.client) is None else ""
        named = [*above, sale.line] if own else above
        if above and above[-1].page != sale.line.page:
            self._ask(above[-1], "the name that continues on the next page")
        for one, other in itertools.pairwise(named):
            is_sure = is_note(one.text) or is_note(other.text) or is_address(other.text)
            if not is_sure and not (goes_on(one, other) or is_facility(other.text)):
                self._ask(other, f"the client's name ({one.text})")
        sale.client = tidy(" ".join([*self._texts(above), own]))

    def _leave_above(self, below: CellLine) -> None:
        last = self._above[-1]
        is_near = last.page != below.page or last.y - below.y <= _NEXT_LINE * below.size
        if is_near and goes_on(last, below) and not may_be_note(last.text):
            self._ask(last, f"the name below it ({below.text})")
        self._statement.left_out[TEXT] += len(self._above)
        self._above = []

    def _texts(self, lines: Iterable[CellLine]) -> list[str]:
        """The texts that belong to a name; remarks and streets are left out."""
        texts = []
        for line in lines:
            if is_note(line.text) or is_address(line.text):
                self._statement.left_out[TEXT] += 1
                continue
            if may_be_note(line.text):
                self._ask(line, "the client's name")
            texts.append(line[CLIENT] or line.text)
        return texts

    def _ask(self, line: CellLine, name: str) -> None:
        self._statement.problems.append(
            problem_at(line, f"{DOUBT} {line.text!r} is a remark or part of {name}.")
        )


def _pitch(lines: Sequence[CellLine]) -> float:
    """Usual distance between two lines of a page, points."""
    gaps = [above.y - below.y for above, below in itertools.pairwise(lines) if above.page == below.page]
    return median(gaps) if gaps else 0.0
