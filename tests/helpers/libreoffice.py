"""LibreOffice without a window, where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

SOFFICE = shutil.which("soffice")


def converted(content: bytes, folder: Path, kind: str) -> bytes:
    """A workbook as LibreOffice writes it in another format."""
    source = folder / "book.xlsx"
    source.write_bytes(content)
    command = [str(SOFFICE), f"-env:UserInstallation={(folder / 'profile').as_uri()}", "--headless"]
    subprocess.run(
        [*command, "--convert-to", kind, "--outdir", str(folder / "out"), str(source)],
        check=True, capture_output=True, timeout=180,
    )  # fmt: skip
    return (folder / f"out/book.{kind}").read_bytes()


def pages_of(content: bytes, folder: Path, scale: float = 1.25) -> list[Image]:
    """The pages on which a workbook is printed."""
    import pypdfium2 as pdfium

    document = pdfium.PdfDocument(converted(content, folder, "pdf"))
    return [page.render(scale=scale).to_pil().convert("RGB") for page in document]
