"""Whether a text below a sale belongs to its client's name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from shs_pipeline.files.reading import Problem
from shs_pipeline.supplier_pdf.coordinates import SEND_PIVOT
from shs_pipeline.supplier_pdf.printed import CLIENT, CellLine, Sale, Statement, sheet_of, tidy
from shs_pipeline.supplier_pdf.wording import is_address, is_facility, is_note, may_be_note

TEXT = "text without amounts"
DOUBT = "It is unclear whether"
_SLACK = 0.9  # line heights: a word that would just have fitted counts as wrapped
_LESS_ROOM = 2.2  # the same where state and zip follow: a wrapped name may keep off the next column
_JOINT = r"(?:of|and|at|the|for|in|on|de|a|y|&|-|/)"
_GOES_ON = re.compile(rf"{_JOINT}\b.*|[&,\-/(].*", re.DOTALL)
_IS_CUT = re.compile(rf".*(?:\s{_JOINT}|[,&\-/])", re.IGNORECASE | re.DOTALL)

Verdict = Literal["name", "no name", "ask"]


@dataclass
class Part:
    """A text that may belong to a name.

    Attributes:
        reason: what it counts as where it does not.
        is_adjacent: whether it follows the lines of the name, with page numbers at most between.
        after_total: kind of the total that stands between, "page" or "other"; blank: none.
        is_doubtful: whether it looks like a footer or title.
        may_begin_next: whether it may be the first line of the client below.
    """

    line: CellLine
    reason: str
    is_adjacent: bool
    after_total: str = ""
    is_doubtful: bool = False
    may_begin_next: bool = False


@dataclass
class Span:
    """A sale with what stands between it and the next one.

    Attributes:
        has_own_place: whether the sale's own line prints state and zip.
        place: the line below it that does.
        after_total: kind of the last total that came, see `Part`.
    """

    sale: Sale
    has_own_place: bool = False
    place: CellLine | None = None
    parts: list[Part] = field(default_factory=list)
    after_total: str = ""

    @property
    def last_of_name(self) -> CellLine:
        """The last line that may belong to the name."""
        return next((part.line for part in reversed(self.parts) if part.is_adjacent), self.sale.line)


def goes_on(last: CellLine, line: CellLine, slack: float = _SLACK) -> bool:
    """Whether a line must be the rest of another: its first word had no room there, or words say so."""
    return _is_wrapped(last, line, slack) or _is_joined(last, line)


def may_begin(above: CellLine, sale: CellLine) -> bool:
    """Whether a text above a sale may be the first line of its client's name."""
    if is_note(above.text) or may_be_note(above.text) or not above.is_inside or above.is_title:
        return False
    is_full = above.has_room >= -above.size and _is_wrapped(above, sale, _SLACK)
    return is_full or _is_joined(above, sale)


def problem_at(line: CellLine, text: str, *, severity: Literal["error", "warning"] = "error") -> Problem:
    """A problem with the client's name at a line."""
    value = line[CLIENT] or line.text
    return Problem(text, SEND_PIVOT, sheet_of(line.page), line.line, CLIENT, value, severity)


class Verdicts:
    """Decides on all texts; the names that are sure help with those that are not."""

    def __init__(self, statement: Statement, spans: Sequence[Span]) -> None:
        self._statement = statement
        self._spans = spans
        self._has_places = any(span.place for span in spans)
        self._known: dict[str, Counter[str]] = {}
        self._margin = _margin(spans)

    def decide(self) -> None:
        """Give every sale its name, count what is left out, and add the problems."""
        for span in self._spans:
            verdicts = self._verdicts(span)
            is_sure = all(part.is_adjacent and not part.is_doubtful for part in span.parts)
            if is_sure and "ask" not in verdicts:
                names = self._known.setdefault(span.sale.client, Counter())
                names[_name(span, verdicts)] += 1
        decided = [(span, self._verdicts(span)) for span in self._spans]
        named = [(span, verdicts, _name(span, verdicts)) for span, verdicts in decided]
        full: dict[tuple[str, str | None, str | None], set[str]] = {}
        for span, _, name in named:
            full.setdefault(_client(span), set()).add(name)
        for span, verdicts, name in named:
            others = full[_client(span)]
            self._settle(span, verdicts, name, others)

    def _settle(self, span: Span, verdicts: list[Verdict], name: str, others: set[str]) -> None:
        is_shorter = any(other.startswith(f"{name} ") for other in others)
        is_longer = any(name.startswith(f"{other} ") for other in others)
        for part, verdict in zip(span.parts, verdicts, strict=True):
            is_torn = verdict == "no name" and is_shorter and not is_note(part.line.text)
            if verdict == "ask" or is_torn or (verdict == "name" and is_longer):
                self._statement.problems.append(
                    problem_at(
                        part.line,
                        f"{DOUBT} {part.line.text!r} is a remark or part of the name before it "
                        f"({span.sale.client}).",
                    )
                )
            elif verdict == "no name":
                self._statement.left_out[part.reason] += 1
        span.sale.client = name

    def _verdicts(self, span: Span) -> list[Verdict]:
        verdicts: list[Verdict] = []
        name, last, breaks, has_street = span.sale.client, span.sale.line, set[bool](), False
        for part in span.parts:
            is_wrapped = self._is_wrapped(span, last, part.line)
            verdict = self._verdict(span, part, name, last)
            if verdict == "name":
                breaks.add(is_wrapped)
            if verdict == "name" and len(breaks) > 1 and not self._is_known(span, f"{name} {_text(part)}"):
                verdict = "ask"  # a name that had to be wrapped fills all of its lines but the last
            elif verdict == "ask" and has_street and not is_wrapped:
                verdict = "no name"  # the city below a street
            if verdict == "name":
                name, last = tidy(f"{name} {_text(part)}"), part.line
            has_street = has_street or (verdict == "no name" and is_address(part.line.text))
            verdicts.append(verdict)
        return verdicts

    def _verdict(self, span: Span, part: Part, name: str, last: CellLine) -> Verdict:
        """What a part is, below `name`, whose last line is `last`."""
        text = part.line.text
        if is_note(text):
            return "no name"
        if self._is_known(span, f"{name} {_text(part)}"):
            return "name"
        is_whole = name in self._known.get(span.sale.client, ())
        follows = self._is_wrapped(span, last, part.line) or _is_joined(last, part.line)
        if part.is_doubtful or is_address(text):
            is_other = is_whole if part.is_doubtful else not follows
            return "no name" if is_other else "ask"
        if span.place is not None:
            return self._before_place(span, part, follows=follows)
        if self._has_places and not span.has_own_place:
            is_remark = may_be_note(text) or part.after_total or not part.is_adjacent
            return "no name" if is_remark and not follows else "ask"
        return _without_place(part, follows=follows, is_known=is_whole)

    def _is_known(self, span: Span, name: str) -> bool:
        """Whether a name of this client, known from another sale, begins so."""
        begin = tidy(name)
        return any(f"{other} ".startswith(f"{begin} ") for other in self._known.get(span.sale.client, ()))

    def _is_wrapped(self, span: Span, last: CellLine, line: CellLine) -> bool:
        if span.place is None:
            return _is_wrapped(last, line, _SLACK)
        return _is_wrapped(last, line, max(_LESS_ROOM, self._margin / line.size + _SLACK))

    @staticmethod
    def _before_place(span: Span, part: Part, *, follows: bool) -> Verdict:
        assert span.place is not None
        line = part.line
        is_aligned = line.is_flush or abs(line.x0 - span.place.x0) <= line.size / 2
        if may_be_note(line.text) or not line.is_inside or not is_aligned:
            return "ask"
        if part.is_adjacent:
            return "name" if follows or is_facility(line.text) else "ask"
        return "name" if follows and part.after_total != "other" else "ask"


def _without_place(part: Part, *, follows: bool, is_known: bool) -> Verdict:
    line = part.line
    if not follows:
        return "ask" if part.is_adjacent and line.is_flush and not may_be_note(line.text) else "no name"
    if may_be_note(line.text) or not line.is_flush or not line.is_inside or part.may_begin_next:
        return "ask"
    if part.is_adjacent or part.after_total == "page":
        return "name"
    return "no name" if is_known else "ask"


def _margin(spans: Sequence[Span]) -> float:
    """Points that all names keep free at the right, where several are wrapped so; 0 where they are not."""
    lines = [line for span in spans for line in (span.sale.line, *(part.line for part in span.parts))]
    least = min((line.has_room for line in lines), default=0.0)
    clients: set[str] = set()
    for span in spans:
        last = span.sale.line
        for part in span.parts:
            if is_note(part.line.text) or is_address(part.line.text) or not part.is_adjacent:
                continue
            if span.place is None or last.has_room - least >= part.line.width_of_first + _SLACK * last.size:
                return 0.0
            clients.add(span.sale.client)
            last = part.line
    return max(least, 0.0) if len(clients) > 1 else 0.0


def _text(part: Part) -> str:
    return part.line[CLIENT] or part.line.text


def _name(span: Span, verdicts: Sequence[Verdict]) -> str:
    parts = [_text(part) for part, verdict in zip(span.parts, verdicts, strict=True) if verdict == "name"]
    return tidy(" ".join([span.sale.client, *parts]))


def _client(span: Span) -> tuple[str, str | None, str | None]:
    return span.sale.client, span.sale.state, span.sale.zip_code


def _is_wrapped(last: CellLine, line: CellLine, slack: float) -> bool:
    return last.has_room < line.width_of_first + slack * line.size


def _is_joined(last: CellLine, line: CellLine) -> bool:
    return bool(_GOES_ON.fullmatch(line.text) or _IS_CUT.fullmatch(last[CLIENT]))
