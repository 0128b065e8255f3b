"""How large an installation is: small, medium and large, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """One Fargate task.

    Attributes:
        cpu: in 1/1024 of a virtual processor.
        memory: in MiB.
    """

    cpu: int
    memory: int


MEMORY_GIB = {
    "db.t4g.micro": 1,
    "db.t4g.small": 2,
    "db.t4g.medium": 4,
    "db.m7g.large": 8,
    "db.r7g.large": 16,
    "db.r7g.xlarge": 32,
}
"""What each class of RDS has, from which follows how many connections it takes."""


@dataclass(frozen=True)
class Database:
    """One RDS instance.

    Attributes:
        instance: its class.
        storage_gib: allocated at the start; it grows automatically up to `most_storage_gib`.
        is_multi_az: whether a second one stands ready in another zone.
    """

    instance: str
    storage_gib: int
    most_storage_gib: int
    is_multi_az: bool = False
    backup_days: int = 7

    @property
    def memory_gib(self) -> int:
        """The memory of its class."""
        return MEMORY_GIB[self.instance]

    @property
    def has_credits(self) -> bool:
        """Whether it may be busy only for as long as its credits last."""
        return self.instance.startswith("db.t")

    @property
    def max_connections(self) -> int:
        """How many connections RDS allows by default; a tenth of the memory is not the database's."""
        return min(int(self.memory_gib * 1024**3 * 0.9 / 9_531_392), 5000)


@dataclass(frozen=True)
class Size:
    """One profile.

    Attributes:
        run: a task of one run; at most `max_runs` of them at once.
        metabase_count: how many Metabase tasks share the load.
        replica: class of the read replica that Metabase reads from; empty for none.
        endpoint_zones: in how many zones the endpoints of AWS services stand.
        has_container_insights: whether ECS reports each task's use of memory and processor in detail.
    """

    name: str
    webserver: Task
    code: Task
    daemon: Task
    run: Task
    max_runs: int
    metabase: Task
    metabase_count: int
    warehouse: Database
    metabase_database: Database
    replica: str = ""
    endpoint_zones: int = 2
    has_container_insights: bool = True
    log_days: int = 90


SIZES: dict[str, Size] = {
    "small": Size(
        name="small",
        webserver=Task(512, 1024),
        code=Task(512, 2048),
        daemon=Task(512, 1024),
        run=Task(1024, 4096),
        max_runs=4,
        metabase=Task(1024, 2048),
        metabase_count=1,
        warehouse=Database("db.t4g.small", 30, 200),
        metabase_database=Database("db.t4g.micro", 20, 50),
        endpoint_zones=1,
        has_container_insights=False,
        log_days=30,
    ),
    "medium": Size(
        name="medium",
        webserver=Task(512, 2048),
        code=Task(1024, 4096),
        daemon=Task(512, 2048),
        run=Task(2048, 8192),
        max_runs=10,
        metabase=Task(2048, 4096),
        metabase_count=1,
        warehouse=Database("db.m7g.large", 100, 500, is_multi_az=True, backup_days=14),
        metabase_database=Database("db.t4g.small", 20, 100, is_multi_az=True, backup_days=14),
    ),
    "large": Size(
        name="large",
        webserver=Task(1024, 4096),
        code=Task(2048, 8192),
        daemon=Task(1024, 2048),
        run=Task(4096, 16384),
        max_runs=25,
        metabase=Task(2048, 8192),
        metabase_count=2,
        warehouse=Database("db.r7g.xlarge", 500, 4000, is_multi_az=True, backup_days=35),
        metabase_database=Database("db.t4g.medium", 50, 200, is_multi_az=True, backup_days=35),
        replica="db.r7g.large",
        log_days=365,
    ),
}
