"""Turns an access key into user and password of the SMTP endpoint of SES, as `docs/deploy.md` says.

It reads what `aws iam create-access-key` prints and prints the JSON of the secret, so that in a pipe
neither the screen nor the history of the shell sees any of it.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import sys

# Fixed by AWS for all passwords of this kind.
_DATE, _SERVICE, _END, _MESSAGE, _VERSION = "11111111", "ses", "aws4_request", "SendRawEmail", 4


def smtp_password(secret_access_key: str, region: str) -> str:
    """Return the password that belongs to an access key in a region, as AWS derives it."""
    signed = f"AWS4{secret_access_key}".encode()
    for part in (_DATE, region, _SERVICE, _END, _MESSAGE):
        signed = hmac.new(signed, part.encode(), hashlib.sha256).digest()
    return base64.b64encode(bytes([_VERSION]) + signed).decode()


def secret_of(created: str, region: str) -> str:
    """Return the secret's JSON for what `aws iam create-access-key` printed.

    Raises:
        ValueError: it is something else; the message repeats nothing of it.
    """
    try:
        key = json.loads(created)["AccessKey"]
        user, secret = key["AccessKeyId"], key["SecretAccessKey"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            "The input is not what `aws iam create-access-key --output json` prints. Pipe its output in, as "
            "docs/deploy.md shows."
        ) from None
    return json.dumps({"username": user, "password": smtp_password(secret, region)})


def main() -> None:
    """Read from standard input, write to standard output."""
    parser = argparse.ArgumentParser(description="Access key (JSON) in, secret for SMTP (JSON) out.")
    parser.add_argument("--region", required=True, help="region of SES")
    region: str = parser.parse_args().region
    try:
        sys.stdout.write(secret_of(sys.stdin.read(), region))
    except ValueError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
