"""What should always run, as Dagster is told."""

from __future__ import annotations

import dagster as dg

from shs_pipeline.definitions import build_defs
from shs_pipeline.system.automation import AUTOMATION, _name, how_to_start


def test_what_is_watched_is_all_that_runs_by_itself() -> None:
    defs = build_defs()

    assert {each.name for each in (*defs.sensors, *defs.schedules)} == set(AUTOMATION)
    assert all(sensor.default_status == dg.DefaultSensorStatus.RUNNING for sensor in defs.sensors)
    assert all(schedule.default_status == dg.DefaultScheduleStatus.RUNNING for schedule in defs.schedules)


def test_what_dagster_stores_in_another_way_names_nothing() -> None:
    assert [_name(body) for body in ("", "[]", "{}", '{"origin": 1}', '{"origin": {}}')] == [""] * 5


def test_without_a_running_ui_it_is_said_where_it_is() -> None:
    assert "shs up" in how_to_start(None)
