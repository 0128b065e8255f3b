"""Where Metabase finds the warehouse: its address, and by what it knows that it is the right one."""

from __future__ import annotations

from pathlib import Path

import pytest

from shs_pipeline.base.errors import ShsError
from shs_pipeline.metabase.desired import schedules
from shs_pipeline.metabase.server import RDS_CERTIFICATES, Server, server_of

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
URL = "postgresql://owner:x@db.example.com:6543/sales"
RDS = "postgresql://owner:x@shs.abc123.us-east-1.rds.amazonaws.com/sales"


def server(url: str, warehouse: str = "", root: str = "", **environment: str) -> Server:
    return server_of(url, warehouse, root, environment)


def test_the_address_is_that_of_the_url_or_the_one_that_metabase_has_for_it() -> None:
    assert server(URL) == Server("db.example.com", 6543, "sales")
    assert server(URL, "postgres:5432") == Server("postgres", 5432, "sales")


@pytest.mark.parametrize("sslmode", ["disable", "allow", "prefer"])
def test_what_needs_no_encryption_asks_for_none(sslmode: str) -> None:
    assert server(f"{URL}?sslmode={sslmode}").tls_details == {"ssl": False}


def test_encryption_without_verification_needs_no_certificate() -> None:
    expected = {"ssl": True, "ssl-mode": "require", "ssl-use-client-auth": False}

    assert server(f"{URL}?sslmode=require").tls_details == expected
    assert server(URL, PGSSLMODE="require").tls_details == expected
    assert server(f"{URL}?sslmode=require", root="/certs/root.pem").tls_details == expected


@pytest.mark.parametrize("sslmode", ["verify-ca", "verify-full"])
def test_metabase_is_given_the_certificate_that_the_url_names(sslmode: str, tmp_path: Path) -> None:
    root = tmp_path / "root.pem"
    root.write_text(PEM)
    expected = {
        "ssl": True, "ssl-mode": sslmode, "ssl-use-client-auth": False,
        "ssl-root-cert-options": "uploaded", "ssl-root-cert-value": PEM,
    }  # fmt: skip

    assert server(f"{URL}?sslmode={sslmode}&sslrootcert={root}").tls_details == expected
    assert server(URL, PGSSLMODE=sslmode, PGSSLROOTCERT=str(root)).tls_details == expected


def test_without_a_name_it_is_the_one_that_libpq_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql/root.crt").write_text(PEM)

    assert server(f"{URL}?sslmode=verify-full").certificate == PEM


def test_a_path_in_metabases_container_goes_before_everything_else() -> None:
    details = server(
        f"{RDS}?sslmode=verify-full&sslrootcert=/nowhere.pem", root="/certs/root.pem"
    ).tls_details

    assert details["ssl-root-cert-options"] == "local"
    assert details["ssl-root-cert-path"] == "/certs/root.pem"


def test_of_amazons_databases_metabases_image_has_the_certificates() -> None:
    details = server(f"{RDS}?sslmode=verify-full&sslrootcert=/etc/shs/rds.pem").tls_details

    assert details["ssl-root-cert-path"] == RDS_CERTIFICATES
    # By another name, such as that of a proxy, it is any server.
    with pytest.raises(ShsError, match=r"rds\.pem cannot be read"):
        server(f"{RDS}?sslmode=verify-full&sslrootcert=/etc/shs/rds.pem", "proxy:5432")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read (No such file or directory)"),
        ("PK\x03\x04", "is not a PEM file"),
        ("-----BEGIN PRIVATE KEY-----", "is not a PEM file"),
        ("", "is not a PEM file"),
        ("naïve", "is not a PEM file"),
    ],
)
def test_a_certificate_that_is_none_is_a_sentence(tmp_path: Path, content: str | None, said: str) -> None:
    root = tmp_path / "root.pem"
    if content is not None:
        root.write_text(content)

    with pytest.raises(ShsError) as refused:
        server(f"{URL}?sslmode=verify-ca&sslrootcert={root}")

    assert said in refused.value.problem
    assert "SHS_METABASE_ROOT_CERTIFICATE" in refused.value.remedy


@pytest.mark.parametrize("query", ["sslmode=verify-full", "sslmode=verify-full&sslrootcert=system"])
def test_to_verify_without_any_certificate_is_a_sentence(
    query: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    with pytest.raises(ShsError) as refused:
        server(f"{URL}?{query}")

    assert "sslmode=verify-full" in refused.value.problem


# --- when Metabase looks at it -----------------------------------------------------------


def test_three_hundred_connections_are_looked_at_all_over_the_night_and_before_the_backups() -> None:
    minutes: dict[int, int] = {}
    for number in range(1, 301):
        found = schedules(f"rep/{number}")
        assert found == schedules(f"rep/{number}")
        for one in found.values():
            minute = (one["schedule_hour"] * 60 + one["schedule_minute"] - 12 * 60) % (24 * 60)
            assert 10 * 60 <= minute < 15 * 60  # 22:00 to 03:00, counted from noon
            minutes[minute] = minutes.get(minute, 0) + 1

    assert max(minutes.values()) <= 4
