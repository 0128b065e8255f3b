"""What a workbook says about itself: its sheets, its number formats, its texts, and how it counts days."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal
from xml.parsers import expat

from shs_pipeline.files.reading import SourceFile
from shs_pipeline.files.workbook.archive import Archive, damaged, has_entities, local, workbook_part
from shs_pipeline.files.workbook.number_format import BUILT_IN

_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_TRUE = {"1", "true", "on"}
_FIRST_TEXT, _BETWEEN_TEXTS, _LAST_TEXT = b"<si><t>", b"</t></si><si><t>", b"</t></si>"
_PLAIN_HEAD = re.compile(
    rb'(?:\xef\xbb\xbf)?<\?xml version="1\.0" encoding="(?:UTF|utf)-8"(?: standalone="yes")?\?>\s*'
    rb'<sst xmlns="[a-z0-9:/.]+"(?: (?:count|uniqueCount)="[0-9]+")*>'
)
# What the parser changes or refuses: line ends, other entities, control characters, and no characters at all.
_UNUSUAL = re.compile(rb"[\x00-\x08\x0b-\x1f]|&(?!(?:amp|lt|gt|quot|apos);)|\xef\xbf[\xbe\xbf]")


@dataclass(frozen=True)
class SheetEntry:
    """A worksheet as the workbook lists it.

    Attributes:
        part: where in the archive its cells are.
        state: `visible`, `hidden`, or `veryHidden`, which only a macro can show.
    """

    name: str
    part: str
    state: Literal["visible", "hidden", "veryHidden"]

    @property
    def is_visible(self) -> bool:
        """Whether a person sees its tab."""
        return self.state == "visible"


class Book:
    """A workbook whose sheets are read one by one.

    Args:
        file: the workbook.

    Attributes:
        sheets: worksheets in their order; chart sheets are left out.
        is_from_1904: whether day numbers count from 1904, as in workbooks of old Macs.
        is_computed_on_open: whether Excel computes all formulas anew when it opens the workbook. Programs
            that cannot compute say so, and store 0 as every result (XlsxWriter).

    Raises:
        UnreadableFileError: no workbook, or damaged.
    """

    def __init__(self, file: SourceFile) -> None:
        self.archive = Archive(file)
        self.part = workbook_part(self.archive)
        tree = self.archive.tree(self.part)
        links = {key: (kind, target) for key, kind, target in self.archive.links(self.part)}
        self._parts = dict(links.values())
        self.sheets: list[SheetEntry] = []
        self.is_from_1904 = self.is_computed_on_open = False
        for entry in tree.iter():
            what = local(entry.tag)
            if what == "sheet":
                key = next((value for name, value in entry.items() if name.endswith("}id")), "")
                kind, part = links.get(key, ("", ""))
                if not part:
                    raise damaged(file)
                if kind == "worksheet":
                    self.sheets.append(SheetEntry(entry.get("name", ""), part, _state(entry.get("state"))))
            elif what == "workbookPr":
                self.is_from_1904 = entry.get("date1904", "").lower() in _TRUE
            elif what == "calcPr":
                self.is_computed_on_open = entry.get("fullCalcOnLoad", "").lower() in _TRUE

    @cached_property
    def formats(self) -> list[str]:
        """The number format of each cell style."""
        part = self._parts.get("styles", "")
        if part not in self.archive:
            return []
        codes = dict(BUILT_IN)
        styles: list[str] = []
        for group in self.archive.tree(part):
            if local(group.tag) == "numFmts":
                codes |= {_whole(entry.get("numFmtId")): entry.get("formatCode", "") for entry in group}
            elif local(group.tag) == "cellXfs":
                styles = [codes.get(_whole(entry.get("numFmtId")), "") for entry in group]
        return styles

    @cached_property
    def texts(self) -> list[str]:
        """The texts that cells share.

        Raises:
            UnreadableFileError: damaged.
        """
        part = self._parts.get("sharedStrings", "")
        if part not in self.archive:
            return []
        xml = self.archive.read(part)
        plain = plain_texts(xml)
        return texts_of(self.archive.file, xml) if plain is None else plain


def unescaped(text: str) -> str:
    """Return text with the characters that XML cannot hold, which Excel writes as `_x000D_`."""
    if "_x" not in text:
        return text
    plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def parser_of(file: SourceFile) -> expat.XMLParserType:
    """Return a parser that refuses document types, and with them every entity."""

    def refuse(*_: object) -> None:
        raise has_entities(file)

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse
    return parser


def plain_texts(xml: bytes) -> list[str] | None:
    """Return shared texts that are one piece each and written as nearly all programs do; else None."""
    xml = xml.replace(b'<t xml:space="preserve">', b"<t>")
    begin, end = xml.find(_FIRST_TEXT), xml.rfind(_LAST_TEXT)
    head, body = xml[: max(begin, 0)], xml[begin + len(_FIRST_TEXT) : max(end, 0)]
    if begin < 0 or not _PLAIN_HEAD.fullmatch(head) or xml[end + len(_LAST_TEXT) :].strip() != b"</sst>":
        return None
    count = body.count(_BETWEEN_TEXTS)
    if body.count(b"<") != 4 * count or b"]]>" in body or _UNUSUAL.search(body):
        return None
    try:
        text = body.replace(_BETWEEN_TEXTS, b"\0").decode()
    except UnicodeDecodeError:
        return None
    for entity, mark in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'"), ("&amp;", "&")):
        text = text.replace(entity, mark)
    return list(map(unescaped, text.split("\0"))) if "_x" in text else text.split("\0")


def texts_of(file: SourceFile, xml: bytes) -> list[str]:
    """Return shared texts, however they are written.

    Raises:
        UnreadableFileError: damaged.
    """
    texts: list[str] = []
    found: list[str] = []
    is_text = is_phonetic = False

    def start(name: str, _: object) -> None:
        nonlocal is_text, is_phonetic
        what = local(name)
        if what == "si":
            found.clear()
        elif what == "rPh":
            is_phonetic = True  # How it is spoken is no part of the text.
        is_text = what == "t" and not is_phonetic

    def end(name: str) -> None:
        nonlocal is_text, is_phonetic
        what = local(name)
        is_text = False
        if what == "si":
            texts.append(unescaped("".join(found)))
        elif what == "rPh":
            is_phonetic = False

    def text(data: str) -> None:
        if is_text:
            found.append(data)

    parser = parser_of(file)
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    try:
        parser.Parse(xml, True)
    except (expat.ExpatError, ValueError, LookupError):
        raise damaged(file) from None
    return texts


def _state(text: str | None) -> Literal["visible", "hidden", "veryHidden"]:
    known: dict[str, Literal["hidden", "veryHidden"]] = {"hidden": "hidden", "veryhidden": "veryHidden"}
    return known.get((text or "").lower(), "visible")


def _whole(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0
