"""What wakes a person: alarms and events, all to one topic, and a page of the most telling numbers."""

from __future__ import annotations

from typing import Any

from aws_cdk import Aws, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from shs_deploy.commands import RUN_CONTAINER
from shs_deploy.config import Config
from shs_deploy.data import Data
from shs_deploy.events import (
    MAIL_FAILED,
    METABASE_VERSION,
    NAMESPACE,
    NOT_PUBLISHED,
    RUN_FAILED,
    SOURCE_STALE,
    pattern,
)
from shs_deploy.front import Front
from shs_deploy.happenings import tell_events
from shs_deploy.registry import Registry
from shs_deploy.services import Services
from shs_deploy.watched_databases import of_database, watch_databases

# Which of the tasks write the events; each event is written by one of them, once.
_WRITERS = ("code", "daemon", RUN_CONTAINER)
FIVE_MINUTES = Duration.minutes(5)
_MISSING = cloudwatch.TreatMissingData
_OVER = cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD
UNDER = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
# In per cent of what the task has.
_MOST_MEMORY = 90
# The queue is drained every few seconds; what waits so long shows that nobody does it.
_QUEUE_SECONDS = 1800


class Observation(Stack):
    """Topic, alarms, rules, dashboard."""

    def __init__(
        self,
        scope: Construct,
        config: Config,
        data: Data,
        services: Services,
        front: Front,
        registry: Registry,
        redeploy: lambda_.IFunction,
        **options: Any,
    ) -> None:
        super().__init__(scope, f"{config.prefix}-observation", **options)
        self._config, self._data, self._services, self._front = config, data, services, front
        self.topic = self._make_topic()
        self._notify = actions.SnsAction(self.topic)
        self._watch_work()
        self._watch_queues()
        watch_databases(self, data)
        self._watch_services(redeploy)
        self._watch_front()
        tell_events(self, config, data, registry)
        self._make_dashboard()

    def _make_topic(self) -> sns.Topic:
        config = self._config
        topic = sns.Topic(
            self,
            "Alarms",
            topic_name=f"{config.prefix}-alarms",
            display_name=f"Sales tracker {config.environment}",
            master_key=self._data.key,
            enforce_ssl=True,
        )
        # A policy of one's own takes the place of the one that lets the account's alarms in.
        alarms = f"arn:{Aws.PARTITION}:cloudwatch:{Aws.REGION}:{Aws.ACCOUNT_ID}:alarm:{config.prefix}-*"
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions={
                    "ArnLike": {"aws:SourceArn": alarms},
                    "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
                },
            )
        )
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("events.rds.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions={
                    "ArnLike": {"aws:SourceArn": f"arn:{Aws.PARTITION}:rds:{Aws.REGION}:{Aws.ACCOUNT_ID}:*"},
                    "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
                },
            )
        )
        for address in config.alarm_mail:
            topic.add_subscription(subscriptions.EmailSubscription(address))
        return topic

    def alarm(
        self,
        name: str,
        description: str,
        metric: cloudwatch.IMetric,
        threshold: float,
        *,
        comparison: cloudwatch.ComparisonOperator = _OVER,
        periods: int = 1,
        missing: cloudwatch.TreatMissingData = _MISSING.NOT_BREACHING,
    ) -> None:
        """Add an alarm that tells the topic when it begins and when it ends."""
        alarm = cloudwatch.Alarm(
            self,
            name,
            alarm_name=f"{self._config.prefix}-{name}",
            alarm_description=description,
            metric=metric,
            threshold=threshold,
            comparison_operator=comparison,
            evaluation_periods=periods,
            treat_missing_data=missing,
        )
        alarm.add_alarm_action(self._notify)
        alarm.add_ok_action(self._notify)

    # --- the work -------------------------------------------------------------------------

    def _watch_work(self) -> None:
        events_of_work = [
            ("FailedRuns", RUN_FAILED, 0, "A run failed for good. Dagster's UI names it and the reason."),
            ("StaleSources", SOURCE_STALE, 0, "A file is missing after its due day: shs status names it."),
            (
                "NotPublished",
                NOT_PUBLISHED,
                0,
                "Data loaded a day ago has not been published yet. Run shs status.",
            ),
            ("MetabaseVersion", METABASE_VERSION, 0, "Metabase needs an upgrade; shs doctor says why."),
        ]
        if self._config.mail:
            # A mail server may be away for a moment; each try of it counts.
            events_of_work.append(
                ("FailedMails", MAIL_FAILED, 2, "Mail cannot be sent and is waiting; shs notices says why.")
            )
        self.work = {name: self._count(name, text) for name, text, _, _ in events_of_work}
        for name, _, most, what in events_of_work:
            self.alarm(name, what, self.work[name], most)

    def _count(self, name: str, text: str) -> cloudwatch.Metric:
        """Return how often a line of the log was written."""
        namespace = f"{NAMESPACE}/{self._config.environment}"
        for writer in _WRITERS:
            logs.MetricFilter(
                self,
                f"{name}Of{writer.capitalize()}",
                log_group=self._services.log_groups[writer],
                filter_pattern=logs.FilterPattern.literal(pattern(text)),
                metric_namespace=namespace,
                metric_name=name,
                metric_value="1",
            )
        return cloudwatch.Metric(namespace=namespace, metric_name=name, statistic="Sum", period=FIVE_MINUTES)

    def _watch_queues(self) -> None:
        self.alarm(
            "QueueAge",
            "Arrival messages are not being read from their queue. Check the code server and the sensor.",
            self._data.arrivals.metric_approximate_age_of_oldest_message(
                period=FIVE_MINUTES, statistic="Maximum"
            ),
            _QUEUE_SECONDS,
        )
        self.alarm(
            "DeadArrivals",
            "A notice of an arrival could not be read ten times. The listing finds the file all the same.",
            self._data.dead_arrivals.metric_approximate_number_of_messages_visible(
                period=FIVE_MINUTES, statistic="Maximum"
            ),
            0,
        )

    # --- the services ---------------------------------------------------------------------

    def _watch_services(self, redeploy: lambda_.IFunction) -> None:
        for name in self._services.services:
            # Each running task reports once a minute; these are free, unlike Container Insights.
            reports = self._of_service(name, "CPUUtilization", "SampleCount")
            self.alarm(
                f"{name.capitalize()}Down",
                f"No task of {name} has been running for ten minutes. See its log and the service's events.",
                reports,
                1,
                comparison=UNDER,
                periods=2,
                missing=_MISSING.BREACHING,
            )
            self.alarm(
                f"{name.capitalize()}Memory",
                f"{name} uses most of its memory; at its end the task is killed. See sizes.py.",
                self._of_service(name, "MemoryUtilization", "Maximum"),
                _MOST_MEMORY,
                periods=3,
            )
        self.alarm(
            "Redeploy",
            "Services could not be restarted after a secret changed; they may be using an old password.",
            redeploy.metric_errors(period=Duration.minutes(15), statistic="Sum"),
            0,
        )

    def _of_service(self, name: str, metric: str, statistic: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="AWS/ECS",
            metric_name=metric,
            dimensions_map={"ClusterName": self._config.prefix, "ServiceName": name},
            statistic=statistic,
            period=FIVE_MINUTES,
        )

    def _watch_front(self) -> None:
        balancer = self._front.balancer.metrics
        self.alarm(
            "BalancerErrors",
            "The load balancer itself returns errors. Check whether any healthy task is behind it.",
            balancer.http_code_elb(elb.HttpCodeElb.ELB_5XX_COUNT, period=FIVE_MINUTES, statistic="Sum"),
            10,
        )
        for name, group in self._front.targets.items():
            self.alarm(
                f"{name.capitalize()}Errors",
                f"{name} answers with errors (5xx). Its log says which.",
                group.metrics.http_code_target(
                    elb.HttpCodeTarget.TARGET_5XX_COUNT, period=FIVE_MINUTES, statistic="Sum"
                ),
                10,
            )
            self.alarm(
                f"{name.capitalize()}Unhealthy",
                f"The load balancer finds a task of {name} unhealthy.",
                group.metrics.unhealthy_host_count(period=FIVE_MINUTES, statistic="Maximum"),
                0,
                periods=3,
            )

    def _make_dashboard(self) -> None:
        page = cloudwatch.Dashboard(self, "Page", dashboard_name=self._config.prefix)
        graph = cloudwatch.GraphWidget
        identifier = self._data.warehouse.identifier
        page.add_widgets(
            graph(title="Failed runs, stale sources, failed mails", left=list(self.work.values()), width=12),
            graph(
                title="Age of the oldest notice of an arrival (s)",
                left=[self._data.arrivals.metric_approximate_age_of_oldest_message()],
                width=12,
            ),
        )
        page.add_widgets(
            graph(
                title="Warehouse: free disk, connections",
                left=[of_database(identifier, "FreeStorageSpace", "Minimum")],
                right=[of_database(identifier, "DatabaseConnections", "Maximum")],
                width=12,
            ),
            graph(
                title="Metabase: requests, time to answer (s)",
                left=[self._front.targets["metabase"].metrics.request_count()],
                right=[self._front.targets["metabase"].metrics.target_response_time(statistic="p95")],
                width=12,
            ),
        )
