"""Where passwords are kept: who may read them, what survives a kill, what is said when it cannot be."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from shs_pipeline.base.errors import ShsError
from shs_pipeline.settings.secret_store import AwsSecrets, FileSecrets, SecretStore, secret_store
from shs_pipeline.settings.settings import Settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "the home"
    made.mkdir()
    return made


class ServiceError(Exception):
    """As botocore's ClientError."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.response = {"Error": {"Code": code, "Message": message}}


class NotFoundError(ServiceError):
    pass


class ExistsError(ServiceError):
    pass


class InvalidError(ServiceError):
    pass


class FakeSecretsManager:
    """The calls of `boto3.client("secretsmanager")` that are used, as its reference describes them."""

    def __init__(self) -> None:
        self.held: dict[str, str] = {}
        self.refusal: Exception | None = None
        self.exceptions = SimpleNamespace(
            ResourceNotFoundException=NotFoundError,
            ResourceExistsException=ExistsError,
            InvalidRequestException=InvalidError,
        )

    def get_secret_value(self, *, SecretId: str) -> dict[str, Any]:  # noqa: N803
        self._answer()
        if SecretId not in self.held:
            raise NotFoundError("ResourceNotFoundException", "not there")
        return {"Name": SecretId, "SecretString": self.held[SecretId]}

    def create_secret(self, *, Name: str, SecretString: str, Description: str) -> None:  # noqa: N803
        self._answer()
        if Name in self.held:
            raise ExistsError("ResourceExistsException", "there already")
        self.held[Name] = SecretString

    def put_secret_value(self, *, SecretId: str, SecretString: str) -> None:  # noqa: N803
        self.held[SecretId] = SecretString

    def delete_secret(self, *, SecretId: str, ForceDeleteWithoutRecovery: bool) -> None:  # noqa: N803
        self._answer()
        if SecretId not in self.held:
            raise NotFoundError("ResourceNotFoundException", "not there")
        del self.held[SecretId]

    def get_paginator(self, operation: str) -> Any:
        assert operation == "list_secrets"
        return SimpleNamespace(paginate=self._pages)

    def _pages(self, *, Filters: list[dict[str, Any]]) -> Any:  # noqa: N803
        self._answer()
        start = Filters[0]["Values"][0].lower()
        found = [{"Name": name} for name in self.held if name.lower().startswith(start)]
        return iter([{"SecretList": found[:1]}, {"SecretList": found[1:]}])

    def _answer(self) -> None:
        if self.refusal:
            raise self.refusal


@pytest.fixture
def service() -> FakeSecretsManager:
    return FakeSecretsManager()


def aws(service: FakeSecretsManager) -> AwsSecrets:
    return AwsSecrets("sales/shs", service, (ServiceError,))


@pytest.fixture(params=["file", "aws", "moto"])
def store(
    request: pytest.FixtureRequest, folder: Path, service: FakeSecretsManager, monkeypatch: pytest.MonkeyPatch
) -> Any:
    if request.param == "file":
        yield FileSecrets(folder / "secrets.json")
    elif request.param == "aws":
        yield aws(service)
    else:
        pytest.importorskip("boto3")
        moto = pytest.importorskip("moto")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            monkeypatch.setenv(name, "of-the-test")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
        with moto.mock_aws():
            yield secret_store(Settings(secrets="aws-secretsmanager://sales/shs", database_url=None))


def test_a_secret_is_kept_replaced_and_forgotten(store: SecretStore) -> None:
    assert store.get("role/1") is None
    assert store.names() == frozenset()

    store.put("role/1", "first")
    store.put("role/1", "second 'ü")
    store.put("role/2", "other")
    assert (store.get("role/1"), store.get("role/2")) == ("second 'ü", "other")
    assert store.names() == {"role/1", "role/2"}

    store.delete("role/1")
    store.delete("role/1")
    assert store.get("role/1") is None
    assert store.names() == {"role/2"}


def test_no_store_prints_a_secret(store: SecretStore) -> None:
    store.put("role", "hush-hush")

    assert "hush" not in f"{store!r} {store} {vars(store) if isinstance(store, FileSecrets) else ''}"


# --- the file ----------------------------------------------------------------------------


def test_by_default_the_file_lies_in_the_home(folder: Path) -> None:
    store = secret_store(Settings(home=folder, database_url=None))

    store.put("role", "x")

    assert json.loads((folder / "secrets.json").read_text()) == {"role": "x"}


@pytest.mark.parametrize("umask", [0o000, 0o277])
def test_only_the_owner_may_read_the_file_whatever_the_umask(folder: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        for value in ("first", "second"):
            FileSecrets(folder / "secrets.json").put("role", value)
            assert stat.S_IMODE((folder / "secrets.json").stat().st_mode) == 0o600
    finally:
        os.umask(before)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_file_that_others_may_use_is_refused(folder: Path, mode: int) -> None:
    path = folder / "secrets.json"
    store = FileSecrets(path)
    store.put("role", "x")
    path.chmod(mode)

    for use in (store.names, lambda: store.put("role", "y"), lambda: store.delete("role")):
        with pytest.raises(ShsError, match=rf"mode {mode:o} instead of 600") as caught:
            use()
    assert f"chmod 600 '{path}'" in caught.value.remedy
    assert json.loads(path.read_text()) == {"role": "x"}


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"role": 1}', "\x00\xff"])
def test_a_damaged_file_is_neither_used_nor_overwritten(folder: Path, content: str) -> None:
    path = folder / "secrets.json"
    path.write_text(content)
    path.chmod(0o600)

    for use in (FileSecrets(path).names, lambda: FileSecrets(path).put("role", "x")):
        with pytest.raises(ShsError, match="is damaged"):
            use()
    assert path.read_text() == content


def test_a_folder_that_everybody_may_write_into_is_refused(folder: Path) -> None:
    folder.chmod(0o777)

    with pytest.raises(ShsError, match="Everybody can write"):
        FileSecrets(folder / "secrets.json").put("role", "x")
    assert not (folder / "secrets.json").exists()


def test_a_link_or_a_folder_in_its_place_is_refused(folder: Path) -> None:
    (folder / "elsewhere.json").write_text('{"role": "x"}')
    (folder / "elsewhere.json").chmod(0o600)
    (folder / "link.json").symlink_to("elsewhere.json")

    for path in (folder / "link.json", folder):
        with pytest.raises(ShsError, match=r"cannot be used|is not a regular file"):
            FileSecrets(path).names()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_that_another_user_put_there_is_refused(folder: Path) -> None:
    path = folder / "secrets.json"
    FileSecrets(path).put("role", "x")
    os.chown(path, 12345, 12345)

    with pytest.raises(ShsError, match="belongs neither to you"):
        FileSecrets(path).get("role")


def test_what_a_killed_writer_left_is_in_nobodys_way(folder: Path) -> None:
    path = folder / "secrets.json"
    (folder / "secrets.json.new").write_text('{"half')
    (folder / "secrets.json.new").chmod(0o644)

    FileSecrets(path).put("role", "x")

    assert FileSecrets(path).get("role") == "x"
    assert not (folder / "secrets.json.new").exists()


def _put_many(path: Path, start: int) -> None:
    for number in range(start, start + 25):
        FileSecrets(path).put(f"role {number}", "x")


def test_writers_at_the_same_time_lose_nothing(folder: Path) -> None:
    path = folder / "secrets.json"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_put_many, args=(path, start)) for start in (0, 25, 50)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert FileSecrets(path).names() == {f"role {number}" for number in range(75)}


# --- AWS Secrets Manager -----------------------------------------------------------------


def test_secrets_of_other_systems_are_not_seen(service: FakeSecretsManager) -> None:
    service.held = {"sales/shs/role": "x", "SALES/SHS/role2": "y", "sales/shs2/role3": "z"}

    assert aws(service).names() == {"role"}


def test_a_refusal_names_code_and_remedy_and_no_secret(service: FakeSecretsManager) -> None:
    service.refusal = ServiceError("AccessDeniedException", "User is not authorized.")
    store = aws(service)

    for use in (store.names, lambda: store.get("role"), lambda: store.put("role", "hush-hush")):
        with pytest.raises(ShsError, match="AccessDeniedException, User is not authorized") as caught:
            use()
        assert "hush" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


def test_without_boto3_the_package_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "boto3", None)

    with pytest.raises(ShsError, match="boto3 is not installed"):
        secret_store(Settings(secrets="aws-secretsmanager://shs", database_url=None))
