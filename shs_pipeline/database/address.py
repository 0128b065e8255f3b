"""The address of the warehouse: as configured, and as it may be shown."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from pydantic import SecretStr

if TYPE_CHECKING:
    from shs_pipeline.settings.settings import Settings


def server_url(settings: Settings) -> SecretStr | None:
    """Return `SHS_DATABASE_URL` with user and password that are given apart from it, None without it."""
    url, password = settings.database_url, settings.database_password
    if url is None or (password is None and not settings.database_user):
        return url
    parts = urlsplit(url_text(url))
    named, _, host = parts.netloc.rpartition("@")
    user = quote(settings.database_user, safe="") or named.partition(":")[0]
    if password is not None:
        user = f"{user}:{quote(password.get_secret_value(), safe='')}"
    return SecretStr(urlunsplit(parts._replace(netloc=f"{user}@{host}")))


def place(url: str | SecretStr) -> str:
    """Return `name on host:port` of a database URL, for messages."""
    parts = urlsplit(url_text(url))
    host = parts.netloc.rpartition("@")[2]
    return f"{unquote(parts.path.lstrip('/'))} on {host or 'the local socket'}"


def url_text(url: str | SecretStr) -> str:
    """Return a URL as text, with its password."""
    return url.get_secret_value() if isinstance(url, SecretStr) else url
