"""The landing zone on S3: the same as in a folder, against a real server."""

from __future__ import annotations

import hmac
import urllib.request
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import boto3
import pytest

from shs_pipeline.base.errors import ShsError
from shs_pipeline.ingest.changes import partition_folder
from shs_pipeline.samples.broken import with_bad_cell
from shs_pipeline.samples.tree import make_sample

if TYPE_CHECKING:
    from tests.conftest import S3Server, Zone

MARCH = date(2025, 3, 1)
pytestmark = pytest.mark.slow


def content(seed: int = 1, lines: int = 6) -> bytes:
    return make_sample("cygnus", MARCH, lines=lines, seed=seed).content


def test_drop_correct_and_delete_as_in_a_folder(s3_zone: Zone) -> None:
    path = s3_zone.drop_sample()
    other = s3_zone.drop("incoming/cygnus/2025-03/Ümläut 100% #1 (2).XLSX", content(2))
    s3_zone.run()
    assert [row[0] for row in s3_zone.raw()] == [path] * 6 + [other] * 6
    assert s3_zone.run() == []
    assert s3_zone.query("select uri, etag <> %s from ops.files where path = %s", "", path) == [
        (f"{s3_zone.url}/{path}", True)
    ]

    s3_zone.drop(path, content(3, lines=4))
    s3_zone.run()
    assert [row[0] for row in s3_zone.raw()] == [path] * 4 + [other] * 6

    s3_zone.delete(other)
    s3_zone.run()
    assert [row[0] for row in s3_zone.raw()] == [path] * 4

    s3_zone.move(path, "incoming/cygnus/2025-04/moved.xlsx")
    s3_zone.run()
    assert [row[0] for row in s3_zone.raw()] == ["incoming/cygnus/2025-04/moved.xlsx"] * 4
    assert s3_zone.landing.read("incoming/cygnus/2025-04/moved.xlsx") == content(3, lines=4)


def test_a_rejected_file_gets_its_error_workbook_and_loses_it_when_it_is_mended(s3_zone: Zone) -> None:
    path = s3_zone.drop("incoming/cygnus/2025-03/a.xlsx", with_bad_cell(content(), "Invoice Total", 5, "x"))
    stray = s3_zone.drop("incoming/nobody/a.xlsx", b"x")
    s3_zone.run()
    assert s3_zone.raw() == []
    assert s3_zone.errors(path) is not None
    assert s3_zone.errors(stray) is not None
    [(uri,)] = s3_zone.query("select error_workbook from ops.files where path = %s", path)
    assert uri == f"{s3_zone.url}/rejected/{path}.errors.xlsx"
    assert s3_zone.run() == []

    s3_zone.drop(path, content())
    s3_zone.delete(stray)
    s3_zone.run()
    assert len(s3_zone.raw()) == 6
    assert s3_zone.errors(path) is s3_zone.errors(stray) is None


def test_a_listing_of_more_than_a_thousand_objects_is_whole(s3_zone: Zone) -> None:
    paths = sorted(f"incoming/novo/2025-{n % 12 + 1:02d}/{n:04d}.xlsx" for n in range(2100))
    for path in paths:
        s3_zone.drop(path, b"x")

    assert [drop.path for drop in s3_zone.landing.drops()] == paths
    assert len(s3_zone.landing.drops("incoming/novo/2025-03")) == 175


def test_folders_that_a_console_makes_are_no_files(s3_zone: Zone, s3_server: S3Server) -> None:
    prefix = s3_zone.url.removeprefix("s3://landing/")
    for folder in ("", "incoming/", "incoming/cygnus/", "incoming/cygnus/2025-03/", "reference/"):
        _make_folder(s3_server, f"{prefix}/{folder}")
    path = s3_zone.drop_sample()
    empty = s3_zone.drop("incoming/cygnus/2025-03/empty.xlsx", b"")

    assert [drop.path for drop in s3_zone.landing.drops()] == [path, empty]
    s3_zone.run()
    assert s3_zone.statuses() == [(path, "loaded"), (empty, "rejected")]


def _make_folder(server: S3Server, key: str) -> None:
    """Make a folder as a console does: an empty object whose name ends in a slash (Signature 4)."""
    now = datetime.now(UTC)
    day, moment, host = f"{now:%Y%m%d}", f"{now:%Y%m%dT%H%M%SZ}", urlsplit(server.endpoint).netloc
    scope, path = f"{day}/us-east-1/s3/aws4_request", f"/landing/{quote(key)}"
    names = "host;x-amz-content-sha256;x-amz-date"
    empty = sha256(b"").hexdigest()
    request = (
        f"PUT\n{path}\n\nhost:{host}\nx-amz-content-sha256:{empty}\nx-amz-date:{moment}\n\n{names}\n{empty}"
    )
    to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{sha256(request.encode()).hexdigest()}"
    key_so_far = b"AWS4" + server.environment["AWS_SECRET_ACCESS_KEY"].encode()
    for part in (day, "us-east-1", "s3", "aws4_request"):
        key_so_far = hmac.digest(key_so_far, part.encode(), "sha256")
    signature = hmac.new(key_so_far, to_sign.encode(), "sha256").hexdigest()
    headers = {
        "x-amz-content-sha256": empty,
        "x-amz-date": moment,
        "Authorization": f"AWS4-HMAC-SHA256 Credential=tester/{scope}, SignedHeaders={names}, "
        f"Signature={signature}",
    }
    put = urllib.request.Request(f"{server.endpoint}{path}", b"", headers, method="PUT")
    with urllib.request.urlopen(put, timeout=30) as answer:
        assert answer.status == 200


def test_a_partition_is_listed_without_its_neighbours(s3_zone: Zone) -> None:
    for folder in ("2025-03", "2025-03-old", "2025-030"):
        s3_zone.drop(f"incoming/cygnus/{folder}/a.xlsx", content())

    report = s3_zone.job().folder(partition_folder("cygnus", MARCH))

    assert [file.path for file in report.files] == ["incoming/cygnus/2025-03/a.xlsx"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong", "rejects the secret key"),
        ("AWS_ACCESS_KEY_ID", "stranger", "does not know the access key"),
    ],
)
def test_wrong_credentials_are_a_sentence_that_shows_none(
    s3_zone: Zone, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)

    for work in (s3_zone.run, lambda: s3_zone.drop("incoming/a", b"x"), lambda: s3_zone.errors("a")):
        with pytest.raises(ShsError, match=said) as caught:
            work()
        assert "AWS_SECRET_ACCESS_KEY" in caught.value.remedy
        assert "\n" not in str(caught.value)
        assert "secret-of-the-test" not in str(caught.value)


def test_a_bucket_that_does_not_exist_is_a_sentence(s3_zone: Zone) -> None:
    s3_zone.url = "s3://nothing-here/prefix"

    with pytest.raises(ShsError, match="bucket of s3://nothing-here/prefix does not exist"):
        s3_zone.run()


def test_a_store_that_does_not_answer_is_a_sentence(s3_zone: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    with pytest.raises(ShsError, match="cannot be reached"):
        s3_zone.run()


def test_an_address_that_cannot_be_one_is_a_sentence(s3_zone: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ALLOW_HTTP")

    with pytest.raises(ShsError) as caught:
        s3_zone.run()

    assert "AWS_ALLOW_HTTP=true" in caught.value.remedy
    assert "\n" not in str(caught.value)


ODD_KEYS = [
    "incoming//cygnus/2025-03/a.xlsx", "incoming/./cygnus/2025-03/a.xlsx",
    "incoming/cygnus/2025-03/../a.xlsx", "/incoming/cygnus/2025-03/a.xlsx",
    "incoming/cygnus/2025-03//a.xlsx", "incoming/cygnus/2025-03/a\x7f.xlsx",
    "incoming/cygnus/2025-03/tab\t.xlsx", "incoming/cygnus/2025-03/a\x01.xlsx",
]  # fmt: skip


def as_shown(key: str) -> str:
    return "".join(f"\\x{ord(sign):02x}" if sign < " " or sign == "\x7f" else sign for sign in key)


def client(environment: dict[str, str]) -> Any:
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name="us-east-1",
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        config=Config(s3={"addressing_style": "path"}),
    )


def test_a_key_that_the_library_cannot_list_is_its_own_rejection(
    s3_zone: Zone, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Something else in this process has used another secret: the usual session of boto3 keeps it.
    with monkeypatch.context() as earlier:
        earlier.setenv("AWS_SECRET_ACCESS_KEY", "another secret")
        boto3.setup_default_session()
        boto3.client("s3")
    good = s3_zone.drop_sample()
    prefix = s3_zone.url.removeprefix("s3://landing/")
    keys = ["incoming/cygnus/2025-03/a\x7f.xlsx", "incoming/cygnus/2025-03/tab\t.xlsx"]
    for key in (*keys, "incoming/cygnus/2025-03/Icon\r"):
        client(s3_server.environment).put_object(Bucket="landing", Key=f"{prefix}/{key}", Body=b"x")

    s3_zone.run()

    assert dict(s3_zone.statuses()) == {good: "loaded", **{as_shown(key): "rejected" for key in keys}}
    for key in keys:
        assert "cannot be printed" in s3_zone.problem(as_shown(key))
    assert s3_zone.run() == []
    client(s3_server.environment).delete_object(Bucket="landing", Key=f"{prefix}/{keys[0]}")
    s3_zone.run()
    assert dict(s3_zone.statuses())[as_shown(keys[0])] == "withdrawn"


def test_keys_that_no_path_can_hold_are_told_one_by_one(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SeaweedFS tidies such keys; the server of moto keeps them as Amazon does.
    from moto.server import ThreadedMotoServer

    from tests.conftest import Zone

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        environment = {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "secret-of-the-test",
        }  # fmt: skip
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        there = client(environment)
        there.create_bucket(Bucket="landing-zone")
        zone = Zone("s3://landing-zone/a prefix", database)
        good = zone.drop_sample()
        for key in ODD_KEYS:
            there.put_object(Bucket="landing-zone", Key=f"a prefix/{key}", Body=b"x")

        zone.run()

        assert dict(zone.statuses()) == {good: "loaded", **{as_shown(key): "rejected" for key in ODD_KEYS}}
        assert "so the file cannot be read" in zone.problem(ODD_KEYS[0])
        assert zone.run() == []
    finally:
        server.stop()
