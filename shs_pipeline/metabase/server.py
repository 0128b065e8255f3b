"""Where Metabase finds the warehouse, and how it verifies that it is the right one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from shs_pipeline.base.errors import ShsError

RDS_CERTIFICATES = "/app/certs/rds-combined-ca-bundle.pem"
"""Amazon's root certificates in Metabase's own image."""
_RDS = ".rds.amazonaws.com"
_ENCRYPTED = ("require", "verify-ca", "verify-full")
_VERIFIED = ("verify-ca", "verify-full")
_REMEDY = (
    "Set SHS_METABASE_ROOT_CERTIFICATE to the certificate's path in Metabase's container, or set sslrootcert "
    "in SHS_DATABASE_URL to a PEM file on this machine: Metabase is then given its content."
)


@dataclass(frozen=True)
class Server:
    """Where Metabase finds the warehouse.

    Attributes:
        certificate_path: root certificate as Metabase sees it.
        certificate: content of a root certificate, PEM; one of the two where the server is verified.
    """

    host: str
    port: int
    database: str
    sslmode: str = "prefer"
    certificate_path: str = ""
    certificate: str = ""

    @property
    def tls_details(self) -> dict[str, Any]:
        """What a connection says of encryption, by the names of Metabase's PostgreSQL driver."""
        if self.sslmode not in _ENCRYPTED:
            return {"ssl": False}
        details = {"ssl": True, "ssl-mode": self.sslmode, "ssl-use-client-auth": False}
        if self.sslmode not in _VERIFIED:
            return details
        if self.certificate_path:
            return {
                **details, "ssl-root-cert-options": "local", "ssl-root-cert-path": self.certificate_path,
            }  # fmt: skip
        return {**details, "ssl-root-cert-options": "uploaded", "ssl-root-cert-value": self.certificate}


def server_of(
    database_url: str,
    warehouse: str = "",
    root_certificate: str = "",
    environment: Mapping[str, str] = os.environ,
) -> Server:
    """Return where Metabase finds the warehouse of a URL.

    Args:
        warehouse: `host:port` by which Metabase reaches it, empty for that of the URL.
        root_certificate: path of the root certificate as Metabase sees it, empty for none.
        environment: of libpq, whose `PGSSLMODE` and `PGSSLROOTCERT` count where the URL says nothing.

    Raises:
        ShsError: the server is to be verified, and there is no certificate to do so.
    """
    parts = urlsplit(database_url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 5432
    if warehouse:
        host, _, number = warehouse.rpartition(":")
        port = int(number)
    options = parse_qs(parts.query)
    sslmode = options.get("sslmode", [environment.get("PGSSLMODE") or "prefer"])[0]
    database = unquote(parts.path.lstrip("/"))
    if sslmode not in _VERIFIED:
        return Server(host, port, database, sslmode)
    path = root_certificate or (RDS_CERTIFICATES if host.endswith(_RDS) else "")
    if path:
        return Server(host, port, database, sslmode, certificate_path=path)
    named = options.get("sslrootcert", [environment.get("PGSSLROOTCERT") or ""])[0]
    return Server(host, port, database, sslmode, certificate=_content(named, sslmode))


def _content(named: str, sslmode: str) -> str:
    # What libpq takes by itself.
    path = Path(named) if named else Path.home() / ".postgresql" / "root.crt"
    asked = f"The warehouse must be reached with sslmode={sslmode}"
    if named == "system":
        raise ShsError(f"{asked} and the system's certificates, which Metabase cannot use.", _REMEDY)
    if not named and not path.exists():
        raise ShsError(f"{asked}, but no root certificate is named for Metabase.", _REMEDY)
    try:
        text = path.read_text(encoding="ascii")
    except OSError as error:
        raise ShsError(f"The root certificate {path} cannot be read ({error.strerror}).", _REMEDY) from None
    except UnicodeDecodeError:
        text = ""
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise ShsError(f"The root certificate {path} is not a PEM file with a certificate in it.", _REMEDY)
    return text
