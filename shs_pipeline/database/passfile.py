"""Database URLs without their password, which libpq reads from a private file instead.

Everybody on the machine can read command lines (`ps`), but not a password file.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from shs_pipeline.base.private_files import give_to_owner_of, make_private_folder

NAME = "pgpass"


def without_password(url: str) -> str:
    """Return a database URL without its password."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}{at}{host}"))


def with_passfile(home: Path, url: str) -> str:
    """Keep the password of a URL in `<home>/pgpass`, and return the URL that names that file.

    Returns:
        the URL without the password; psql and every other program that uses libpq takes it as it is.

    Raises:
        OSError: the file cannot be written.
    """
    path = home.absolute() / NAME
    parts = urlsplit(url)
    password = unquote(parts.password or "")
    if not password:
        return url
    fields = (
        parts.hostname or "",
        str(parts.port or 5432),
        unquote(parts.path.lstrip("/")),
        unquote(parts.username or ""),
    )
    start = ":".join(_escaped(field) for field in fields) + ":"
    _keep(path, start, _escaped(password))
    query = [pair for pair in parse_qsl(parts.query) if pair[0] != "passfile"]
    named = urlencode([*query, ("passfile", str(path))], quote_via=quote, safe="/")
    return urlunsplit(urlsplit(without_password(url))._replace(query=named))


def _keep(path: Path, start: str, password: str) -> None:
    """Put a line into the file in place of the one that begins like it; whole or not at all."""
    make_private_folder(path.parent)
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    lines = [line for line in lines if not line.startswith(start)] + [f"{start}{password}"]
    # libpq ignores a file that others may read; mkstemp makes it for the owner alone.
    handle, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{NAME}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write("\n".join(lines) + "\n")
        give_to_owner_of(path.parent, Path(fresh))
        Path(fresh).replace(path)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace(":", "\\:")
