"""A mass withdrawal is held: a share that is only partly there must not take anybody's payouts away."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import psycopg
import pytest

from shs_pipeline.base.errors import ShsError
from shs_pipeline.ingest.holding import held_now
from shs_pipeline.ingest.run import run_all, run_changed, trouble_of
from shs_pipeline.notices.outbox import record

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Zone

SOURCES = ("cygnus", "novo", "chemence", "inspektor")
MONTHS = ("2025-01", "2025-02", "2025-03", "2025-04", "2025-05")


@pytest.fixture
def full(zone: Zone) -> Zone:
    """Twenty loaded files of four sources, 2 lines each; nothing is confirmed by itself."""
    for source in SOURCES:
        for number, month in enumerate(MONTHS):
            zone.drop_sample(source, month, lines=2, seed=number + 1)
    zone.run()
    zone.may_withdraw = False
    return zone


def lines(zone: Zone) -> dict[str, int]:
    return {source: zone.query(f"select count(*) from raw.{source}")[0][0] for source in SOURCES}


def run(zone: Zone, *, accept: bool = False) -> ShsError | None:
    job = zone.job()
    job.may_withdraw = accept
    run_changed(job)
    return trouble_of(job)


def held(zone: Zone) -> ShsError | None:
    with psycopg.connect(zone.database_url) as connection:
        return held_now(connection)


def lose_incoming(landing: Path) -> None:
    shutil.move(landing / "incoming", landing.with_name("elsewhere"))


def lose_everything(landing: Path) -> None:
    shutil.move(landing, landing.with_name("unmounted"))


def lose_all_but_a_readme(landing: Path) -> None:
    lose_incoming(landing)
    (landing / "README.txt").write_text("Do not write here.")


def lose_two_sources(landing: Path) -> None:
    for source in ("cygnus", "novo"):
        shutil.rmtree(landing / "incoming" / source)


def lose_one_source(landing: Path) -> None:
    shutil.rmtree(landing / "incoming" / "chemence")


def lose_three_of_twenty(landing: Path) -> None:
    for source in SOURCES[:3]:
        shutil.rmtree(landing / "incoming" / source / "2025-02")


LOSSES = [
    lose_incoming, lose_everything, lose_all_but_a_readme, lose_two_sources, lose_one_source,
    lose_three_of_twenty,
]  # fmt: skip


@pytest.mark.parametrize("lose", LOSSES)
def test_much_that_is_gone_at_once_is_held_until_it_is_confirmed(full: Zone, lose: object) -> None:
    before = lines(full)
    lose(full.folder)  # type: ignore[operator]

    for _ in range(2):
        trouble = run(full)
        assert trouble is not None
        assert "no longer in the landing zone" in trouble.problem
        assert "Nothing was withdrawn" in trouble.problem
        assert "shs run --accept" in trouble.remedy
        assert lines(full) == before
    assert str(held(full)) == str(trouble)

    assert run(full, accept=True) is None
    assert sum(lines(full).values()) < sum(before.values())
    assert held(full) is None
    assert run(full) is None


def test_files_that_come_back_end_it(full: Zone) -> None:
    before = lines(full)
    shutil.move(full.folder / "incoming" / "novo", full.folder.with_name("novo"))
    assert run(full) is not None

    shutil.move(full.folder.with_name("novo"), full.folder / "incoming" / "novo")

    assert run(full) is None
    assert held(full) is None
    assert lines(full) == before
    assert full.query("select count(*) from ops.files where status <> 'loaded'") == [(0,)]


def test_new_and_corrected_files_load_meanwhile_also_in_a_folder_that_lost_one(full: Zone) -> None:
    for month in MONTHS[:4]:
        shutil.rmtree(full.folder / "incoming" / "novo" / month)
    (lost,) = (full.folder / "incoming" / "novo" / "2025-05").iterdir()
    lost.unlink()
    full.drop_sample("cygnus", "2025-06", lines=3, seed=9)
    full.drop_sample("cygnus", "2025-01", lines=4, seed=10)
    full.drop_sample("novo", "2025-05", lines=3, seed=11, name="another.xlsx")

    assert run(full) is not None
    assert lines(full) == {"cygnus": 8 + 3 + 4, "novo": 10 + 3, "chemence": 10, "inspektor": 10}
    assert run(full, accept=True) is None
    assert lines(full)["novo"] == 3


@pytest.mark.parametrize("again", [run_all, run_changed])
def test_nothing_of_a_held_run_is_withdrawn_whatever_the_command(full: Zone, again: object) -> None:
    lose_two_sources(full.folder)
    (full.folder / "incoming" / "inspektor" / "2025-01").rename(full.folder.with_name("one"))
    before = lines(full)

    job = full.job()
    again(job)  # type: ignore[operator]

    assert trouble_of(job) is not None
    assert lines(full) == before


def test_a_single_file_and_a_tenth_are_withdrawn_as_ever(full: Zone) -> None:
    for month in MONTHS[:2]:
        shutil.rmtree(full.folder / "incoming" / "novo" / month)

    assert run(full) is None
    assert lines(full)["novo"] == 6


def test_moved_renamed_and_replaced_files_are_not_gone(full: Zone) -> None:
    for path in sorted((full.folder / "incoming" / "cygnus").rglob("*.xlsx")):
        path.rename(path.with_name(f"renamed {path.name}"))
    for path in sorted((full.folder / "incoming" / "novo").rglob("*.xlsx")):
        path.unlink()
    for number, month in enumerate(MONTHS):
        full.drop_sample("novo", month, lines=3, seed=20 + number, name="corrected.xlsx")

    assert run(full) is None
    assert lines(full) == {"cygnus": 10, "novo": 15, "chemence": 10, "inspektor": 10}


def test_in_a_young_installation_one_of_three_files_is_simply_deleted_but_not_the_last(zone: Zone) -> None:
    paths = [zone.drop_sample("novo", month, lines=2) for month in MONTHS[:3]]
    zone.run()
    zone.may_withdraw = False

    zone.delete(paths[0])
    assert run(zone) is None
    zone.delete(paths[1])
    assert run(zone) is None
    zone.delete(paths[2])
    trouble = run(zone)

    assert trouble is not None
    assert "every file of novo" in trouble.problem
    assert len(zone.raw("novo")) == 2


def test_a_rejected_file_that_lay_there_before_takes_no_place_of_one_that_is_gone(full: Zone) -> None:
    for month in MONTHS:
        full.drop(f"incoming/novo/{month}/bad.xlsx", month.encode())
    run(full)
    for path in (full.folder / "incoming" / "novo").rglob("Novo*.xlsx"):
        path.unlink()

    assert run(full) is not None
    assert lines(full)["novo"] == 10


def test_admins_are_told_once_as_long_as_it_is_held(full: Zone) -> None:
    def told() -> list[tuple[str, str]]:
        from datetime import date

        with psycopg.connect(full.database_url) as connection:
            record(connection, date(2025, 6, 1), 20, "", [])
        return full.query("select subject, body from ops.notices where key like 'held/%%'")

    lose_one_source(full.folder)
    for _ in range(2):
        run(full)
        notices = told()

    ((subject, body),) = notices
    assert subject == "Held: many loaded files are missing"
    assert "every file of chemence" in body
    assert "shs run --accept" in body

    run(full, accept=True)
    lose_two_sources(full.folder)
    run(full)
    assert len(told()) == 2


@pytest.mark.slow
def test_the_same_holds_on_s3(s3_zone: Zone) -> None:
    paths = [s3_zone.drop_sample("novo", month, lines=2) for month in MONTHS]
    s3_zone.run()
    s3_zone.may_withdraw = False
    for path in paths[:4]:
        s3_zone.delete(path)

    assert run(s3_zone) is not None
    assert len(s3_zone.raw("novo")) == 10
    assert run(s3_zone, accept=True) is None
    assert len(s3_zone.raw("novo")) == 2
