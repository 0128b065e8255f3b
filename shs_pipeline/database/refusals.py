"""What a server's refusal of a connection means, and how to fix it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from shs_pipeline.base.errors import ShsError
from shs_pipeline.database.address import place

if TYPE_CHECKING:
    import psycopg


# The server's answer while connecting arrives as text only. It has no code, but the words of these
# answers are in its source for decades.
_REFUSALS: tuple[tuple[str, Callable[[str, str], tuple[str, str]]], ...] = (
    (
        "password authentication failed",
        lambda url, user: (
            f"The database {place(url)} rejected the password of {user}.",
            "Correct the user and password in SHS_DATABASE_URL, or SHS_DATABASE_PASSWORD.",
        ),
    ),
    (
        "no password supplied",
        lambda url, user: (
            f"The database {place(url)} asks {user} for a password, but SHS_DATABASE_URL has none.",
            "Set SHS_DATABASE_PASSWORD, or write the password into SHS_DATABASE_URL (user:password@host).",
        ),
    ),
    (
        "root certificate file",
        lambda url, _: (
            f"Verifying the server of {place(url)} needs its root certificate file, which cannot be read.",
            "Set sslrootcert in SHS_DATABASE_URL to that file, and check that it exists and is readable.",
        ),
    ),
    (
        "does not exist",
        lambda url, user: (
            f"The server has no such database or user: {place(url)}, user {user}.",
            "Create it (create database … owner …), or correct SHS_DATABASE_URL.",
        ),
    ),
    (
        "permission denied for database",
        lambda url, user: (
            f"The user {user} may not connect to {place(url)}.",
            "Use the owner of that database in SHS_DATABASE_URL.",
        ),
    ),
    (
        "no pg_hba.conf entry",
        lambda url, user: (
            f"The server of {place(url)} does not let {user} connect from this machine.",
            "Allow this machine in the server's pg_hba.conf, or add ?sslmode=require to the URL.",
        ),
    ),
    (
        "is not permitted to log in",
        lambda url, user: (
            f"The role {user} may not log in to {place(url)}.",
            "Use a login role in SHS_DATABASE_URL.",
        ),
    ),
    (
        "server does not support SSL",
        lambda url, _: (
            f"The server of {place(url)} does not support SSL, but the URL requires it.",
            "Remove sslmode from SHS_DATABASE_URL, or switch SSL on in the server.",
        ),
    ),
    (
        "certificate verify failed",
        lambda url, _: (
            f"The certificate of the server of {place(url)} cannot be verified.",
            "Set sslrootcert in SHS_DATABASE_URL to the certificate authority's file.",
        ),
    ),
    (
        "does not match host name",
        lambda url, _: (
            f"The certificate of the server of {place(url)} was issued for another name.",
            "Use the name in the certificate as the host in SHS_DATABASE_URL.",
        ),
    ),
)


# The second is what a session meets first that begins on a full disk; it has no reason with it.
_NO_ROOM = ("No space left on device", "could not write init file")


def refusal(url: str, error: psycopg.OperationalError) -> ShsError | None:
    """Return why the server refuses, and how to fix it; None when it may only be away."""
    said = str(error)
    for words, explain in _REFUSALS:
        if words in said:
            return ShsError(*explain(url, unquote(urlsplit(url).username or "the current user")))
    return _no_room(url, said) if any(words in said for words in _NO_ROOM) else None


def _no_room(url: str, said: str) -> ShsError:
    reason = _without_password(url, said).strip().splitlines()[-1].strip().rstrip(".")
    return ShsError(
        f"The disk of the database {place(url)} is full, so nobody can connect ({reason}).",
        "Free some space on that disk, then run the command again.",
    )


def away(url: str, waited: float, error: Exception) -> ShsError:
    """Return what to say when nothing answered for so many seconds."""
    said = _without_password(url, str(error)).strip().splitlines() or ["no answer"]
    return ShsError(
        f"The database {place(url)} did not answer within {waited:.0f} s ({said[-1].strip()}).",
        "Start that server or correct SHS_DATABASE_URL; shs doctor checks the embedded one.",
    )


def unusable_url() -> ShsError:
    """Return what to say of a URL that libpq cannot read."""
    # libpq quotes the piece it cannot read, which may be the password: nothing of it is shown.
    return ShsError(
        "SHS_DATABASE_URL cannot be read as a PostgreSQL URL.",
        "Write it as postgresql://user:password@host:port/database (%-codes for @ : / # in a password).",
    )


def _without_password(url: str, text: str) -> str:
    password = urlsplit(url).password
    for form in {password, unquote(password)} if password else set():
        text = text.replace(form, "***")
    return text
