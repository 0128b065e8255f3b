"""Where the value of a secret setting comes from: the setting itself, a file, or AWS Secrets Manager.

Each secret setting `SHS_NAME` has two other forms: `SHS_NAME_FILE` names a file that holds the value
and nothing else, as container engines mount them, and `SHS_NAME_SECRET` names a secret of AWS Secrets
Manager, by name or ARN, with `#key` behind it where the secret is JSON (right: `GetSecretValue`). No message
repeats the value of any of them: whoever mixes up the forms has written the secret there.

pydantic-settings reads `.env`, but none of its sources of secrets fits (ADR 0048): `secrets_dir` and the
nested one want a folder with a file named for each setting; the one for AWS wants one JSON secret for all of
them, asks again at each reading, and repeats in its errors what it was asked for.
"""

from __future__ import annotations

import json
import logging
import os
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shs_pipeline.base.errors import ShsError

FORMS: Mapping[str, str] = {"file": "_FILE", "secret": "_SECRET"}
"""What is put behind the name of a setting, by the kind of place."""

_MOST_BYTES = 65_536
# Settings are read at each look of a sensor; Secrets Manager is asked again after this.
_KEPT_SECONDS = 300.0

log = logging.getLogger(__name__)
_kept: dict[str, tuple[float, str]] = {}


@dataclass(frozen=True)
class SecretPlace:
    """The place that one of the two other forms of a setting names.

    Attributes:
        variable: the form as it is written, such as `SHS_SMTP_PASSWORD_FILE`.
        text: its value, an absolute path or the secret's name.
    """

    variable: str
    kind: Literal["file", "secret"]
    text: str

    def __repr__(self) -> str:
        """Leave out the text, which may be a secret in the wrong place."""
        return f"SecretPlace({self.variable!r})"

    def read(self) -> str:
        """Return the secret.

        Raises:
            ShsError: it is not there, cannot be read, or is empty.
        """
        found = self._from_file() if self.kind == "file" else _from_secrets_manager(self)
        if not found:
            raise self.problem("names a place that is empty", "Put the secret there.")
        return found

    def problem(self, what: str, remedy: str) -> ShsError:
        """Return the sentence that this variable does something wrong."""
        return ShsError(f"{self.variable} {what}.", remedy)

    def _from_file(self) -> str:
        try:
            # Not blocking: a pipe that nobody writes into would be waited for without end.
            descriptor = os.open(self.text, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise self.problem(
                        "names something that is not a file", "Name a file that contains the secret."
                    )
                content = os.read(descriptor, _MOST_BYTES + 1)
            finally:
                os.close(descriptor)
        except (FileNotFoundError, NotADirectoryError):
            raise self.problem(
                "names a file that does not exist",
                "Correct the path (a secret itself goes into the variable without _FILE), or mount the file.",
            ) from None
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no path"
            raise self.problem(
                f"names a file that cannot be read ({reason})",
                "Give the user of this process permission to read it.",
            ) from None
        return self._text_of(content)

    def _text_of(self, content: bytes) -> str:
        wrong = self.problem(
            "names a file whose content is not a short text", "Put only the secret into it, as UTF-8."
        )
        if len(content) > _MOST_BYTES or b"\x00" in content:
            raise wrong
        try:
            # Editors end a file with a line break, which is no part of the secret.
            return content.decode("utf-8-sig").rstrip("\r\n")
        except UnicodeDecodeError:
            raise wrong from None


def place_of(
    variable: str, environ: Mapping[str, str | None], dotenv: Mapping[str, str | None], root: Path
) -> SecretPlace | None:
    """Return the place where a setting's value is, None where it is given as it is or not at all.

    The environment beats `.env` for all three forms together.

    Args:
        variable: `SHS_NAME`.
        root: folder from which a relative path in `.env` counts; one in the environment counts from
            the current folder.

    Raises:
        ShsError: two forms are given side by side.
    """
    for written, start in ((environ, Path.cwd()), (dotenv, root)):
        names = [variable, *(f"{variable}{end}" for end in FORMS.values())]
        given = [name for name in names if written.get(name)]
        if len(given) > 1:
            raise ShsError(
                f"{' and '.join(given)} are set, but each of them defines the same secret.",
                "Keep one of them, and remove the other from the environment or from .env.",
            )
        if given:
            return _place(variable, given[0], str(written[given[0]]), start)
    return None


def _place(variable: str, name: str, text: str, start: Path) -> SecretPlace | None:
    if name == variable:
        return None
    if name.endswith(FORMS["file"]):
        return SecretPlace(name, "file", os.path.abspath(start / Path(text).expanduser()))
    return SecretPlace(name, "secret", text)


def _from_secrets_manager(place: SecretPlace) -> str:
    kept = _kept.get(place.text)
    if kept and time.monotonic() - kept[0] < _KEPT_SECONDS:
        return kept[1]
    try:
        found = _ask_secrets_manager(place)
    except ShsError as error:
        if kept is None:
            raise
        # What worked a moment ago is better than nothing while AWS does not answer.
        log.warning("%s Using the previous value.", error.problem)
        found = kept[1]
    _kept[place.text] = (time.monotonic(), found)
    return found


def _ask_secrets_manager(place: SecretPlace) -> str:
    from shs_pipeline.settings.aws import aws_client

    identifier, _, key = place.text.partition("#")
    client, faults = aws_client(place.variable)
    try:
        answer = client.get_secret_value(SecretId=identifier)
    except client.exceptions.ResourceNotFoundException:
        raise place.problem(
            "names a secret that does not exist in AWS Secrets Manager",
            "Correct its name or ARN, or the region (AWS_REGION).",
        ) from None
    except faults as error:
        # `from None`, and the code alone: AWS repeats in its sentence what it was asked for.
        code = getattr(error, "response", {}).get("Error", {}).get("Code") or type(error).__name__
        raise place.problem(
            f"names a secret that AWS Secrets Manager refuses to return ({code})",
            "Check the region and the permission secretsmanager:GetSecretValue (AWS_* variables or the "
            "role).",
        ) from None
    text = answer.get("SecretString")
    if not isinstance(text, str):
        raise place.problem("names a secret that contains no text", "Store it as text, not as binary.")
    return _value_of_key(place, text, key) if key else text


def _value_of_key(place: SecretPlace, text: str, key: str) -> str:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    value = found.get(key) if isinstance(found, dict) else None
    if not isinstance(value, str):
        raise place.problem(
            "names a key behind # that the secret does not have",
            "Correct the key, or leave it out if you mean the whole secret.",
        )
    return value
