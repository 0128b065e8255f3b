"""The store for people's passwords, chosen by `SHS_SECRETS`.

`file:///…` is a JSON file that only its owner may read; `aws-secretsmanager://prefix` keeps each
secret as `prefix/name` in AWS Secrets Manager (rights: `ListSecrets`, and `GetSecretValue`,
`CreateSecret`, `PutSecretValue`, `DeleteSecret` on `prefix/*`). No store prints a secret.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.private_files import give_to_owner_of, make_private_folder, sync_folder
from shs_pipeline.settings.aws import aws_client, reason_of

if TYPE_CHECKING:
    from shs_pipeline.settings.settings import Settings


class SecretStore(ABC):
    """A place for secrets by name; every method raises `ShsError` where the place cannot be used."""

    @abstractmethod
    def get(self, name: str) -> str | None:
        """Return a secret, None without one of that name."""

    @abstractmethod
    def put(self, name: str, secret: str) -> None:
        """Keep a secret, in place of an earlier one of that name."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Forget a secret; one that is not there is no error."""

    @abstractmethod
    def names(self) -> frozenset[str]:
        """Return the names of all secrets; a change of the last minutes may be missing in it."""


def secret_store(settings: Settings) -> SecretStore:
    """Return the store that `SHS_SECRETS` names; nothing is opened or made yet.

    Raises:
        ShsError: the library for that store is not installed.
    """
    parts = urlsplit(settings.secrets)
    if parts.scheme == "file":
        return FileSecrets(Path(unquote(parts.path)))
    return _aws_secrets(f"{parts.netloc}{parts.path}")


class FileSecrets(SecretStore):
    """Secrets in one JSON file of mode 600, replaced as a whole and by one writer at a time.

    Args:
        path: the file; it and its folder are made with the first secret.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"FileSecrets({str(self.path)!r})"

    def get(self, name: str) -> str | None:
        """Return a secret, None without one of that name."""
        return self._read().get(name)

    def put(self, name: str, secret: str) -> None:
        """Keep a secret, in place of an earlier one of that name."""
        with self._locked():
            self._write({**self._read(), name: secret})

    def delete(self, name: str) -> None:
        """Forget a secret; one that is not there is no error."""
        if name not in self._read():
            return
        with self._locked():
            self._write({known: secret for known, secret in self._read().items() if known != name})

    def names(self) -> frozenset[str]:
        """Return the names of all secrets."""
        return frozenset(self._read())

    def _read(self) -> dict[str, str]:
        try:
            # Not through a link: whoever may place links in the folder would choose what is read.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._unusable(error) from None
        try:
            self._check_private(os.fstat(descriptor))
            with os.fdopen(descriptor, "rb", closefd=False) as handle:
                content = handle.read()
        finally:
            os.close(descriptor)
        try:
            found = json.loads(content)
        except ValueError:
            found = None
        if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
            raise ShsError(
                f"The password file {self.path} is damaged.",
                "Restore it from a backup, or move it away: shs access sync then creates new passwords.",
            )
        return found

    def _check_private(self, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise ShsError(
                f"The password file {self.path} is not a regular file.", "Set SHS_SECRETS to a file's path."
            )
        if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ShsError(
                f"Other users can read the password file {self.path} (mode {stat.S_IMODE(found.st_mode):o} "
                "instead of 600).",
                f"Run: chmod 600 '{self.path}', then shs access reset for each person if other users had "
                "access.",
            )
        if found.st_uid not in (os.geteuid(), self.path.parent.stat().st_uid):
            raise ShsError(
                f"The password file {self.path} belongs neither to you nor to the owner of its folder.",
                "Find out who put it there and move it away; shs access sync then creates new passwords.",
            )

    def _write(self, secrets: dict[str, str]) -> None:
        fresh = self.path.with_name(f"{self.path.name}.new")
        try:
            fresh.unlink(missing_ok=True)  # left by a killed writer
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(fresh, flags, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
                os.fchmod(descriptor, 0o600)  # whatever the umask
                give_to_owner_of(self.path.parent, descriptor)
                json.dump(secrets, handle, indent=1, sort_keys=True)
                handle.flush()
                os.fsync(descriptor)
            fresh.replace(self.path)
            sync_folder(self.path.parent)
        except OSError as error:
            raise self._unusable(error) from None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one writer at a time read and replace; the file itself changes, so another is locked."""
        folder = self.path.parent
        try:
            make_private_folder(folder)
            if folder.stat().st_mode & stat.S_IWOTH:
                raise ShsError(
                    f"Everybody can write to {folder}, the folder of the password file.",
                    f"Run chmod o-w '{folder}', or set SHS_SECRETS to a file in your own folder.",
                )
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(self.path.with_name(f"{self.path.name}.lock"), flags, 0o600)
        except OSError as error:
            raise self._unusable(error) from None
        with os.fdopen(descriptor, "rb"):
            give_to_owner_of(folder, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield

    def _unusable(self, error: OSError) -> ShsError:
        return ShsError(
            f"The password file {self.path} cannot be used ({error.strerror}).",
            "Run this as its owner, or set SHS_SECRETS to a file in your own folder.",
        )


class AwsSecrets(SecretStore):
    """Secrets in AWS Secrets Manager.

    Args:
        prefix: what the names of all secrets of this system begin with, before a slash.
        client: `boto3.client("secretsmanager")`.
        faults: the exceptions by which boto3 says that it cannot reach or may not use the service.
    """

    def __init__(self, prefix: str, client: Any, faults: tuple[type[Exception], ...]) -> None:
        self.prefix = prefix
        self._client = client
        self._faults = faults

    def __repr__(self) -> str:
        return f"AwsSecrets({self.prefix!r})"

    def get(self, name: str) -> str | None:
        """Return a secret, None without one of that name."""
        known = self._client.exceptions
        found: dict[str, str] = {}
        # An invalid request is one for a secret that waits to be deleted.
        none = suppress(known.ResourceNotFoundException, known.InvalidRequestException)
        with self._explained("read"), none:
            found = self._client.get_secret_value(SecretId=self._id(name))
        return found.get("SecretString")

    def put(self, name: str, secret: str) -> None:
        """Keep a secret, in place of an earlier one of that name."""
        with self._explained("written"):
            try:
                self._client.create_secret(
                    Name=self._id(name),
                    SecretString=secret,
                    Description="Password of a person's login to the sales database, created by shs.",
                )
            except self._client.exceptions.ResourceExistsException:
                self._client.put_secret_value(SecretId=self._id(name), SecretString=secret)

    def delete(self, name: str) -> None:
        """Forget a secret; one that is not there is no error."""
        with self._explained("deleted"):
            try:
                # The password is dead by now, so there is nothing to recover for 30 days.
                self._client.delete_secret(SecretId=self._id(name), ForceDeleteWithoutRecovery=True)
            except self._client.exceptions.ResourceNotFoundException:
                return

    def names(self) -> frozenset[str]:
        """Return the names of all secrets; AWS may leave out those of the last five minutes."""
        start = f"{self.prefix}/"
        with self._explained("listed"):
            pages = self._client.get_paginator("list_secrets").paginate(
                Filters=[{"Key": "name", "Values": [start]}]
            )
            found = [entry["Name"] for page in pages for entry in page["SecretList"]]
        # The filter of AWS ignores case.
        return frozenset(name.removeprefix(start) for name in found if name.startswith(start))

    def _id(self, name: str) -> str:
        return f"{self.prefix}/{name}"

    @contextmanager
    def _explained(self, action: str) -> Iterator[None]:
        try:
            yield
        except self._faults as error:
            # `from None`: the request, which may hold the secret, stays out of every traceback.
            raise ShsError(
                f"The secrets below {self.prefix}/ in AWS Secrets Manager cannot be {action}: "
                f"{reason_of(error)}.",
                "Check the region and permissions (AWS_* variables or this machine's role), or SHS_SECRETS.",
            ) from None


def _aws_secrets(prefix: str) -> AwsSecrets:
    return AwsSecrets(prefix, *aws_client("SHS_SECRETS"))
