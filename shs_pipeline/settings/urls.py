"""URLs in settings: checked and normalised."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def landing_url(text: str) -> str:
    """Return a landing zone's URL without a trailing slash; a plain path becomes `file:///…`.

    Raises:
        ValueError: neither a path nor a `file://` or `s3://` URL with a place in it.
    """
    parts = urlsplit(text)
    if parts.scheme != "s3":
        return _file_url(text, parts, "file:///folder/landing", "s3://")
    if not parts.netloc:
        raise ValueError("names no bucket: s3://bucket/prefix")
    return text.rstrip("/")


def secrets_url(text: str) -> str:
    """Return the URL of the place for passwords; a plain path becomes `file:///…`.

    Raises:
        ValueError: neither a path nor a `file://` or `aws-secretsmanager://` URL with a place in it.
    """
    parts = urlsplit(text)
    if parts.scheme != "aws-secretsmanager":
        return _file_url(text, parts, "file:///folder/secrets.json", "aws-secretsmanager://")
    prefix = f"{parts.netloc}{parts.path}".strip("/")
    if not re.fullmatch(r"[A-Za-z0-9/_+=.@-]{1,200}", prefix):
        raise ValueError("has no prefix of letters, digits and / _ + = . @ -: aws-secretsmanager://shs")
    return f"aws-secretsmanager://{prefix}"


def queue_url(text: str) -> str:
    """Return the URL of an SQS queue without a trailing slash.

    Raises:
        ValueError: no such URL, or the queue is of a kind that S3 cannot send to.
    """
    parts = urlsplit(text)
    if "@" in parts.netloc:
        raise ValueError("contains a user or password; give credentials as AWS_* variables or a role")
    is_encrypted = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if not is_encrypted or not re.fullmatch(r"/[^/]+/[^/]+/?", parts.path):
        raise ValueError(
            "is not a queue such as https://sqs.eu-central-1.amazonaws.com/123456789012/arrivals"
        )
    if parts.path.rstrip("/").endswith(".fifo"):
        raise ValueError("is a FIFO queue, which S3 cannot send to: create a standard queue")
    return text.rstrip("/")


def _file_url(text: str, parts: SplitResult, example: str, other: str) -> str:
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost") or not parts.path.strip("/"):
            raise ValueError(f"has no absolute path: {example} has three slashes")
        return Path(unquote(parts.path)).as_uri()
    if "://" in text:
        raise ValueError(f"begins with {parts.scheme}://, which is neither file:// nor {other}")
    return Path(os.path.abspath(Path(text).expanduser())).as_uri()
