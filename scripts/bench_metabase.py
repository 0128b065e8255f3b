"""What a connection per rep costs: an apply to a fake Metabase whose answers take as long as real ones may.

The fake runs in a process of its own and waits before each answer (`SECONDS`); the warehouse is the
embedded PostgreSQL. For each number of reps it prints the median of a first apply, one that changes nothing,
one after a single card changed, and one with a rep more. How long a real Metabase takes is not known here;
change `SECONDS` to see.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
# A wheel brings a top-level package of the name `tests`, which would hide ours.
sys.modules["tests"] = ModuleType("tests")
sys.modules["tests"].__path__ = [str(ROOT / "tests")]
# Holding each body against Metabase's document would be measured too.
os.environ["METABASE_OPENAPI"] = os.devnull + "/none"

import psycopg  # noqa: E402

from shs_pipeline.dashboards.model import Dashboard  # noqa: E402
from shs_pipeline.dashboards.reading import dashboards_for  # noqa: E402
from shs_pipeline.database.databases import prepare  # noqa: E402
from shs_pipeline.database.embedded_postgres import EmbeddedPostgres  # noqa: E402
from shs_pipeline.metabase.work import Report  # noqa: E402
from shs_pipeline.settings.settings import Settings  # noqa: E402
from tests.helpers.fake_metabase import FakeMetabase, serving  # noqa: E402
from tests.helpers.metabase_house import House  # noqa: E402

SECONDS = {
    ("post", "/api/database"): 0.5,
    ("put", "/api/permissions/graph"): 0.15,
    ("put", "/api/collection/graph"): 0.15,
    ("post", "/api/user"): 0.25,
    ("post", "/api/card"): 0.08,
    ("put", "/api/card"): 0.08,
    ("put", "/api/dashboard"): 0.12,
    ("post", "/api/dataset"): 0.05,
}
"""Assumed time of an answer, by verb and beginning of the path; 0.03 s for all others."""


class Measured(NamedTuple):
    """One apply."""

    what: str
    requests: int
    seconds: float


class Address:
    """Stands for the fake of the other process."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.whoami: dict[str, Any] = {}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reps", type=int, nargs="+", default=[20, 100, 300])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with _home() as folder:
        for reps in options.reps:
            rounds = [_shown(reps, _round(folder, reps)) for _ in range(options.rounds)]
            print(f"{reps:>4} reps, median of {options.rounds} (fastest to slowest):")
            for several in zip(*rounds, strict=True):
                seconds = [one.seconds for one in several]
                spread = f"{min(seconds):.1f} to {max(seconds):.1f}"
                print(
                    f"{reps:>4} reps  {several[0].what:<14} {several[0].requests:>6} requests"
                    f"  {statistics.median(seconds):>7.1f} s  ({spread})",
                    flush=True,
                )


def _shown(reps: int, measured: list[Measured]) -> list[Measured]:
    """Print a round when it ends, with the load of the machine; with many reps a round takes long."""
    took = ", ".join(f"{one.what} {one.seconds:.1f} s ({one.requests} requests)" for one in measured)
    print(f"{reps:>4} reps: {took}; load {os.getloadavg()[2]:.1f}", file=sys.stderr, flush=True)
    return measured


def _round(folder: Path, reps: int) -> list[Measured]:
    with (
        _warehouse(folder) as url,
        _metabase(url, reps) as address,
        tempfile.TemporaryDirectory() as own,
    ):
        dashboards = {"rep": dashboards_for("rep"), "admin": dashboards_for("admin")}
        house = House(url, address, Path(own), dashboards)  # type: ignore[arg-type]
        house.join("Harriet Lindqvist", "admin")
        _join(house, 1, reps)
        found = [_measured("first", house), _measured("unchanged", house)]
        house.dashboards = {**dashboards, "rep": _one_card_changed(dashboards["rep"])}
        found.append(_measured("card changed", house))
        _join(house, reps + 1, reps + 1)
        return [*found, _measured("one rep more", house)]


def _measured(what: str, house: House) -> Measured:
    begun = time.perf_counter()
    report: Report = house.apply()
    return Measured(what, report.reads + report.writes, time.perf_counter() - begun)


def _one_card_changed(dashboards: list[Dashboard]) -> list[Dashboard]:
    first = dashboards[0]
    *others, card = first.cards
    changed = card.model_copy(update={"description": f"{card.description} (new)"})
    return [first.model_copy(update={"cards": (*others, changed)}), *dashboards[1:]]


def _join(house: House, first: int, last: int) -> None:
    house.query(
        "insert into ops.logins (role_name, email, rep_name, permission, state, secret_name)"
        " select 'role_' || n, 'rep' || n || '@example.com', 'Rep ' || n, 'user', 'active', 'secret ' || n"
        " from generate_series(%s::int, %s::int) as n", first, last,
    )  # fmt: skip
    for number in range(first, last + 1):
        house.secrets.put(f"secret {number}", f"password {number}")


@contextmanager
def _home() -> Iterator[Path]:
    """Give a home whose embedded server runs, and stop it."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        try:
            yield home
        finally:
            EmbeddedPostgres(home).stop()


@contextmanager
def _warehouse(home: Path) -> Iterator[str]:
    owner = prepare(Settings(home=home, database_url=None)).warehouse_url.get_secret_value()
    name = f"bench_{secrets.token_hex(4)}"
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute(f"create database {name}")
        yield f"{owner.rpartition('/')[0]}/{name}"


@contextmanager
def _metabase(url: str, reps: int) -> Iterator[Address]:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(there, url, reps), daemon=True
    )
    process.start()
    try:
        yield Address(here.recv())
    finally:
        here.send(None)
        process.join(10)


def _serve(there: Connection, url: str, reps: int) -> None:
    from shs_pipeline.people.role_names import role_base

    name = url.rpartition("/")[2]
    with serving(_Personal()) as fake:
        fake.whoami = {f"role_{number}": f"Rep {number}" for number in range(1, reps + 2)}
        fake.whoami |= {role_base(name, "metabase"): None, "role_harriet_lindqvist": None}
        fake.pause = _pause
        there.send(fake.url)
        there.recv()


class _Personal(FakeMetabase):
    """Everybody has a personal collection, as after a first login."""

    def _new_user(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        user = super()._new_user(*arguments, **options)
        found = {"id": self.new_id(), "name": "Personal", "archived": False, "location": "/",
                 "personal_owner_id": user["id"]}  # fmt: skip
        self.collections[found["id"]] = found
        return user


def _pause(verb: str, path: str) -> float:
    return next(
        (
            seconds
            for (of_verb, start), seconds in SECONDS.items()
            if verb == of_verb and path.startswith(start)
        ),
        0.03,
    )


if __name__ == "__main__":
    main()
