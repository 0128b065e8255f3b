"""Dagster runs in processes of their own, on two installations that share a database and a bucket.

Forks of one process that has imported what takes long, as tests/killed_ingestion.py explains.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sensors.run_host import LIBRARIES

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([name for name in LIBRARIES if name != "camelot"])

DAGSTER_YAML = """
storage:
  postgres:
    postgres_db:
      username: {env: SHS_DAGSTER_USER}
      password: {env: SHS_DAGSTER_PASSWORD}
      hostname: {env: SHS_DAGSTER_HOST}
      port: {env: SHS_DAGSTER_PORT}
      db_name: {env: SHS_DAGSTER_DATABASE}
      scheme: postgresql+psycopg2
telemetry: {enabled: false}
"""


class Run:
    """A run of some assets in a process of its own.

    Args:
        environment: the settings of the installation.
        keys: the assets, as paths.
        months: the first and last commission month, as "2025-01"; empty for assets without.
    """

    def __init__(
        self, environment: Mapping[str, str], keys: Sequence[Sequence[str]], months: Sequence[str] = ()
    ) -> None:
        self._here, there = _FORKS.Pipe(duplex=False)
        order = {"ORDER": (dict(environment), [list(key) for key in keys], list(months)), "TELL": there}
        # By path: another package called `tests` is installed with metabase-api.
        self._process = _FORKS.Process(target=runpy.run_path, args=(__file__, order, "running"))
        self._process.start()
        there.close()

    def end(self) -> str:
        """Wait; return "" or what went wrong."""
        try:
            said = str(self._here.recv()) if self._here.poll(300) else "it did not end"
        except EOFError:
            said = "it died"
        self._process.join(30)
        return said


def _carry_out(environment: dict[str, str], keys: list[list[str]], months: list[str], tell: Any) -> None:
    os.environ.update(environment)
    import dagster as dg

    from shs_pipeline.definitions import build_defs

    home = Path(environment["DAGSTER_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").write_text(DAGSTER_YAML)
    selection = dg.AssetSelection.assets(*(dg.AssetKey(key) for key in keys))
    quiet = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
    job = dg.define_asset_job("probe", selection=selection, config=quiet)
    tags = {}
    if months:
        tags = {
            "dagster/asset_partition_range_start": months[0],
            "dagster/asset_partition_range_end": months[1],
        }
    with dg.DagsterInstance.get() as instance:
        result = (
            build_defs(jobs=[job])
            .resolve_job_def("probe")
            .execute_in_process(instance=instance, raise_on_error=False, tags=tags)
        )
        failures = [str(event.message) for event in result.all_events if event.is_failure]
    tell.send("" if result.success else "; ".join(failures) or "failed")


if __name__ == "running":
    _carry_out(*globals()["ORDER"], globals()["TELL"])
