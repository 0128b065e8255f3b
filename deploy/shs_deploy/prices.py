"""What a month costs: sizes times list prices; `python -m shs_deploy.prices` prints the table.

List prices of us-east-1 in US dollars, as known when this was written, without taxes and discounts. They
move: hold the result against the AWS pricing calculator.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from shs_deploy.sizes import SIZES, Database, Size, Task

D = Decimal
HOURS = 730

CPU_HOUR, GB_HOUR = D("0.04048"), D("0.004445")
DATABASE_HOUR = {
    "db.t4g.micro": D("0.016"),
    "db.t4g.small": D("0.032"),
    "db.t4g.medium": D("0.065"),
    "db.m7g.large": D("0.168"),
    "db.r7g.large": D("0.239"),
    "db.r7g.xlarge": D("0.478"),
}
DISK_GB = D("0.115")
BALANCER_HOUR, BALANCER_UNIT_HOUR, ADDRESS_HOUR = D("0.0225"), D("0.008"), D("0.005")
ENDPOINT_HOUR = D("0.01")
KEY, SECRET, ALARM, LOG_GB, METRIC = D(1), D("0.40"), D("0.10"), D("0.50"), D("0.30")
S3_GB, IMAGE_GB, BUILD_MINUTE = D("0.023"), D("0.10"), D("0.01")
DATABASE_BACKUP_GB, S3_BACKUP_GB = D("0.095"), D("0.05")

ENDPOINTS = 9
"""Interface endpoints with mail; `network.py` makes them."""
FIXED_SECRETS, KEYS, ALARMS, TASK_METRICS, IMAGES_GB, BUILD_MINUTES = 7, 2, 30, 60, 10, 90


@dataclass(frozen=True)
class Use:
    """How much it is used in a month; guesses to be replaced by own numbers."""

    people: int
    run_hours: int
    log_gb: int
    file_gb: int
    releases: int


USES = {
    "small": Use(20, 30, 2, 10, 4),
    "medium": Use(100, 200, 10, 50, 8),
    "large": Use(400, 800, 50, 300, 8),
}


@dataclass(frozen=True)
class Line:
    """One line of the estimate: what it is, how it was computed, US dollars a month."""

    what: str
    how: str
    usd: Decimal


def estimate(size: Size) -> list[Line]:
    """Return what a size costs in a month, line by line."""
    return [*_tasks(size), *_databases(size), *_network(size), *_rest(size)]


def total(size: Size) -> Decimal:
    """Return what a size costs in a month."""
    return sum((line.usd for line in estimate(size)), D(0))


def _task_hour(task: Task) -> Decimal:
    return D(task.cpu) / 1024 * CPU_HOUR + D(task.memory) / 1024 * GB_HOUR


def _tasks(size: Size) -> Iterator[Line]:
    always = [size.webserver, size.code, size.daemon, *[size.metabase] * size.metabase_count]
    cpu, memory = D(sum(task.cpu for task in always)) / 1024, D(sum(task.memory for task in always)) / 1024
    hour = sum((_task_hour(task) for task in always), D(0))
    yield Line(
        "Services on Fargate",
        f"({cpu:g} vCPU x {CPU_HOUR} + {memory:g} GB x {GB_HOUR}) x {HOURS} h",
        hour * HOURS,
    )
    hours = USES[size.name].run_hours
    run = f"{D(size.run.cpu) / 1024:g} vCPU, {D(size.run.memory) / 1024:g} GB"
    yield Line(
        "Runs on Fargate",
        f"{hours} h x {_cents(_task_hour(size.run), '0.0001')} ({run})",
        hours * _task_hour(size.run),
    )


def _databases(size: Size) -> Iterator[Line]:
    named = (("Warehouse database", size.warehouse), ("Metabase's database", size.metabase_database))
    for name, database in named:
        yield _database(name, database)
    if size.replica:
        copy = Database(size.replica, size.warehouse.storage_gib, 0)
        yield _database("Read replica", copy)


def _database(name: str, database: Database) -> Line:
    zones = 2 if database.is_multi_az else 1
    hour = DATABASE_HOUR[database.instance]
    how = f"{database.instance} {hour} x {HOURS} h + {database.storage_gib} GB x {DISK_GB}"
    usd = (hour * HOURS + database.storage_gib * DISK_GB) * zones
    return Line(name, f"2 x ({how})" if zones == 2 else how, usd)


def _network(size: Size) -> Iterator[Line]:
    zones = size.endpoint_zones
    yield Line(
        "Endpoints of AWS services",
        f"{ENDPOINTS} x {zones} zone{'s' if zones > 1 else ''} x {ENDPOINT_HOUR} x {HOURS} h",
        ENDPOINTS * zones * ENDPOINT_HOUR * HOURS,
    )
    yield Line(
        "Load balancer",
        f"({BALANCER_HOUR} + 1 unit x {BALANCER_UNIT_HOUR} + 2 addresses x {ADDRESS_HOUR}) x {HOURS} h",
        (BALANCER_HOUR + BALANCER_UNIT_HOUR + 2 * ADDRESS_HOUR) * HOURS,
    )


def _rest(size: Size) -> Iterator[Line]:
    use = USES[size.name]
    secrets = FIXED_SECRETS + use.people
    yield Line(
        "Secrets and keys",
        f"({FIXED_SECRETS} + {use.people} people) x {SECRET} + {KEYS} x {KEY}",
        secrets * SECRET + KEYS * KEY,
    )
    metrics = TASK_METRICS if size.has_container_insights else 0
    yield Line(
        "Logs, alarms, metrics",
        f"{use.log_gb} GB x {LOG_GB} + {ALARMS} x {ALARM}" + (f" + {metrics} x {METRIC}" if metrics else ""),
        use.log_gb * LOG_GB + ALARMS * ALARM + metrics * METRIC,
    )
    yield Line(
        "Files and images",
        f"{use.file_gb} GB x {S3_GB} + {IMAGES_GB} GB x {IMAGE_GB}",
        use.file_gb * S3_GB + IMAGES_GB * IMAGE_GB,
    )
    # As much as the disks were made for: what is on them, and what changes of it.
    disks = size.warehouse.storage_gib + size.metabase_database.storage_gib
    yield Line(
        "Backups in the vault",
        f"{disks} GB x {DATABASE_BACKUP_GB} + {use.file_gb} GB x {S3_BACKUP_GB}",
        disks * DATABASE_BACKUP_GB + use.file_gb * S3_BACKUP_GB,
    )
    yield Line(
        "Pipeline",
        f"{use.releases} releases x {BUILD_MINUTES} min x {BUILD_MINUTE}",
        use.releases * BUILD_MINUTES * BUILD_MINUTE,
    )


def _cents(value: Decimal, step: str = "1") -> Decimal:
    return value.quantize(D(step), ROUND_HALF_UP)


def table() -> str:
    """Return the estimate as a table in Markdown: amounts first, then the arithmetic of each size."""
    columns = {name: {line.what: line for line in estimate(size)} for name, size in SIZES.items()}
    whats = list(dict.fromkeys(what for lines in columns.values() for what in lines))
    rows = ["| US dollars a month | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    for what in whats:
        amounts = [f"{_cents(lines[what].usd)}" if what in lines else "-" for lines in columns.values()]
        rows.append(f"| {what} | " + " | ".join(amounts) + " |")
    totals = [f"**{_cents(total(size))}**" for size in SIZES.values()]
    rows.append("| **Together** | " + " | ".join(totals) + " |")
    for name, lines in columns.items():
        rows += ["", f"| {name} | arithmetic | US dollars |", "| --- | --- | ---: |"]
        rows += [f"| {line.what} | {line.how} | {_cents(line.usd, '0.01')} |" for line in lines.values()]
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
