"""Mail by SES: the domain that we send from, and a user for its SMTP endpoint that can do nothing else."""

from __future__ import annotations

import json

from aws_cdk import Aws, CfnOutput, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_ses as ses
from constructs import Construct

from shs_deploy.accept import accept
from shs_deploy.config import Mail, Zone, address_of

# What ECS needs to start a task before the user and its password are there.
_NOT_MADE_YET = json.dumps({"username": "not-made-yet"})


class MailIdentity(Construct):
    """The identity of the domain, the user for SMTP, and the secret with its user name and password.

    Attributes:
        secret: JSON with `username` and `password`; `docs/deploy.md` says how it is filled.
    """

    def __init__(self, scope: Construct, prefix: str, mail: Mail, zone: Zone | None) -> None:
        super().__init__(scope, "Mail")
        rules = ses.ConfigurationSet(
            self, "Rules", tls_policy=ses.ConfigurationSetTlsPolicy.REQUIRE, reputation_metrics=True
        )
        self.identity = ses.EmailIdentity(
            self, "Identity", identity=ses.Identity.domain(mail.domain), configuration_set=rules
        )
        self._publish_keys(zone)
        self.user = iam.User(self, "User", user_name=f"{prefix}-smtp")
        arn = f"arn:{Aws.PARTITION}:ses:{Aws.REGION}:{Aws.ACCOUNT_ID}"
        self.user.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["ses:SendRawEmail"],
                resources=[
                    f"{arn}:identity/{mail.domain}",
                    f"{arn}:configuration-set/{rules.configuration_set_name}",
                ],
                conditions={"StringEquals": {"ses:FromAddress": address_of(mail.sender)}},
            )
        )
        self.secret = secretsmanager.Secret(
            self,
            "Secret",
            secret_name=f"{prefix}/smtp",
            description="User and password of the SMTP endpoint of SES; made by smtp_password.py.",
            generate_secret_string=secretsmanager.SecretStringGenerator(
                secret_string_template=_NOT_MADE_YET, generate_string_key="password"
            ),
            removal_policy=RemovalPolicy.DESTROY,
        )
        accept(
            self.secret,
            "It follows from an access key, which AWS does not rotate; docs/deploy.md says how to renew it.",
            "SMG4",
        )
        CfnOutput(self, "SmtpUser", value=self.user.user_name, description="IAM user whose key sends mail")

    def _publish_keys(self, zone: Zone | None) -> None:
        """Publish the names by which receivers check signatures, or show them to a person who does it."""
        known = zone and route53.HostedZone.from_hosted_zone_attributes(
            self, "Zone", hosted_zone_id=zone.zone_id, zone_name=zone.name
        )
        for number, record in enumerate(self.identity.dkim_records, start=1):
            if known:
                # A full name with a dot at its end, so that the zone is not put behind it once more.
                route53.CnameRecord(
                    self, f"Dkim{number}", zone=known, record_name=f"{record.name}.", domain_name=record.value
                )
            else:
                CfnOutput(self, f"DkimName{number}", value=record.name)
                CfnOutput(self, f"DkimValue{number}", value=record.value)
