"""AWS Secrets Manager: a client, and the reasons for its failures."""

from __future__ import annotations

from typing import Any

from shs_pipeline.base.errors import ShsError


def aws_client(variable: str) -> tuple[Any, tuple[type[Exception], ...]]:
    """Return a client of AWS Secrets Manager and the exceptions by which boto3 says that it fails.

    Args:
        variable: the setting that asks for it, for messages.

    Raises:
        ShsError: boto3 is not installed, or has no region.
    """
    try:
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError
    except ModuleNotFoundError:
        raise ShsError(
            f"{variable} uses AWS Secrets Manager, but the package boto3 is not installed.",
            "Install boto3 alongside this package, or keep the secret in a file.",
        ) from None
    try:
        return boto3.Session().client("secretsmanager"), (BotoCoreError, ClientError)
    except BotoCoreError as error:
        raise ShsError(
            f"AWS Secrets Manager, which {variable} uses, cannot be used: {reason_of(error)}.",
            "Set AWS_REGION and the other AWS_* variables, or keep the secret in a file.",
        ) from None


def reason_of(error: Exception) -> str:
    """Return what AWS says, which names the call and the resource and never the secret."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        said = response.get("Error", {})
        return f"{said.get('Code', 'no code')}, {str(said.get('Message', '')).rstrip('.')}"
    return str(error).rstrip(".")
