"""Arrivals by event: which files of the bucket S3 says were added, changed or deleted.

S3 sends its notifications into an SQS queue, at least once and in any order. A message is no more
than a hint to look at a folder, so a second one or a late one does no harm. It is taken off the
queue only when whoever received it has kept what it named (`acknowledge`).

Looked at: the sensors of dagster-aws, which list the bucket and read no queue; Powertools for AWS Lambda,
whose models parse a notification, but which leaves receiving, acknowledging and errors to Lambda. Apart from
boto3's calls, all that is left to do here is to read a few keys of a JSON text.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import Any, NamedTuple
from urllib.parse import unquote, unquote_plus, urlsplit

from shs_pipeline.base.errors import ShsError
from shs_pipeline.landing.listing import shown
from shs_pipeline.landing.places import is_of_an_admin

_log = logging.getLogger(__name__)

_BATCH = 10  # the most that SQS gives or takes at once
_MOST_MESSAGES, _MOST_SECONDS = 1000, 5.0
_LONGEST_ACTOR = 300
# A queue that is away must not hold up the look, which Dagster gives a minute.
_CLIENT = {
    "connect_timeout": 3,
    "read_timeout": 5,
    "retries": {"total_max_attempts": 2, "mode": "standard"},
}
_REGION = re.compile(r"(?:sqs\.([a-z0-9-]+)|([a-z0-9-]+)\.queue)\.amazonaws\.com(?:\.cn)?")


@dataclass(frozen=True)
class Arrivals:
    """What the queue said that was not acknowledged so far.

    Attributes:
        batch: what to acknowledge it by.
        paths: landing-relative paths of files that were added, changed or deleted.
        actors: the principal that put each file there, by path and etag (without quotes).
    """

    batch: str
    paths: frozenset[str]
    actors: Mapping[tuple[str, str], str] = field(default_factory=dict)


class Named(NamedTuple):
    """An object that a notification names; its etag and the principal are empty where it does not say."""

    bucket: str
    key: str
    etag: str = ""
    actor: str = ""


@dataclass
class ArrivalsQueue:
    """The SQS queue with the notifications of the landing zone's bucket.

    What was received and not acknowledged is remembered in this process. Should it die, the queue
    gives those messages again.

    Args:
        url: the queue's URL, whose host is asked unless `AWS_ENDPOINT_URL_SQS` names another.
        landing_url: `s3://bucket/prefix`; files elsewhere are ignored.
    """

    url: str
    landing_url: str
    _batch: str = field(default="", init=False, repr=False)
    # Of a message that came twice, the last receipt counts.
    _receipts: dict[str, str] = field(default_factory=dict, init=False, repr=False)
    _paths: set[str] = field(default_factory=set, init=False, repr=False)
    _actors: dict[tuple[str, str], str] = field(default_factory=dict, init=False, repr=False)
    # Dagster gives up a look after a minute and begins another; its thread may still be here.
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    def receive(self) -> Arrivals:
        """Take what waits in the queue, up to a bound; all that was not acknowledged is said again.

        Raises:
            ShsError: the queue cannot be read; what came before that is in the next answer.
        """
        with self._lock:
            self._batch = ""  # an acknowledgement of what came before is none of what comes now
            until = time.monotonic() + _MOST_SECONDS
            for _ in range(_MOST_MESSAGES // _BATCH):
                messages = self._receive_some()
                for message in messages:
                    self._take(message)
                if not messages or time.monotonic() > until:
                    break
            self._batch = secrets.token_hex(8)
            return Arrivals(self._batch, frozenset(self._paths), dict(self._actors))

    def acknowledge(self, batch: str) -> None:
        """Take the messages of a batch off the queue; one that this process does not know is left.

        Raises:
            ShsError: the queue cannot be reached; the messages may come again, or be acknowledged again.
        """
        with self._lock:
            if not batch or batch != self._batch:
                return
            while self._receipts:
                ids = list(self._receipts)[:_BATCH]
                self._delete([self._receipts[message] for message in ids])
                for message in ids:
                    del self._receipts[message]
            self._paths.clear()
            self._actors.clear()

    def waiting(self) -> int:
        """Return about how many messages wait; none is taken.

        Raises:
            ShsError: the queue cannot be asked.
        """
        name = "ApproximateNumberOfMessages"
        with self._explained("asked"):
            answer = self._client.get_queue_attributes(QueueUrl=self.url, AttributeNames=[name])
        return int(answer["Attributes"][name])

    def _receive_some(self) -> list[dict[str, Any]]:
        with self._explained("read"):
            answer = self._client.receive_message(
                QueueUrl=self.url, MaxNumberOfMessages=_BATCH, WaitTimeSeconds=0
            )
        return list(answer.get("Messages", ()))

    def _delete(self, receipts: Sequence[str]) -> None:
        entries = [{"Id": str(n), "ReceiptHandle": receipt} for n, receipt in enumerate(receipts)]
        with self._explained("emptied"):
            # Those that it could not delete come again, which does no harm.
            self._client.delete_message_batch(QueueUrl=self.url, Entries=entries)

    def _take(self, message: Mapping[str, str]) -> None:
        objects = objects_named(message["Body"])
        if objects is None:
            # Not acknowledged, so that the queue puts it to the dead letters in the end.
            _log.warning(
                "Message %s in the queue %s is not a notification of S3; it is left for the dead-letter "
                "queue.",
                message["MessageId"],
                self.url,
            )
            return
        self._receipts[message["MessageId"]] = message["ReceiptHandle"]
        for named in objects:
            path = self._path(named.bucket, named.key)
            if path is not None and is_of_an_admin(path):
                self._paths.add(path)
                if named.etag and named.actor:
                    self._actors[shown(path), named.etag] = named.actor

    def _path(self, bucket: str, key: str) -> str | None:
        own, _, folder = self.landing_url.removeprefix("s3://").partition("/")
        start = f"{unquote(folder)}/" if folder else ""
        return key.removeprefix(start) if bucket == own and key.startswith(start) else None

    @contextmanager
    def _explained(self, action: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise ShsError(
                f"The queue of arrivals {self.url} cannot be {action}: {_reason(error)}.",
                "Check SHS_ARRIVALS_QUEUE, the network, and the permissions sqs:ReceiveMessage and "
                "sqs:DeleteMessage (AWS_* variables or a role).",
            ) from None

    @cached_property
    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        parts = urlsplit(self.url)
        found = _REGION.fullmatch(parts.hostname or "")
        region = next(filter(None, found.groups())) if found else os.environ.get("AWS_REGION")
        # The queue's own address: AWS_ENDPOINT_URL may name the server of the bucket.
        is_named = bool(os.environ.get("AWS_ENDPOINT_URL_SQS"))
        address = None if is_named else f"{parts.scheme}://{parts.netloc}"
        # A session of its own: the shared one keeps the credentials that it saw first.
        session = boto3.Session()
        return session.client("sqs", region_name=region, endpoint_url=address, config=Config(**_CLIENT))


def objects_named(body: str) -> list[Named] | None:
    """Return each object that a notification of S3 names; None where it is none.

    The message by which S3 tries out a new queue names nothing.
    """
    try:
        said = json.loads(body)
        if said.get("Event") == "s3:TestEvent":
            return []
        return [_named(record) for record in said["Records"]]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _named(record: Mapping[str, Any]) -> Named:
    place = record["s3"]
    etag, who = place["object"].get("eTag"), record.get("userIdentity") or {}
    return Named(
        place["bucket"]["name"],
        unquote_plus(place["object"]["key"]),
        str(etag or "").strip('"'),
        shown(str(who.get("principalId") or ""))[:_LONGEST_ACTOR],
    )


def _reason(error: Exception) -> str:
    """Return what AWS says: the first line, since others may repeat the signed request."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        said = response.get("Error", {})
        text = f"{said.get('Code', 'no code')}, {said.get('Message', '')}"
    else:
        text = str(error)
    return (text.strip().splitlines() or [type(error).__name__])[0][:300].rstrip(".")
