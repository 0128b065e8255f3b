"""Make the bucket of the landing zone on the S3 server of docker-compose.yml, unless it is there."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

WAIT_SECONDS = 60
_THERE = ("BucketAlreadyOwnedByYou", "BucketAlreadyExists")


def main() -> None:
    """Make the bucket that `BUCKET` names, with the keys in the files of the secrets."""
    store = boto3.client(
        "s3",
        aws_access_key_id=Path(os.environ["AWS_ACCESS_KEY_ID_FILE"]).read_text().strip(),
        aws_secret_access_key=Path(os.environ["AWS_SECRET_ACCESS_KEY_FILE"]).read_text().strip(),
    )
    bucket = os.environ["BUCKET"]
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            store.create_bucket(Bucket=bucket)
        except ClientError as error:
            if error.response["Error"]["Code"] in _THERE:
                return
            reason, is_final = str(error), error.response["ResponseMetadata"]["HTTPStatusCode"] < 500
        except BotoCoreError as error:
            reason, is_final = str(error), False
        else:
            print(f"Made the bucket {bucket}.")
            return
        if is_final or time.monotonic() > deadline:
            sys.exit(f"The bucket {bucket} cannot be made: {reason}")
        time.sleep(1)


if __name__ == "__main__":
    main()
