"""Workbooks that the system writes: the same bytes for the same cells, and a seal that an edit breaks.

The seal is a checksum of all parts of the workbook, in its property *identifier*. Excel writes every part
anew, so a workbook that somebody saved is not taken for one of ours, whatever a copy did to its times.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterable
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openpyxl import Workbook

_PROPERTIES = "docProps/core.xml"
_FIRST_MOMENT = (1980, 1, 1, 0, 0, 0)
_SEAL = re.compile(rb"<dc:identifier>shs-([0-9a-f]{64})</dc:identifier>")
_XML = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    '<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:creator>shs</dc:creator>'
    "<dc:identifier>shs-{}</dc:identifier></cp:coreProperties>"
)
# A name that a workbook defines outlives being saved by Excel or LibreOffice, which its seal does not.
_MARK = "shs_written_by_the_system"
_DEFINED = f'name="{_MARK}"'.encode()
# What a workbook of ours may take in memory when it is looked at: many times the largest.
_MOST_BYTES = 200 << 20


def sealed(name: str, content: bytes) -> bytes:
    """Return a workbook with its seal, and without the times at which it was made.

    Args:
        name: what it is a workbook of, so that another one in its place is noticed.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        parts = [(part.filename, book.read(part)) for part in book.infolist()]
    seal = _checksum(name, parts)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as book:
        for path, data in parts:
            text = _XML.format(seal).encode() if path == _PROPERTIES else data
            book.writestr(zipfile.ZipInfo(path, _FIRST_MOMENT), text, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def is_sealed(name: str, content: bytes) -> bool:
    """Whether a workbook is as `sealed` made it; never fails, whatever the bytes are."""
    parts = _parts(content)
    seal = _SEAL.search(dict(parts).get(_PROPERTIES, b""))
    return seal is not None and seal[1].decode() == _checksum(name, parts)


def mark(book: Workbook) -> None:
    """Mark a workbook in which nothing is anybody's, so that it is known after somebody saved it."""
    from openpyxl.utils import quote_sheetname
    from openpyxl.workbook.defined_name import DefinedName

    first = quote_sheetname(book.sheetnames[0])
    book.defined_names[_MARK] = DefinedName(_MARK, attr_text=f"{first}!$A$1", hidden=True)


def is_marked(content: bytes) -> bool:
    """Whether a workbook has our mark, whoever saved it; never fails, whatever the bytes are."""
    return _DEFINED in dict(_parts(content)).get("xl/workbook.xml", b"")


def _parts(content: bytes) -> list[tuple[str, bytes]]:
    """Return the parts of a workbook; none of what is none, or is larger than any of ours."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as book:
            if sum(part.file_size for part in book.infolist()) > _MOST_BYTES:
                return []
            return [(part.filename, book.read(part)) for part in book.infolist()]
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, RuntimeError, EOFError):
        return []


def _checksum(name: str, parts: Iterable[tuple[str, bytes]]) -> str:
    digest = sha256(name.encode())
    for path, data in sorted(parts):
        if path != _PROPERTIES:
            digest.update(f"\n{path} {len(data)}\n".encode())
            digest.update(data)
    return digest.hexdigest()
