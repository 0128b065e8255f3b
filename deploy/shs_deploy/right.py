"""One right: what may be done, on what, and why on more than one thing where it is so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import Aws, Stack
from aws_cdk import aws_iam as iam
from constructs import IConstruct

from shs_deploy.accept import accept

Conditions = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Right:
    """What becomes one statement of a policy.

    Attributes:
        actions: each by its name, never with a star.
        on: ARNs; built of texts and the names of this account and region alone.
        because: why a star stands in one of them. Without it, cdk-nag finds the star.
        is_refused: nothing else permits it then.
    """

    actions: Sequence[str]
    on: Sequence[str]
    because: str = ""
    conditions: Conditions | None = None
    is_refused: bool = False

    def statement(self) -> iam.PolicyStatement:
        """Return the statement."""
        return iam.PolicyStatement(
            actions=list(self.actions),
            resources=list(self.on),
            conditions=dict(self.conditions or {}),
            effect=iam.Effect.DENY if self.is_refused else iam.Effect.ALLOW,
        )

    def accept_wildcards(self, construct: IConstruct) -> None:
        """Accept the stars of this right on a construct, if it says why they are."""
        for arn in self.on if self.because else ():
            if "*" in arn:
                accept(construct, self.because, f"IAM5[Resource::{as_found(construct, arn)}]")


def give(role: iam.Role, rights: Sequence[Right]) -> None:
    """Give rights to a role."""
    for right in rights:
        role.add_to_policy(right.statement())
        right.accept_wildcards(role)


def by_service(service: str) -> Conditions:
    """Return the condition that a key is used by a service of this region on our behalf."""
    return {"StringEquals": {"kms:ViaService": f"{service}.{Aws.REGION}.amazonaws.com"}}


def of_prefix(*prefixes: str) -> Conditions:
    """Return the condition that a bucket is listed below these prefixes only."""
    return {"StringLike": {"s3:prefix": list(prefixes)}}


def as_found(construct: IConstruct, arn: str) -> str:
    """Return an ARN as cdk-nag writes it into the name of a finding."""
    return _text(Stack.of(construct).resolve(arn))


def _text(resolved: Any) -> str:
    if isinstance(resolved, str):
        return resolved
    ((function, value),) = resolved.items()
    if function == "Fn::Join":
        return "".join(_text(part) for part in value[1])
    return f"<{value}>" if function == "Ref" else f"<{'.'.join(value)}>"
