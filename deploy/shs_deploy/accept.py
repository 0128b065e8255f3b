"""How a finding of cdk-nag or cfn-lint is accepted: at the construct it is about, with its reason."""

from __future__ import annotations

from aws_cdk import Acknowledgment, CfnResource, Validations
from constructs import IConstruct


def accept(construct: IConstruct, reason: str, *rules: str) -> None:
    """Accept findings on a construct and what is below it.

    Args:
        reason: why this is right here; it is written into the validation report.
        rules: such as `S1`, or `IAM5[Resource::*]` for one finding of a rule.
    """
    for rule in rules:
        Validations.of(construct).acknowledge(
            Acknowledgment(id=f"AwsSolutions::AwsSolutions-{rule}", reason=reason)
        )


def accept_lint(resource: IConstruct, reason: str, *rules: str) -> None:
    """Accept findings of cfn-lint on a resource; rules and reason are written into the template.

    Args:
        resource: the resource itself, not a construct above it.
    """
    assert isinstance(resource, CfnResource)
    resource.add_metadata("cfn-lint", {"config": {"ignore_checks": list(rules)}, "reason": reason})
