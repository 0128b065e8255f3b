"""A warehouse with people, a fake Metabase beside it, and what an operator does with the two."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
from pydantic import SecretStr

from shs_pipeline.dashboards.model import Dashboard
from shs_pipeline.dashboards.reading import read_dashboards
from shs_pipeline.database.groups import ensure_roles
from shs_pipeline.ingest.warehouse import ensure_tables, has_tables
from shs_pipeline.metabase import provisioning
from shs_pipeline.metabase.provisioning import Workplace
from shs_pipeline.metabase.sign_in import Account
from shs_pipeline.metabase.situation import Plan
from shs_pipeline.metabase.work import Report
from shs_pipeline.people.role_names import role_base
from shs_pipeline.settings.secret_store import FileSecrets
from tests.helpers.fake_metabase import FakeMetabase

USER, PASSWORD = "ops@example.com", "very-secret-0perator"

_FIRST = """
key: first
title: First
description: The payouts.
order: 1
filters:
  - key: year
    title: Year
    kind: year
    blank: latest year
    choices_sql: select distinct extract(year from commission_month)::int from marts.commission_payouts
  - {key: product_line, title: Product line, kind: category, blank: all, choices: [Alpha, Beta]}
tabs:
  - {key: one, title: One}
  - {key: two, title: Two}
cards:
  - key: payouts
    tab: one
    title: Payouts
    description: US dollars by commission month.
    calendar: commission
    display: table
    sql: |
      select commission_month, product_line, payout from marts.commission_payouts
      where true [[and extract(year from commission_month) = {{year}}]]
      [[and product_line = {{product_line}}]]
    columns:
      commission_month: {title: Month, format: month}
      product_line: {title: Product line}
      payout: {title: Payout, format: money}
    click:
      dashboard: second
      filters: {month: "{commission_month}"}
      columns: {payout: {}}
    place: {row: 0, col: 0, width: 12, height: 4}
    empty: Nothing was paid.
  - key: total
    tab: two
    title: Total
    description: US dollars by commission month.
    calendar: commission
    display: scalar
    sql: |
      select sum(payout) as payout from marts.commission_payouts
      where true [[and product_line = {{product_line}}]]
    columns:
      payout: {title: Payout, format: money}
    chart: {y: [payout]}
    place: {row: 0, col: 0, width: 6, height: 3}
    empty: Nothing was paid.
"""
_SECOND = """
key: second
title: Second
description: The lines.
order: 2
filters:
  - {key: month, title: Month, kind: month, blank: all months}
cards:
  - key: lines
    title: Lines
    description: Lines by commission month.
    calendar: commission
    display: bar
    sql: |
      select customer, sum(sales_actual) as sales from marts.harmonised_sales
      where true [[and to_char(commission_month, 'YYYY-MM') = {{month}}]] group by 1
    columns:
      customer: {title: Customer}
      sales: {title: Sales, format: money}
    chart: {x: customer, y: [sales]}
    place: {row: 0, col: 0, width: 24, height: 6}
    empty: No line.
"""


def small_dashboards() -> dict[str, list[Dashboard]]:
    """Two dashboards with three cards, and one for admins more."""
    found = read_dashboards({"first.yml": _FIRST, "second.yml": _SECOND})
    return {"rep": list(found), "admin": list(found)}


def cards_of(dashboards: Sequence[Dashboard]) -> int:
    """How many cards they become in Metabase, those of choices included."""
    choices = {one.choices_sql for dashboard in dashboards for one in dashboard.filters if one.choices_sql}
    return sum(len(dashboard.cards) for dashboard in dashboards) + len(choices)


@dataclass
class House:
    """Where all of it lives.

    Attributes:
        roles: those that an address ever had; admins may see all.
    """

    database_url: str
    fake: FakeMetabase
    folder: Path
    dashboards: Mapping[str, Sequence[Dashboard]] = field(default_factory=small_dashboards)
    # Long before any version's end of life.
    day: date = date(2026, 5, 1)

    def __post_init__(self) -> None:
        self.roles: dict[str, set[str]] = {}
        self.admins: set[str] = set()
        self.secrets = FileSecrets(self.folder / "secrets.json")
        with self.connect() as connection:
            if not has_tables(connection):
                ensure_tables(connection)
            ensure_roles(connection)
        name = self.database_url.rpartition("/")[2]
        self.service = role_base(name, "metabase")
        self.fake.whoami |= {self.service: None, role_base(name, "metabase reps"): None}

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(self.database_url, autocommit=True)

    def join(self, name: str, permission: str = "user", email: str = "") -> str:
        """Let somebody into the books, as the login sync does; return the address."""
        email = email or f"{name.split(maxsplit=1)[0].lower()}@example.com"
        role = f"role_{name.replace(' ', '_').lower()}"
        secret_name = f"{role}/1"
        self.secrets.put(secret_name, f"password-of-{role}")
        with self.connect() as connection:
            connection.execute(
                "insert into ops.logins (role_name, secret_name, email, rep_name, permission, state)"
                " values (%s, %s, %s, %s, %s, 'active')",
                [role, secret_name, email, name, permission],
            )
        self.fake.whoami[role] = name if permission == "user" else None
        self.roles.setdefault(email, set()).add(role)
        if permission == "admin":
            self.admins.add(email)
        return email

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            cursor = connection.execute(statement, values)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    @property
    def workplace(self) -> Workplace:
        return Workplace(
            self.fake.url, Account(USER, SecretStr(PASSWORD)), self.secrets, self.database_url,
            self.dashboards, wait_seconds=0, pause_seconds=0, today=lambda: self.day,
        )  # fmt: skip

    def plan(self) -> Plan:
        return provisioning.plan(self.workplace)

    def apply(self, **options: Any) -> Report:
        return provisioning.apply_all(self.workplace, **options)

    def destroy(self) -> Report:
        return provisioning.destroy_all(self.workplace)

    # --- one apply for many tests

    def keep(self) -> Callable[[], None]:
        """Return what brings fake, books and secrets back to where they are now, whatever a test does."""
        shared = {"_lock", "after_each", "pause", "run_sql"}
        ours = {name: value for name, value in vars(self).items() if name not in ("fake", "secrets")}
        kept = deepcopy(
            (ours, {name: value for name, value in vars(self.fake).items() if name not in shared})
        )
        functions = {name: getattr(self.fake, name) for name in shared}
        path = self.folder / "secrets.json"
        held = path.read_bytes()
        tables = ("ops.logins", "ops.metabase_objects")
        self.query("create schema kept")
        for table in tables:
            self.query(f"create table kept.{table.removeprefix('ops.')} as table {table}")

        def bring_back() -> None:
            of_house, of_fake = deepcopy(kept)
            vars(self).update(of_house)
            vars(self.fake).clear()
            vars(self.fake).update(of_fake | functions)
            path.write_bytes(held)
            for table in tables:
                name = table.removeprefix("ops.")
                self.query(
                    f"delete from {table}; insert into {table} overriding system value table kept.{name}"
                )

        return bring_back

    # --- what must always hold

    def check_walls(self, fake: FakeMetabase, verb: str, path: str) -> None:
        """Nobody of ours who is active sees more than the own, and nobody before their wall was checked."""
        where = f"after {len(fake.requests)} {verb} {path}"
        people = [user for user in fake.users.values() if user["is_active"] and not user["is_superuser"]]
        for user in people:
            if user.get("is_key") or user["email"] in self.admins:
                continue
            own = self.roles.get(user["email"], set())
            shown = {
                *fake.may_ask(user["id"]),
                *(fake.cards[one]["database_id"] for one in fake.may_see(user["id"])),
            }
            roles = {fake.databases[one]["details"]["user"] for one in shown}
            assert roles <= own, f"{where}: {user['email']} sees the rows of {roles}"
            assert fake.settings["enable-public-sharing"] is False, f"{where}: public links are on"
            checked = {fake.databases[one]["details"]["user"] for one in fake.asked if one in fake.databases}
            assert checked & own or not shown, f"{where}: {user['email']} is in before the check"
