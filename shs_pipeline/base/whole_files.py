"""Write files atomically: nobody ever finds half of one."""

from __future__ import annotations

import secrets
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file aside and rename it; a killed process leaves the old one as it was.

    Several processes may do so at once. A symbolic link is replaced, not followed.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    # Hidden, so that it is no drop, and short, since the name itself may be as long as there is.
    fresh = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        fresh.write_bytes(content.encode() if isinstance(content, str) else content)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def write_if_changed(path: Path, text: str) -> None:
    """Write a file whole, unless it says the same already."""
    if not path.is_file() or path.read_bytes() != text.encode():
        write_whole(path, text)
