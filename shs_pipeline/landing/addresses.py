"""Where a person opens a file of the landing zone: in a browser on S3, by its path in a folder."""

from __future__ import annotations

import os
from urllib.parse import quote

# By what the names of their regions begin with.
_CONSOLES = {"cn-": "console.amazonaws.cn", "us-gov-": "console.amazonaws-us-gov.com"}


def console_url(uri: str) -> str | None:
    """Return the page of an object in S3's console, which asks for a login and is no secret.

    Args:
        uri: as `s3://bucket/key`.

    Returns:
        None for a file in a folder, and for a store that is not Amazon's.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    is_amazons = not (os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"))
    if not (uri.startswith("s3://") and is_amazons):
        return None
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    console = next((host for start, host in _CONSOLES.items() if region.startswith(start)), "")
    host = console or f"{region}.console.aws.amazon.com"
    return f"https://{host}/s3/object/{bucket}?region={region}&prefix={quote(key, safe='')}"
