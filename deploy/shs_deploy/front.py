"""The way in: a load balancer with TLS; Metabase by its login, Dagster's UI behind OIDC."""

from __future__ import annotations

from aws_cdk import CfnOutput, Duration, SecretValue
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as targets
from constructs import Construct

from shs_deploy.config import Config
from shs_deploy.data import Data
from shs_deploy.network import METABASE_PORT, WEB_PORT, Network
from shs_deploy.services import Services

_SESSION_HOURS = 8
_NOT_HERE = "Not here."
# A fresh Metabase makes whoever calls these first its administrator; `shs metabase apply` sets it up by
# the internal name. The rest of the list shows questions without a login, which nothing here uses.
_CLOSED_PATHS = (
    ("/setup*", "/api/setup*", "/api/docs*"),
    ("/public*", "/api/public*", "/embed*", "/api/embed*"),
)
# The same written so that the patterns above do not find it. Metabase itself writes no path like that: behind
# the two first parts it has %-codes, in what people type into a filter. From end to end, so that it does not
# matter whether the load balancer looks for a part or for the whole.
_ODD_PATHS = (
    "^/(api/)?[^/]*[%A-Z].*$",
    "^.*(//|;).*$",
    "^.*(/|%2[fF])([.]|%2[eE])([.]|%2[eE])?((/|%2[fF]).*)?$",
)


class Front(Construct):
    """The load balancer in front of the services.

    Attributes:
        targets: what the load balancer watches and passes on to, by the name of the service.
    """

    def __init__(self, services: Services, config: Config, network: Network, data: Data) -> None:
        super().__init__(services, "Front")
        self._config = config
        self._vpc = network.vpc
        self.balancer = self._make_balancer(network, data)
        self.balancer.add_redirect(open=False)
        self._zone = config.zone and route53.HostedZone.from_hosted_zone_attributes(
            self, "Zone", hosted_zone_id=config.zone.zone_id, zone_name=config.zone.name
        )
        listener = self.balancer.add_listener(
            "Https",
            port=443,
            protocol=elb.ApplicationProtocol.HTTPS,
            certificates=self._certificates(),
            ssl_policy=elb.SslPolicy.RECOMMENDED_TLS,
            open=False,
            # Whoever knows the address only, or another host name, sees nothing.
            default_action=elb.ListenerAction.fixed_response(
                404, content_type="text/plain", message_body=_NOT_HERE
            ),
        )
        self.targets = {"metabase": self._target(services, "metabase", METABASE_PORT, "/api/health")}
        self._close_paths(listener, config.metabase_host)
        self._close_odd_paths(listener, config.metabase_host)
        if config.has_metabase_oidc:
            # A page that asks for data cannot follow a redirect to the provider: it gets a 401 instead.
            self._pass_on(listener, "metabase", config.metabase_host, 9, only=["/api/*"])
        self._pass_on(listener, "metabase", config.metabase_host, 10)
        self._name(config.metabase_host, "metabase")
        if config.dagster_host:
            self.targets["webserver"] = self._target(services, "webserver", WEB_PORT, "/server_info")
            self._pass_on(listener, "webserver", config.dagster_host, 20)
            self._name(config.dagster_host, "webserver")
        CfnOutput(services, "BalancerName", value=self.balancer.load_balancer_dns_name)

    def _make_balancer(self, network: Network, data: Data) -> elb.ApplicationLoadBalancer:
        balancer = elb.ApplicationLoadBalancer(
            self,
            "Balancer",
            vpc=network.vpc,
            internet_facing=True,
            security_group=network.groups["balancer"],
            vpc_subnets=ec2.SubnetSelection(subnet_group_name="balancer"),
            drop_invalid_header_fields=True,
            deletion_protection=True,
            desync_mitigation_mode=elb.DesyncMitigationMode.DEFENSIVE,
            idle_timeout=Duration.minutes(5),
        )
        # The method for it wants to know the region.
        balancer.set_attribute("access_logs.s3.enabled", "true")
        balancer.set_attribute("access_logs.s3.bucket", data.access_logs.bucket_name)
        balancer.set_attribute("access_logs.s3.prefix", "balancer")
        return balancer

    def _certificates(self) -> list[elb.IListenerCertificate]:
        if self._config.certificate_arns:
            return [elb.ListenerCertificate.from_arn(arn) for arn in self._config.certificate_arns]
        assert self._zone
        others = [self._config.dagster_host] if self._config.dagster_host else []
        issued = acm.Certificate(
            self,
            "Certificate",
            domain_name=self._config.metabase_host,
            subject_alternative_names=others or None,
            validation=acm.CertificateValidation.from_dns(self._zone),
        )
        return [elb.ListenerCertificate.from_certificate_manager(issued)]

    def _target(self, services: Services, name: str, port: int, path: str) -> elb.ApplicationTargetGroup:
        return elb.ApplicationTargetGroup(
            self,
            f"{name.capitalize()}Target",
            vpc=self._vpc,
            port=port,
            protocol=elb.ApplicationProtocol.HTTP,
            target_type=elb.TargetType.IP,
            targets=[services.services[name]],
            deregistration_delay=Duration.seconds(30),
            health_check=elb.HealthCheck(
                path=path,
                healthy_http_codes="200",
                interval=Duration.seconds(15),
                timeout=Duration.seconds(10),
            ),
        )

    def _close_paths(self, listener: elb.ApplicationListener, host: str) -> None:
        """Refuse what nobody may reach from outside; a rule takes five values in all, so there are two."""
        for number, paths in enumerate(_CLOSED_PATHS, start=1):
            listener.add_action(
                f"ClosedRule{number}",
                priority=number,
                conditions=[
                    elb.ListenerCondition.host_headers([host]),
                    elb.ListenerCondition.path_patterns(list(paths)),
                ],
                action=elb.ListenerAction.fixed_response(
                    404, content_type="text/plain", message_body=_NOT_HERE
                ),
            )

    def _close_odd_paths(self, listener: elb.ApplicationListener, host: str) -> None:
        """Refuse odd spellings; the construct knows no regular expressions, the resource itself does."""
        rule = elb.CfnListenerRule
        rule(
            self,
            "OddPathsRule",
            listener_arn=listener.listener_arn,
            priority=len(_CLOSED_PATHS) + 1,
            conditions=[
                rule.RuleConditionProperty(
                    field="host-header", host_header_config=rule.HostHeaderConfigProperty(values=[host])
                ),
                rule.RuleConditionProperty(
                    field="path-pattern",
                    path_pattern_config=rule.PathPatternConfigProperty(regex_values=list(_ODD_PATHS)),
                ),
            ],
            actions=[
                rule.ActionProperty(
                    type="fixed-response",
                    fixed_response_config=rule.FixedResponseConfigProperty(
                        status_code="404", content_type="text/plain", message_body=_NOT_HERE
                    ),
                )
            ],
        )

    def _pass_on(
        self,
        listener: elb.ApplicationListener,
        name: str,
        host: str,
        priority: int,
        only: list[str] | None = None,
    ) -> None:
        """Pass what is for a host on to its service, behind OIDC where the settings say so.

        Args:
            only: patterns of paths, whose callers are refused without a session, not sent to log in.
        """
        action = elb.ListenerAction.forward([self.targets[name]])
        if name == "webserver" or self._config.has_metabase_oidc:
            refused, asked = elb.UnauthenticatedAction.DENY, elb.UnauthenticatedAction.AUTHENTICATE
            action = self._behind_oidc(action, refused if only else asked)
        conditions = [elb.ListenerCondition.host_headers([host])]
        if only:
            conditions.append(elb.ListenerCondition.path_patterns(only))
        title = f"{name.capitalize()}{'Data' if only else ''}"
        listener.add_action(f"{title}Rule", priority=priority, conditions=conditions, action=action)

    def _behind_oidc(
        self, action: elb.ListenerAction, unauthenticated: elb.UnauthenticatedAction
    ) -> elb.ListenerAction:
        oidc = self._config.oidc
        assert oidc
        return elb.ListenerAction.authenticate_oidc(
            issuer=oidc.issuer,
            authorization_endpoint=oidc.authorization_endpoint,
            token_endpoint=oidc.token_endpoint,
            user_info_endpoint=oidc.user_info_endpoint,
            client_id=oidc.client_id,
            client_secret=SecretValue.secrets_manager(oidc.secret),
            scope=oidc.scope,
            session_timeout=Duration.hours(_SESSION_HOURS),
            on_unauthenticated_request=unauthenticated,
            allow_https_outbound=False,
            next=action,
        )

    def _name(self, host: str, name: str) -> None:
        if self._zone:
            route53.ARecord(
                self,
                f"{name.capitalize()}Name",
                zone=self._zone,
                record_name=f"{host}.",
                target=route53.RecordTarget.from_alias(targets.LoadBalancerTarget(self.balancer)),
            )
