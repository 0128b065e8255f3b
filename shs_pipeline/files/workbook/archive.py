"""A workbook's zip archive: whether it is safe to unpack, and which part is which."""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from urllib.parse import unquote
from xml.etree import ElementTree

from shs_pipeline.base.errors import UnreadableFileError
from shs_pipeline.files.reading import SourceFile

UNPACKED_PER_PACKED_LIMIT = 20
"""A workbook may unpack to this many times the size limit of a file (`SHS_MAX_FILE_MB`)."""
PLAUSIBLE_RATIO = 100
"""A workbook unpacks to 5 to 30 times its size; above this it is a bomb, unless it is small."""
SMALL = 100_000_000
"""Bytes that any workbook may unpack to, however small it is packed."""

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


class Archive:
    """The parts of a workbook, found by name without case as Excel does.

    Args:
        file: the workbook.

    Raises:
        UnreadableFileError: no archive.
    """

    def __init__(self, file: SourceFile) -> None:
        self.file = file
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(file.content))
        except _ZIP_ERRORS:
            raise damaged(file) from None
        self._names: dict[str, str] = {}
        for name in self._zip.namelist():
            if _key(name) in self._names:  # Nobody knows which of the two Excel would show.
                raise damaged(file)
            self._names[_key(name)] = name

    def __contains__(self, name: str) -> bool:
        return _key(name) in self._names

    def read(self, name: str) -> bytes:
        """Return the bytes of a part.

        Raises:
            UnreadableFileError: there is no such part, or it cannot be unpacked.
        """
        try:
            with self._zip.open(self._names[_key(name)]) as stream:
                # Told how much to read, it unpacks no more; the header may lie.
                return stream.read(self._zip.getinfo(self._names[_key(name)]).file_size)
        except (*_ZIP_ERRORS, KeyError):
            raise damaged(self.file) from None

    def size(self, name: str) -> int:
        """Return how many bytes a part has, as the archive says; 0 where there is none."""
        found = self._names.get(_key(name))
        return 0 if found is None else self._zip.getinfo(found).file_size

    def tree(self, name: str) -> ElementTree.Element:
        """Return a small part as a tree.

        Raises:
            UnreadableFileError: there is no such part, or it is no XML that a workbook may hold.
        """
        parser = ElementTree.XMLParser(target=_Tree(self.file))  # noqa: S314 - it takes no entities
        try:
            parser.feed(self.read(name))
            found: ElementTree.Element = parser.close()
        except (ElementTree.ParseError, LookupError, ValueError):
            raise damaged(self.file) from None
        return found

    def links(self, part: str) -> Iterator[tuple[str, str, str]]:
        """Yield the links of a part: id, last word of the type, and the part that it leads to."""
        folder, name = posixpath.split(part)
        rels = posixpath.join(folder, "_rels", f"{name}.rels")
        if rels not in self:
            return
        for entry in self.tree(rels):
            if entry.get("TargetMode") != "External":
                kind = entry.get("Type", "").rpartition("/")[2]
                yield entry.get("Id", ""), kind, self._target(folder, entry.get("Target", ""))

    def _target(self, folder: str, target: str) -> str:
        """Return the part that a link leads to: from the root, or from the folder of the part."""
        target = unquote(target.replace("\\", "/"))
        path = target if target.startswith("/") else posixpath.join("/", folder, target)
        return posixpath.normpath(path).lstrip("/")


class _Tree(ElementTree.TreeBuilder):
    """A tree without a document type: no workbook has one, and entities would come from there."""

    def __init__(self, file: SourceFile) -> None:
        super().__init__()
        self._file = file

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        """Refuse the document."""
        raise has_entities(self._file)


def local(name: str) -> str:
    """Return the name of an element or attribute without its namespace or prefix."""
    return name.rpartition("}")[2].rpartition(":")[2]


def damaged(file: SourceFile) -> UnreadableFileError:
    """Return what is said of a file that is no whole workbook."""
    return UnreadableFileError(
        f"{file.name} is not an Excel workbook, or is damaged.",
        "Open it in Excel, save it as .xlsx and drop it again.",
    )


def has_entities(file: SourceFile) -> UnreadableFileError:
    """Return what is said of a file whose XML declares entities, as XML bombs do."""
    return UnreadableFileError(
        f"{file.name} declares a document type in its XML, which XML bombs do and Excel workbooks do not.",
        "If you trust it, open it in Excel, copy the sheet with the data to a new workbook and drop that.",
    )


def check_is_workbook(file: SourceFile, max_bytes: int) -> None:
    """Check what can be known of a workbook before it is opened.

    Args:
        max_bytes: size limit of a dropped file.

    Raises:
        UnreadableFileError: no workbook, password, macros, or a zip bomb.
    """
    if file.content.startswith(_OLE):
        if _ENCRYPTED in file.content:
            raise UnreadableFileError(
                f"{file.name} is protected with a password.",
                "Open it in Excel, remove the password (File > Info > Protect Workbook) and drop it again.",
            )
        raise UnreadableFileError(
            f"{file.name} is a workbook in the old .xls format.",
            "Save it in Excel as .xlsx and drop it again.",
        )
    try:
        with zipfile.ZipFile(io.BytesIO(file.content)) as archive:
            plausible = max(len(file.content) * PLAUSIBLE_RATIO, SMALL)
            _check_parts(file, archive, min(max_bytes * UNPACKED_PER_PACKED_LIMIT, plausible))
    except _ZIP_ERRORS:
        raise damaged(file) from None


def _check_parts(file: SourceFile, archive: zipfile.ZipFile, limit: int) -> None:
    names = {entry.filename.lower() for entry in archive.infolist()}
    if any(name.endswith("vbaproject.bin") for name in names):
        raise UnreadableFileError(
            f"{file.name} contains macros.",
            "Save it in Excel as 'Excel Workbook (.xlsx)', which drops the macros, and drop it again.",
        )
    if "xl/workbook.bin" in names:
        raise UnreadableFileError(
            f"{file.name} is a binary workbook (.xlsb).", "Save it in Excel as .xlsx and drop it again."
        )
    entries = archive.infolist()
    # A size that lies is found when the part is read: `Archive.read`.
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > limit:
        raise UnreadableFileError(
            f"{file.name} unpacks to more than {limit // 1_000_000} MB, like a zip bomb.",
            "Copy the sheet with the data to a new workbook and drop that.",
        )
    workbook_part(Archive(file))


def workbook_part(archive: Archive) -> str:
    """Return the part that lists the sheets; its usual name is `xl/workbook.xml`.

    Raises:
        UnreadableFileError: there is none.
    """
    for _, kind, target in archive.links(""):
        if kind == "officeDocument" and target in archive:
            return target
    if "xl/workbook.xml" not in archive:
        raise damaged(archive.file)
    return "xl/workbook.xml"


def _key(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()
