"""Write a workbook as the same bytes every time."""

from __future__ import annotations

import io
import math
import re
import shutil
import zipfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

    from openpyxl.workbook.workbook import Workbook

CHUNK = 1 << 20
_LONG_AGO = datetime(2000, 1, 1)  # noqa: DTZ001 (openpyxl takes no time zone)
_SHAPE_ID = re.compile(rb'\bid="_x0000_s\d+"')
_ID_MAP = re.compile(rb'(idmap\b[^>]*\bdata=)"1"')


class _Archive(zipfile.ZipFile):
    """A zip without the time of writing, whose comment boxes have numbers that Excel accepts."""

    _shape_block = 1

    def writestr(
        self,
        zinfo_or_arcname: str | zipfile.ZipInfo,
        data: str | bytes,  # type: ignore[override]
        compress_type: int | None = None,
        compresslevel: int | None = None,
    ) -> None:
        """Write a member with a fixed time."""
        name = zinfo_or_arcname if isinstance(zinfo_or_arcname, str) else zinfo_or_arcname.filename
        if name.endswith(".vml"):
            data = self._number_shapes(data if isinstance(data, bytes) else data.encode())
        super().writestr(_member(name), data, compress_type, compresslevel)

    def write(
        self,
        filename: str | os.PathLike[str],
        arcname: str | os.PathLike[str] | None = None,
        compress_type: int | None = None,
        compresslevel: int | None = None,
    ) -> None:
        """Write a file with a fixed time."""
        with Path(filename).open("rb") as source, self.open(_member(str(arcname)), "w") as target:
            shutil.copyfileobj(source, target, CHUNK)

    def _number_shapes(self, vml: bytes) -> bytes:
        """Number the boxes of one sheet in blocks of 1,024 that no other sheet uses.

        openpyxl numbers each sheet's boxes from the first block on, however many there are, which
        Excel may take for damage.
        """
        count = len(_SHAPE_ID.findall(vml))
        blocks = range(self._shape_block, self._shape_block + math.ceil(count / 1023))
        self._shape_block = blocks.stop
        numbers = iter([block * 1024 + place for block in blocks for place in range(1, 1024)])
        vml = _SHAPE_ID.sub(lambda _: b'id="_x0000_s%d"' % next(numbers), vml)
        return _ID_MAP.sub(rb'\1"%s"' % ",".join(map(str, blocks)).encode(), vml)


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.create_system = 3
    member.external_attr = 0o600 << 16
    return member


def bytes_of(book: Workbook) -> bytes:
    """Return a workbook as the bytes of an `.xlsx`."""
    from openpyxl.writer.excel import ExcelWriter

    # Not `book.save`, which writes the time of saving.
    book.properties.created = book.properties.modified = _LONG_AGO
    target = io.BytesIO()
    with _Archive(target, "w", zipfile.ZIP_DEFLATED) as archive:
        ExcelWriter(book, archive).write_data()
    return target.getvalue()
