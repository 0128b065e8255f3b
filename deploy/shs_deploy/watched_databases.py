"""The alarms of the databases, the copy that Metabase reads from included."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch

from shs_deploy.data import Data
from shs_deploy.sizes import Database

if TYPE_CHECKING:
    from shs_deploy.observation import Observation

_FIVE_MINUTES = Duration.minutes(5)
_UNDER = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD
_GIB = 1024**3
# RDS enlarges a disk of which a tenth is free; less than that shows that it does not.
_LITTLE = 0.05
# A class with credits gets more than that back in an hour; at 0 it is slow, or costs extra.
_FEW_CREDITS = 20


def watch_databases(observation: Observation, data: Data) -> None:
    """Add the alarms of all databases."""
    for name, database in (("Warehouse", data.warehouse), ("MetabaseDatabase", data.metabase_database)):
        _watch(observation, name, database.identifier, database.size)
    if data.replica_size is None:
        return
    identifier = f"{data.warehouse.identifier}-replica"
    _watch(observation, "Replica", identifier, data.replica_size)
    observation.alarm(
        "ReplicaLag",
        "Metabase's figures are more than ten minutes old, because the replica cannot keep up.",
        of_database(identifier, "ReplicaLag", "Maximum"),
        600,
        periods=2,
    )


def of_database(identifier: str, name: str, statistic: str) -> cloudwatch.Metric:
    """Return one of the metrics that RDS reports of an instance."""
    return cloudwatch.Metric(
        namespace="AWS/RDS",
        metric_name=name,
        dimensions_map={"DBInstanceIdentifier": identifier},
        statistic=statistic,
        period=_FIVE_MINUTES,
    )


def _watch(observation: Observation, name: str, identifier: str, size: Database) -> None:
    observation.alarm(
        f"{name}Storage",
        "The disk is almost full and cannot grow further. See most_storage_gib in sizes.py.",
        of_database(identifier, "FreeStorageSpace", "Minimum"),
        size.storage_gib * _GIB * _LITTLE,
        comparison=_UNDER,
        periods=2,
    )
    observation.alarm(
        f"{name}Connections",
        "Four fifths of the database's connections are in use.",
        of_database(identifier, "DatabaseConnections", "Maximum"),
        int(size.max_connections * 0.8),
        periods=2,
    )
    observation.alarm(
        f"{name}Processor",
        "The database has been busy for half an hour.",
        of_database(identifier, "CPUUtilization", "Average"),
        90,
        periods=6,
    )
    observation.alarm(
        f"{name}Memory",
        "The database has almost no memory left.",
        of_database(identifier, "FreeableMemory", "Minimum"),
        size.memory_gib * _GIB * _LITTLE,
        comparison=_UNDER,
        periods=3,
    )
    if size.has_credits:
        observation.alarm(
            f"{name}Credits",
            "The database has used up its CPU credits, so it gets slow or costs extra. Choose the next size.",
            of_database(identifier, "CPUCreditBalance", "Minimum"),
            _FEW_CREDITS,
            comparison=_UNDER,
            periods=3,
        )
